"""Error rates of a checkpoint on a split of packed crops."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lipnet.data.crop_store import CropStore
from lipnet.data.dataset import ClipDataset
from lipnet.data.loaders import eval_loader
from lipnet.decoding.factory import add_decoder_arguments, decoder_options, make_decoder
from lipnet.device import choose_device
from lipnet.errors import LipnetError
from lipnet.grid import GRAMMAR, is_grid_sentence
from lipnet.metrics import WordErrors
from lipnet.models.checkpoint import load_weights
from lipnet.tokenizer import Tokenizer
from lipnet.training.engine import Evaluation, evaluate
from lipnet.utils.cli import one_line_errors
from lipnet.utils.files import write_atomically
from lipnet.weights import WEIGHTS

CONFUSIONS = 10  # that metrics.json lists
EXAMPLES = """examples:
  python scripts/evaluate.py --data data/grid --split dev_seen --decoder grammar
  python scripts/evaluate.py --weights runs/a/best.safetensors --data data/grid --split unseen_test \\
      --decoder beam --out results/unseen
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="of a run (default: the shipped ones)")
    parser.add_argument("--data", type=Path, required=True, help="folder that preprocess.py wrote")
    parser.add_argument("--split", required=True, help="list file, name of a list in DATA/splits, or all")
    add_decoder_arguments(parser)
    parser.add_argument("--out", type=Path, help="folder for metrics.json and predictions.csv")
    parser.add_argument("--batch-size", type=int, default=16, help="clips (default: 16)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    return parser.parse_args()


@one_line_errors
def main() -> int:
    args = parse_arguments()
    if args.batch_size < 1:
        raise LipnetError(f"--batch-size {args.batch_size}: give 1 or more")
    device = choose_device(args.device)
    model, metadata = load_weights(args.weights, device.torch_device)
    corpus = CropStore(args.data)
    corpus.check_crop(metadata.crop, "the weights need")
    tokenizer = Tokenizer(metadata.model.alphabet)
    options = decoder_options(args)
    decoder = make_decoder(args.decoder, tokenizer, options)
    dataset = ClipDataset(corpus, corpus.split(args.split), tokenizer)
    batches = tqdm(eval_loader(dataset, args.batch_size), unit="batch", leave=False)
    evaluation = evaluate(model, batches, decoder, device)
    name = f"{args.decoder} {options.file}" if options.file else args.decoder
    print(evaluation.counts.summary(name))
    if args.out is not None:
        write_results(args.out, evaluation, metadata.info, args)
    return 0


def write_results(
    folder: Path, evaluation: Evaluation, info: dict[str, Any], args: argparse.Namespace
) -> None:
    """metrics.json: rates, counts and what goes wrong. predictions.csv: clip, target, prediction, score."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = evaluation.counts
    metrics: dict[str, Any] = {
        "weights": str(args.weights),
        **{key: info[key] for key in ("epoch", "revision", "train_split") if key in info},
        "split": args.split,
        "decoder": args.decoder,
        "lm": str(args.lm) if args.lm else None,
        "grammar": str(args.grammar) if args.grammar else None,
        "dictionary": str(args.dictionary) if args.dictionary else None,
        "wer": counts.wer,
        "cer": counts.cer,
        "ser": counts.ser,
        **asdict(counts),
        **words_gone_wrong(evaluation),
    }
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1).encode())
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["clip", "target", "prediction", "score"])
    for name, target, best in zip(evaluation.names, evaluation.targets, evaluation.predictions, strict=True):
        writer.writerow([name, target, best.text, f"{best.score:.4f}"])
    write_atomically(folder / "predictions.csv", table.getvalue().encode())


def words_gone_wrong(evaluation: Evaluation) -> dict[str, Any]:
    """Errors at each place of the sentence, by slot where all are GRID's, and the commonest confusions."""
    wrong = WordErrors()
    for target, best in zip(evaluation.targets, evaluation.predictions, strict=True):
        wrong.add(target, best.text)
    slots = [slot.name for slot in GRAMMAR]
    is_grid = all(is_grid_sentence(target.split()) for target in evaluation.targets)
    return {
        "places": [
            {"place": slots[i] if is_grid else i + 1, "errors": wrong.errors[i], "words": count}
            for i, count in sorted(wrong.words.items())
        ],
        "confusions": [
            {"said": said, "read": read, "times": times}
            for (said, read), times in wrong.confusions.most_common(CONFUSIONS)
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
