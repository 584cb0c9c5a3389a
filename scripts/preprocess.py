"""Crop the mouths of a corpus once, into memory-mapped arrays that training reads."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby, repeat
from pathlib import Path

import cv2
from tqdm import tqdm

from lipnet.config import CropConfig, load_config
from lipnet.errors import LipnetError, one_line_errors
from lipnet.grid import Clip, Corpus, find_clips
from lipnet.mouth import Crops, MouthCropper
from lipnet.packed import SpeakerWriter, write_splits
from lipnet.video import read_video

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
    counts = preprocess(corpus, args.out, crop, max(1, args.workers))
    if corpus.problems:
        print(f"left out {len(corpus.problems)} clips:", file=sys.stderr)
        for name, reason in corpus.problems.items():
            print(f"  {name}: {reason}", file=sys.stderr)
    if not counts["cropped"] + counts["there"]:
        raise LipnetError(f"{args.corpus}: not one clip could be cropped; the list above says why")
    print(f"{args.out}: {summary(counts, len(corpus.problems))}")
    write_splits(args.out, args.corpus, args.overlapped, args.seed)
    return 1 if corpus.problems else 0


def summary(counts: Counter[str], left_out: int) -> str:
    """What was done, in a line."""
    if not counts["cropped"]:
        return f"nothing to do, all {counts['there']} clips are there"
    return (
        f"{counts['cropped']} clips cropped, {counts['there']} were there already, {left_out} left out; "
        f"a face in {100 * counts['faces'] / counts['frames']:.1f} % of the new frames"
    )


def preprocess(corpus: Corpus, out: Path, crop: CropConfig, workers: int) -> Counter[str]:
    """Crop the clips that ``out`` lacks; what cannot be cropped joins ``corpus.problems``. Returns counts."""
    counts: Counter[str] = Counter()
    speakers = groupby(corpus.clips, lambda clip: clip.speaker)
    with (
        ProcessPoolExecutor(workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool,
        tqdm(total=len(corpus.clips), unit="clip", smoothing=0.02) as bar,
    ):
        for speaker, clips in speakers:
            with SpeakerWriter(out, speaker, crop) as writer:
                todo = []
                for clip in clips:
                    if clip.id in writer.clips:
                        counts["there"] += 1
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


def crop_clip(clip: Clip, crop: CropConfig) -> Crops | LipnetError:
    """One clip's crops, or why there are none. Runs in a worker."""
    try:
        return MouthCropper(crop)(read_video(clip.video), str(clip.video))
    except LipnetError as error:
        return error


if __name__ == "__main__":
    sys.exit(main())
