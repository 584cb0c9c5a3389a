"""Error rates of a checkpoint on a split of stored mouth crops."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lipnet.data.crop_store import CropStore
from lipnet.data.dataset import Batch, ClipDataset
from lipnet.data.loading.loaders import eval_loader
from lipnet.decoding.factory import add_decoder_arguments, decoder_options, make_decoder, resolve_decoder
from lipnet.errors import LipnetError
from lipnet.grid import GRAMMAR, is_grid_sentence
from lipnet.inference.emissions import Backend
from lipnet.inference.reader import load_backend
from lipnet.inference.torch_backend import TorchBackend
from lipnet.metrics import ErrorCounts, WordErrors, bootstrap_interval
from lipnet.tokenizer import Tokenizer
from lipnet.training.evaluation import Emitted, Evaluation, evaluate, read_clips
from lipnet.utils.cli import command_line, make_parser
from lipnet.utils.files import as_bytes, write_atomically
from lipnet.utils.workers import core_count
from lipnet.weights import WEIGHTS

CONFUSIONS = 10  # number of them in metrics.json
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
    dataset = ClipDataset(
        corpus,
        corpus.split(args.split),
        tokenizer,
        streams=metadata.model.streams,
        landmark_input=metadata.model.landmark_input,
    )
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
    print(interval_line(evaluation))
    if args.out is not None:
        write_results(args.out, evaluation, metadata.info, args)
    return 0


def emissions_of(network: Backend) -> Callable[[Batch], list[Emitted]]:
    """A network that PyTorch does not compute, as `read_clips` needs it."""

    def emissions(batch: Batch) -> list[Emitted]:
        clips = [frames[:n].numpy() for frames, n in zip(batch.frames, batch.lengths, strict=True)]
        landmarks: list[np.ndarray | None] = [None] * len(clips)
        if batch.landmarks is not None:
            landmarks = [
                of_clip[:n].numpy() for of_clip, n in zip(batch.landmarks, batch.lengths, strict=True)
            ]
        return [Emitted(log_probs, words) for log_probs, words, _ in network(clips, landmarks)]

    return emissions


def write_results(
    folder: Path, evaluation: Evaluation, info: dict[str, Any], args: argparse.Namespace
) -> None:
    """Write metrics.json (rates, counts, word errors) and predictions.csv (clip, target, prediction, score).

    Args:
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
        "intervals": intervals(evaluation),
        "cer": counts.cer,
        "ser": counts.ser,
        **asdict(counts),
        **word_errors(evaluation),
    }
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1).encode())
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["clip", "target", "prediction", "score"])
    for name, target, best in zip(evaluation.names, evaluation.targets, evaluation.predictions, strict=True):
        writer.writerow([name, target, best.text, f"{best.score:.4f}"])
    write_atomically(folder / "predictions.csv", as_bytes(table.getvalue()))


def intervals(evaluation: Evaluation) -> dict[str, tuple[float, float]]:
    """The 95 % bootstrap intervals of the word and of the character error rate, as fractions."""
    counts = []
    for target, best in zip(evaluation.targets, evaluation.predictions, strict=True):
        counts.append(ErrorCounts())
        counts[-1].add(target, best.text)
    return {
        "wer": bootstrap_interval([one.word_errors for one in counts], [one.words for one in counts]),
        "cer": bootstrap_interval(
            [one.character_errors for one in counts], [one.characters for one in counts]
        ),
    }


def interval_line(evaluation: Evaluation) -> str:
    shown = [
        f"{rate.upper()} {100 * low:.1f} to {100 * high:.1f} %"
        for rate, (low, high) in intervals(evaluation).items()
    ]
    return f"95 % intervals: {', '.join(shown)} (bootstrap over clips)"


def word_errors(evaluation: Evaluation) -> dict[str, Any]:
    """Errors by position, named after GRID's slots if all targets are GRID sentences, and confusions."""
    errors = WordErrors()
    for target, best in zip(evaluation.targets, evaluation.predictions, strict=True):
        errors.add(target, best.text)
    slots = [slot.name for slot in GRAMMAR]
    is_grid = all(is_grid_sentence(target.split()) for target in evaluation.targets)
    return {
        "places": [
            {"place": slots[i] if is_grid else i + 1, "errors": errors.errors[i], "words": count}
            for i, count in sorted(errors.words.items())
        ],
        "confusions": [
            {"said": target, "read": prediction, "times": times}
            for (target, prediction), times in errors.confusions.most_common(CONFUSIONS)
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
