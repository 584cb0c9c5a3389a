"""Generate a corpus of synthetic speakers who say GRID sentences."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from lipnet.synthetic.articulation import FRAMES
from lipnet.synthetic.corpus import plan_corpus, write_corpus
from lipnet.utils.cli import command_line, make_parser
from lipnet.utils.files import lock_folder

EXAMPLES = """\
examples:
  four speakers, the last of them for the list dev_unseen (200 clips, half a minute on two cores):
    %(prog)s --out data/synthetic --speakers 4 --sentences 50

  two more speakers in the same folder, with sentences that no other speaker says:
    %(prog)s --out data/synthetic --speakers 2 --sentences 50 --first-speaker 5

After an interruption, the same command continues where it stopped.
"""


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    parser.add_argument("--out", type=Path, required=True, help="folder of the corpus, created if necessary")
    parser.add_argument("--speakers", type=int, default=4, help="number of speakers (default: %(default)s)")
    parser.add_argument("--sentences", type=int, default=50, help="clips per speaker (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same corpus (default: %(default)s)"
    )
    parser.add_argument(
        "--first-speaker", type=int, default=1, help="number of the first speaker (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes (default: one per core)"
    )
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    plan = (args.out, args.speakers, args.sentences, args.seed, args.first_speaker)
    plan_corpus(*plan)  # refuses wrong numbers before the folder exists
    with lock_folder(args.out):
        jobs = plan_corpus(*plan)
        began = time.perf_counter()
        made = write_corpus(jobs, args.workers)
    if made:
        seconds = time.perf_counter() - began
        print(f"{args.out}: {made} clips written in {seconds:.0f} s ({made * FRAMES / seconds:.0f} frames/s)")
    else:
        print(f"{args.out}: all {len(jobs)} clips exist already, nothing to do")
    return 0


if __name__ == "__main__":
    sys.exit(main())
