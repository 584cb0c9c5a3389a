"""Kill preprocess.py, its shards and train.py at random moments. ``PYTHONPATH=tests python -m kill -h``

A killed program must leave no process after 2 s, and the continued one must write what an uninterrupted one
writes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp

from .moments import draw_moments
from .programs import Preprocess, Shards, Train
from .runner import Runner


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=50, help="kills of each program (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="only the kill of this number")
    parser.add_argument("--program", choices=("preprocess", "shards", "train"), help="only this program")
    parser.add_argument("--jobs", type=int, default=2, help="kills at the same time (default: 2)")
    args = parser.parse_args()
    folder = Path(mkdtemp(prefix="lipnet-kill-"))
    program = Preprocess(folder / "corpus")
    preprocess = Runner(program, folder / "preprocess")
    findings = 0
    if args.program in (None, "preprocess"):
        findings += report(preprocess, args)
    if args.program in (None, "shards"):
        findings += report(Runner(Shards(program.corpus), folder / "shards"), args)
    if args.program in (None, "train"):
        findings += report(Runner(Train(preprocess.reference), folder / "train"), args)
    if findings:
        print(f"what they have written is in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if findings else 0


def report(runner: Runner, args: argparse.Namespace) -> int:
    """Kill one program; print each finding and a line about all. Returns the number of findings."""
    began = time.monotonic()
    moments = draw_moments(args.count, args.seed)
    if args.only is not None:
        moments = [moments[args.only]]
    outcomes = []
    for outcome in runner.run(moments, args.jobs):
        outcomes.append(outcome)
        for finding in outcome.findings:
            print(f"{runner.program.name}, seed {args.seed} number {outcome.moment}: {finding}", flush=True)
    found = sum(bool(outcome.findings) for outcome in outcomes)
    codes = Counter(outcome.code for outcome in outcomes)
    print(
        f"{runner.program.name}: {len(outcomes)} kills, {found} findings, all processes ended after at most "
        f"{max(outcome.ended_s for outcome in outcomes):.2f} s, exit codes "
        f"{', '.join(f'{code} ({count})' for code, count in codes.most_common())}, "
        f"{time.monotonic() - began:.0f} s",
        flush=True,
    )
    return found


if __name__ == "__main__":
    sys.exit(main())
