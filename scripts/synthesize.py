"""Write a corpus of drawn speakers who say GRID sentences."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from lipnet.synthetic.articulation import FRAMES
from lipnet.synthetic.corpus import plan_corpus, write_corpus
from lipnet.utils.cli import one_line_errors

EXAMPLES = """\
examples:
  four speakers, the last of whom is kept unseen (200 clips, half a minute on two cores):
    python scripts/synthesize.py --out data/synthetic --speakers 4 --sentences 50

  two further speakers for the same folder, with sentences that nobody has said yet:
    python scripts/synthesize.py --out data/synthetic --speakers 2 --sentences 50 --first-speaker 5

A run that was stopped goes on where it was with the same command.
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the corpus, made if it is not there"
    )
    parser.add_argument("--speakers", type=int, default=4, help="how many speakers (default: %(default)s)")
    parser.add_argument("--sentences", type=int, default=50, help="clips a speaker (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same corpus (default: %(default)s)")
    parser.add_argument(
        "--first-speaker", type=int, default=1, help="number of the first one (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    return parser.parse_args()


@one_line_errors
def main() -> int:
    args = parse_arguments()
    jobs = plan_corpus(args.out, args.speakers, args.sentences, args.seed, args.first_speaker)
    began = time.perf_counter()
    made = write_corpus(jobs, args.workers)
    if made:
        seconds = time.perf_counter() - began
        print(f"{args.out}: {made} clips written in {seconds:.0f} s ({made * FRAMES / seconds:.0f} frames/s)")
    else:
        print(f"{args.out}: all {len(jobs)} clips are there already, nothing to do")
    return 0


if __name__ == "__main__":
    sys.exit(main())
