"""Crop the mouths of a corpus once, into memory-mapped arrays that training reads."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby, repeat
from pathlib import Path

import cv2
from tqdm import tqdm

from lipnet.config import CropConfig, load_config
from lipnet.errors import LipnetError, one_line_errors
from lipnet.grid import Clip, Corpus, find_clips, read_split
from lipnet.mouth import Crops, MouthCropper
from lipnet.packed import SpeakerWriter, write_splits
from lipnet.video import iter_frames

EXAMPLES = """examples:
  python scripts/preprocess.py data/GRID --out data/grid --workers 8
  python scripts/preprocess.py clips --aligns transcripts --out data/own crop.eye_distance=64
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="folder of videos, ROOT/SPEAKER/ID.mpg")
    parser.add_argument("overrides", nargs="*", help="crop.key=value settings")
    parser.add_argument("--out", type=Path, required=True, help="folder for the packed crops")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    parser.add_argument("--aligns", type=Path, help="folder of alignments, if not ROOT/align")
    parser.add_argument("--speakers", help="only these, such as s1,s3")
    parser.add_argument("--config", type=Path, help="YAML file with a crop section")
    parser.add_argument(
        "--overlapped", type=Path, help="list of the overlapped split's test clips (default: drawn by seed)"
    )
    parser.add_argument("--seed", type=int, default=0, help="draws the overlapped split (default: 0)")
    return parser.parse_intermixed_args()


@one_line_errors
def main() -> int:
    args = parse_arguments()
    crop = load_config(args.config, args.overrides).crop
    corpus = find_clips(args.corpus, args.aligns, args.speakers.split(",") if args.speakers else None)
    overlapped = None if args.overlapped is None else read_split(args.overlapped)
    try:
        counts = preprocess(corpus, args.out, crop, max(1, args.workers))
    except BrokenProcessPool as error:
        raise LipnetError(
            "a worker was killed, perhaps for want of memory; run the same command with fewer --workers"
        ) from error
    if corpus.problems:
        print(f"left out {len(corpus.problems)} clips:", file=sys.stderr)
        for name, reason in corpus.problems.items():
            print(f"  {name}: {reason}", file=sys.stderr)
    if not counts["cropped"] + counts["there"]:
        raise LipnetError(f"{args.corpus}: not one clip could be cropped; the list above says why")
    print(f"{args.out}: {summary(counts, len(corpus.problems))}")
    write_splits(args.out, args.corpus, overlapped, args.seed)
    return 1 if corpus.problems else 0


def summary(counts: Counter[str], left_out: int) -> str:
    """What was done, in a line."""
    relabelled = f", {counts['relabelled']} of them with new transcripts" if counts["relabelled"] else ""
    if not counts["cropped"]:
        return f"nothing to do, all {counts['there']} clips are there{relabelled}"
    faces = 100 * counts["faces"] / counts["frames"]
    return (
        f"{counts['cropped']} clips cropped, {counts['there']} were there already{relabelled}, "
        f"{left_out} left out; a face in {faces:.1f} % of the new frames"
    )


def preprocess(corpus: Corpus, out: Path, crop: CropConfig, workers: int) -> Counter[str]:
    """Crop the clips that ``out`` lacks; what cannot be cropped joins ``corpus.problems``. Returns counts."""
    counts: Counter[str] = Counter()
    # Started afresh, not forked: OpenCV's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(workers, context, initializer=start_worker) as pool,
        tqdm(total=len(corpus.clips), unit="clip", smoothing=0.02) as bar,
    ):
        for speaker, clips in groupby(corpus.clips, lambda clip: clip.speaker):
            with SpeakerWriter(out, speaker, crop) as writer:
                todo = []
                for clip in clips:
                    if clip.id in writer.clips:
                        counts.update(there=1, relabelled=writer.relabel(clip))
                        bar.update()
                    else:
                        todo.append(clip)
                results = pool.map(crop_clip, todo, repeat(crop), chunksize=2)
                for clip, result in zip(todo, results, strict=True):
                    bar.update()
                    if isinstance(result, LipnetError):
                        corpus.problems[clip.name] = str(result)
                        continue
                    faces = int(result.track.found.sum())
                    writer.add(clip, result.frames, faces)
                    counts.update(cropped=1, frames=len(result.frames), faces=faces)
    return counts


def start_worker() -> None:
    """Settings of a worker process."""
    cv2.setNumThreads(1)  # there is a process for each core already
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends the others


def crop_clip(clip: Clip, crop: CropConfig) -> Crops | LipnetError:
    """One clip's crops, or why there are none. Runs in a worker."""
    try:
        return MouthCropper(crop)(list(iter_frames(clip.video)), str(clip.video))
    except LipnetError as error:
        return error


if __name__ == "__main__":
    sys.exit(main())
