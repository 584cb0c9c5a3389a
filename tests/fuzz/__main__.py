"""Read mutated inputs; report tracebacks, hangs and memory. ``PYTHONPATH=tests python -m fuzz -h``"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz.inputs import ORDER, Input, make_input, write_valid
from fuzz.pool import Finding, read_all


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="inputs (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default: 0)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input (default: 0)")
    parser.add_argument("--kind", choices=sorted(set(ORDER)), help="only inputs of this kind")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="copy the inputs of findings to this folder")
    args = parser.parse_args()
    started = time.monotonic()
    with TemporaryDirectory(prefix="lipnet-fuzz-") as folder:
        findings = run(Path(folder), args)
    print(f"{args.count} inputs, {len(findings)} findings, {time.monotonic() - started:.0f} s")
    return 1 if findings else 0


def run(folder: Path, args: argparse.Namespace) -> list[Finding]:
    """Read the inputs and print each finding; returns them all."""
    write_valid(folder / "valid")
    (folder / "mutated").mkdir()
    found = []
    for finding in read_all(inputs(folder, args), folder / "valid", args.workers):
        if finding is not None:
            found.append(finding)
            number, kind, name, path = finding.input
            print(f"seed {args.seed} number {number} {kind} {name}: {finding.what}", flush=True)
            if args.keep:
                keep(path, args.keep, finding.detail)
    for kind, count in Counter(finding.input.kind for finding in found).most_common():
        print(f"{kind}: {count}")
    return found


def inputs(folder: Path, args: argparse.Namespace) -> Iterator[Input]:
    for number in range(args.first, args.first + args.count):
        if args.kind in (None, ORDER[number % len(ORDER)]):
            yield make_input(folder / "valid", folder / "mutated", args.seed, number)


def keep(path: Path, folder: Path, detail: str) -> None:
    """Copy an input, and the traceback beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
    (folder / f"{path.name}.traceback").write_text(detail)


if __name__ == "__main__":
    sys.exit(main())
