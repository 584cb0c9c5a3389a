"""A report on weights and a split: error rates, confusions, words, the worst clips, and weights compared."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from lipnet.analysis.reading import Reading, SplitEmissions
from lipnet.data.crop_store import CropStore
from lipnet.data.loading.loaders import eval_loader
from lipnet.decoding.factory import (
    DECODERS,
    DecoderOptions,
    add_decoder_arguments,
    decoder_options,
    make_decoder,
    resolve_decoder,
)
from lipnet.errors import LipnetError
from lipnet.inference.reader import load_backend
from lipnet.tokenizer import Tokenizer
from lipnet.training.data import whole_clips
from lipnet.training.run_log import read_run_log
from lipnet.utils.cli import command_line, make_parser
from lipnet.utils.workers import core_count
from lipnet.weights import WEIGHTS

PACKAGES = ("jinja2", "matplotlib")  # of the extra [analyze]
EXAMPLES = """examples:
  %(prog)s --data data/grid --split dev_seen --out report
  %(prog)s --weights runs/a/best.safetensors runs/b/best.safetensors --data data/grid --split unseen_test \\
      --run runs/a --out report
"""


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    help_weights = "of runs, or .onnx files; all are compared with the first (default: those that ship)"
    add("--weights", type=Path, nargs="+", default=[WEIGHTS], help=help_weights)
    add("--data", type=Path, required=True, nargs="+", help="crop stores that preprocess.py wrote")
    add("--split", required=True, help="list file, name of a list in DATA/splits, or all")
    add_decoder_arguments(parser)
    add(
        "--also", nargs="*", choices=DECODERS, help="decoders to compare with (default: all that can be used)"
    )
    add("--run", type=Path, help="run folder, for learning curves")
    add("--out", type=Path, required=True, help="folder for report.html and the tables")
    add("--batch-size", type=int, default=16, help="clips (default: 16)")
    help_workers = "processes that decode; below 2 none is started (default: one less than there are cores)"
    add("--workers", type=int, default=core_count() - 1, help=help_workers)
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    check_arguments(args)
    from lipnet.analysis.report import Report  # after the check of its packages

    run = read_run_log(args.run) if args.run else None
    store = CropStore(*args.data)
    clips = store.split(args.split)
    if not any(clip.sentence.split() for clip in clips):
        raise LipnetError(f"{store.root}: no clip of {args.split} has a reference text; give another --split")
    readings = [read(weights, store, args) for weights in labelled(args.weights).items()]
    args.out.mkdir(parents=True, exist_ok=True)
    report = Report(readings, store, clips, args.out)
    path = report.write(f"{readings[0].name} on {Path(args.split).name}", run)
    for reading in readings:
        print(f"{reading.name}: {reading.main.counts.summary(reading.decoder)}")
    print(path)
    return 0


def check_arguments(args: argparse.Namespace) -> None:
    if args.batch_size < 1:
        raise LipnetError(f"--batch-size {args.batch_size}: give 1 or more")
    if args.workers < 0:
        raise LipnetError(f"--workers {args.workers}: give 0 or more")
    existing = next(path for path in (args.out, *args.out.absolute().parents) if path.exists())
    if not existing.is_dir():  # known before all clips are read
        raise LipnetError(f"--out {args.out}: {existing} is a file; give a folder")
    for package in PACKAGES:
        if find_spec(package) is None:
            raise LipnetError(f"{package} is not installed: pip install 'lipnet[analyze]'")


def labelled(paths: Sequence[Path]) -> dict[str, Path]:
    """The weights by their file names; by their paths where two files have one name.

    Raises LipnetError if a file is given twice.
    """
    names = {path.name: path for path in paths}
    if len(names) < len(paths):
        names = {str(path): path for path in paths}
    if len(names) < len(paths):
        raise LipnetError("--weights: a file is given twice; give different ones")
    return names


def read(named: tuple[str, Path], store: CropStore, args: argparse.Namespace) -> Reading:
    """Read the split with one network, given as its name in the report and its file, and each decoder."""
    label, weights = named
    network = load_backend(weights, args.device)
    metadata = network.metadata
    store.check_crop(metadata.crop, "the weights need")
    tokenizer = Tokenizer(metadata.model.alphabet)
    options = decoder_options(args)
    name = resolve_decoder(args.decoder, tokenizer, options, metadata.grid_only)
    decoders = {name: make_decoder(name, tokenizer, options)}
    for other in DECODERS if args.also is None else args.also:
        try:
            decoders.setdefault(other, make_decoder(other, tokenizer, DecoderOptions()))
        except LipnetError as error:  # such as GRID's words, which another alphabet does not spell
            if args.also is not None:
                raise
            print(f"{other}: left out ({error})", file=sys.stderr)
    dataset = whole_clips(store, store.split(args.split), metadata.model)
    batches = tqdm(eval_loader(dataset, args.batch_size), unit="batch", leave=False)
    emitted = SplitEmissions.of(network, batches)
    evaluations = {
        key: emitted.decoded(decoder, args.workers)
        for key, decoder in tqdm(decoders.items(), unit="decoder", leave=False)
    }
    return Reading(label, network, emitted.by_name(), evaluations, options)


if __name__ == "__main__":
    sys.exit(main())
