"""How fast this machine crops, trains and reads. Needs no corpus: its videos show synthetic speakers."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from lipnet.benchmark.inputs import GPU_SIZES, Bench, Sizes
from lipnet.benchmark.parts import PARTS
from lipnet.benchmark.report import HEAD, environment, heading, row, to_json
from lipnet.benchmark.timing import Result
from lipnet.device import choose_device
from lipnet.errors import LipnetError
from lipnet.settings import load_config
from lipnet.utils.cli import command_line, make_parser
from lipnet.utils.files import write_atomically
from lipnet.utils.log import LOG
from lipnet.weights import WEIGHTS

EXAMPLES = """examples:
  All parts, as a table and as JSON (a minute and a half on two cores):
    %(prog)s --out benchmark.json
  Steps and a whole epoch on a GPU, with four loader processes:
    %(prog)s --only step,epoch --batch-size 32,64,128 data.workers=4
"""
CPU_BATCH, GPU_BATCHES = [8], [32, 64, 128]  # clips
SEPARATE = {"epoch"}  # parts that take long, and are left out unless they are asked for
BUSY = 0.3  # processes a core that want to run besides this one: more of them make all numbers worse


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    add("overrides", nargs="*", help="section.key=value settings, which override the config file's")
    add("--config", type=Path, default=Path("configs/grid.yaml"), help="recipe (default: %(default)s)")
    add("--weights", type=Path, default=WEIGHTS, help="for reading (default: those that ship)")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    add("--precision", default="auto", help="of training and evaluation, as run.precision (default: auto)")
    add("--batch-size", metavar="N,N", help="clips in training (default: 8 on a CPU, 32,64,128 on a GPU)")
    add("--only", metavar="PART,PART", help=f"some of {', '.join(PARTS)} (default: all but epoch)")
    add("--epoch", action="store_true", help="measure whole epochs, too: 28775 clips on a GPU take seconds")
    add("--clips", type=int, help="clips of an epoch (default: 28775, as the paper trains on)")
    add("--videos", type=int, help="synthetic clips that are cropped and read (default: 3)")
    add("--repeats", type=int, help="of each measurement; the median counts (default: 5)")
    add("--out", type=Path, metavar="JSON", help="file to write the numbers to, after each part")
    return parser.parse_intermixed_args()


@command_line
def main() -> int:
    args = parse_arguments()
    parts = chosen_parts(args)
    device = choose_device(args.device, args.precision)
    device.tune()
    where = environment(device)
    if where["load"] is not None and where["load"] > BUSY * where["cores"]:
        LOG.warning(
            f"the machine is not at rest (load {where['load']:g}), the numbers are worse than its own"
        )
    config = load_config(args.config, args.overrides)
    batch_sizes = numbers(args.batch_size) if args.batch_size else GPU_BATCHES if device.is_gpu else CPU_BATCH
    what = {
        "config": str(args.config),
        "settings": args.overrides,
        "weights": args.weights.name,
        "batch_sizes": batch_sizes,
    }
    print(heading(where))
    print(HEAD)
    with tempfile.TemporaryDirectory(prefix="lipnet-benchmark-") as folder:
        sizes = chosen_sizes(args, GPU_SIZES if device.is_gpu else Sizes())
        bench = Bench(config, device, Path(folder), args.weights, batch_sizes, sizes)
        run(bench, parts, where, what, args.out)
    return 0


def run(
    bench: Bench, parts: list[str], where: dict[str, object], what: dict[str, object], out: Path | None
) -> None:
    """Measure the parts; print each result, and write all of them into a file after each part."""
    started = time.perf_counter()
    results: list[Result] = []

    def save() -> None:
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(out, to_json(where, what, results, time.perf_counter() - started))

    save()  # so that a file that cannot be written is known before anything is measured
    with tqdm(parts, unit="part", leave=False) as bar:
        for part in bar:
            bar.set_description(part)
            for result in PARTS[part](bench):
                results.append(result)
                tqdm.write(row(result))
            save()


def chosen_parts(args: argparse.Namespace) -> list[str]:
    """The parts to measure. Raises LipnetError on one that does not exist."""
    chosen = set(args.only.split(",")) if args.only else PARTS.keys() - SEPARATE
    if args.epoch:
        chosen |= SEPARATE
    for part in sorted(chosen - PARTS.keys()):
        raise LipnetError(f"--only {part}: choose some of {','.join(PARTS)}")
    return [part for part in PARTS if part in chosen]


def numbers(text: str) -> list[int]:
    """Batch sizes separated by commas. Raises LipnetError on anything else."""
    sizes = [int(size) if size.isdecimal() else 0 for size in text.split(",")]
    if min(sizes) < 1:
        raise LipnetError(f"--batch-size {text}: give numbers from 1 on, such as 32,64,128")
    return sizes


def chosen_sizes(args: argparse.Namespace, sizes: Sizes) -> Sizes:
    """Raises LipnetError on numbers below 1."""
    given = {"corpus": args.clips, "videos": args.videos, "repeats": args.repeats}
    for option, number in zip(("clips", "videos", "repeats"), given.values(), strict=True):
        if number is not None and number < 1:
            raise LipnetError(f"--{option} {number}: give 1 or more")
    return replace(sizes, **{name: number for name, number in given.items() if number is not None})


if __name__ == "__main__":
    sys.exit(main())
