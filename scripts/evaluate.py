"""Error rates of a checkpoint on a split of stored mouth crops."""

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

from lipnet.analysis.rates import Rates, confused_words, interval_line, places, rates
from lipnet.analysis.reading import emissions_of, texts_of
from lipnet.data.crop_store import CropStore
from lipnet.data.loading.loaders import eval_loader
from lipnet.decoding.factory import add_decoder_arguments, decoder_options, make_decoder, resolve_decoder
from lipnet.errors import LipnetError
from lipnet.inference.reader import load_backend
from lipnet.inference.torch_backend import TorchBackend
from lipnet.tokenizer import Tokenizer
from lipnet.training.data import whole_clips
from lipnet.training.evaluation import Evaluation, evaluate, read_clips
from lipnet.utils.cli import command_line, make_parser
from lipnet.utils.files import as_bytes, write_atomically
from lipnet.utils.workers import core_count
from lipnet.weights import WEIGHTS

EXAMPLES = """examples:
  %(prog)s --data data/grid --split dev_seen --decoder grammar
  %(prog)s --weights runs/a/best.safetensors --data data/grid --split unseen_test \\
      --decoder beam --out results/unseen
"""


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS, help="of a run, or an .onnx file (default: those that ship)"
    )
    parser.add_argument(
        "--data", type=Path, required=True, nargs="+", help="crop stores that preprocess.py wrote"
    )
    parser.add_argument("--split", required=True, help="list file, name of a list in DATA/splits, or all")
    add_decoder_arguments(parser)
    parser.add_argument("--out", type=Path, help="folder for metrics.json and predictions.csv")
    parser.add_argument("--batch-size", type=int, default=16, help="clips (default: 16)")
    parser.add_argument(
        "--workers",
        type=int,
        default=core_count() - 1,
        help="processes that decode; below 2 none is started (default: one less than there are cores)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    if args.batch_size < 1:
        raise LipnetError(f"--batch-size {args.batch_size}: give 1 or more")
    if args.workers < 0:
        raise LipnetError(f"--workers {args.workers}: give 0 or more")
    network = load_backend(args.weights, args.device)
    metadata = network.metadata
    corpus = CropStore(*args.data)
    corpus.check_crop(metadata.crop, "the weights need")
    tokenizer = Tokenizer(metadata.model.alphabet)
    options = decoder_options(args)
    args.decoder = resolve_decoder(args.decoder, tokenizer, options, metadata.grid_only)
    decoder = make_decoder(args.decoder, tokenizer, options)
    dataset = whole_clips(corpus, corpus.split(args.split), metadata.model)
    if not any(clip.sentence.split() for clip in dataset.clips):
        raise LipnetError(
            f"{corpus.root}: no clip of {args.split} has a reference text; give another --split"
        )
    batches = tqdm(eval_loader(dataset, args.batch_size), unit="batch", leave=False)
    if isinstance(network, TorchBackend):
        evaluation = evaluate(network.model, batches, decoder, network.device, args.workers)
    else:
        evaluation = read_clips(batches, emissions_of(network), decoder, args.workers)
    name = f"{args.decoder} {options.file}" if options.file else args.decoder
    print(evaluation.counts.summary(name))
    found = rates(evaluation.targets, texts_of(evaluation))
    print(interval_line(found))
    if args.out is not None:
        write_results(args.out, evaluation, found, metadata.info, args)
    return 0


def write_results(
    folder: Path, evaluation: Evaluation, found: Rates, info: dict[str, Any], args: argparse.Namespace
) -> None:
    """Write metrics.json (rates, counts, word errors) and predictions.csv (clip, target, prediction, score).

    Args:
        found: the rates of the evaluation.
        info: from the metadata of the weights.
    """
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
        "intervals": {"wer": found.wer, "cer": found.cer},
        "cer": counts.cer,
        "ser": counts.ser,
        **asdict(counts),
        "places": [
            {"place": place.name, "errors": place.errors, "words": place.words}
            for place in places(evaluation.targets, texts_of(evaluation))
        ],
        "confusions": confused_words(evaluation.targets, texts_of(evaluation)),
    }
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1).encode())
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["clip", "target", "prediction", "score"])
    for name, target, best in zip(evaluation.names, evaluation.targets, evaluation.predictions, strict=True):
        writer.writerow([name, target, best.text, f"{best.score:.4f}"])
    write_atomically(folder / "predictions.csv", as_bytes(table.getvalue()))


if __name__ == "__main__":
    sys.exit(main())
