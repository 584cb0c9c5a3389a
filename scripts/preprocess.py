"""Crop the mouths of a corpus once, into memory-mapped arrays that training reads."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby, repeat
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lipnet.config import CropConfig
from lipnet.cropping.factory import make_cropper
from lipnet.data.corpus import Clip, Corpus, find_clips, select_clips
from lipnet.data.crop_store import CropStore, CropStoreWriter
from lipnet.data.external_crops import KINDS, find_crops, load_crops, save_crops
from lipnet.data.splits import read_split, write_splits
from lipnet.errors import LipnetError
from lipnet.settings import load_config
from lipnet.tokenizer import Tokenizer
from lipnet.utils.cli import one_line_errors
from lipnet.utils.workers import check_workers, start_worker
from lipnet.video.decode import iter_frames

EXAMPLES = """examples:
  Crop the first hundred clips of each speaker by MTCNN, and write an array of each clip too:
    python scripts/preprocess.py data/GRID --out data/mtcnn --last 100 --export npy crop.method=mtcnn
  Pack crops of 128x64 px that another LipNet has left as images, with the alignments of the corpus:
    python scripts/preprocess.py peer/lip --import png --aligns data/GRID/align --out data/peer \\
        crop.width=128 crop.height=64
"""
SETTINGS = ("crop.", "model.alphabet=")  # those of a config that matter here
# A clip's crops and in how many of them a face was found, or why there are none.
Cut = tuple[np.ndarray, int] | LipnetError


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("corpus", type=Path, help="folder of videos, ROOT/SPEAKER/ID.mpg, or of what --import says")
    add("overrides", nargs="*", help="crop.key=value settings, such as crop.method=mtcnn; model.alphabet=...")
    add("--out", type=Path, required=True, help="folder for the packed crops")
    add("--workers", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    add("--aligns", type=Path, help="folder of alignments, if not ROOT/align")
    add("--speakers", help="only these, such as s1,s3")
    add("--pattern", default="", metavar="GLOB", help="only clips whose path ends so: '*.mpg', 's1/b*'")
    add("--first", type=int, default=1, metavar="N", help="of each speaker, from the N-th clip (default: 1)")
    add("--last", type=int, metavar="N", help="of each speaker, to the N-th clip, which is included")
    add("--config", type=Path, help="recipe whose crop section, and model.alphabet, are used")
    add(
        "--import",
        choices=KINDS,
        dest="imported",
        help="ROOT holds crops, as arrays SPEAKER/ID.npy or images SPEAKER/ID/mouth_000.png ...; crop.* "
        "settings say how they were cut",
    )
    add("--export", choices=KINDS, help="write the crops as such files too, into OUT_npy or OUT_png")
    add("--overlapped", type=Path, help="list of the overlapped split's test clips (default: drawn by seed)")
    add("--seed", type=int, default=0, help="draws the overlapped split (default: 0)")
    return parser.parse_intermixed_args()


@one_line_errors
def main() -> int:
    args = parse_arguments()
    config = load_config(args.config, args.overrides)
    for override in args.overrides:
        if not override.startswith(SETTINGS):
            raise LipnetError(f"{override}: preprocessing knows {' and '.join(SETTINGS)} alone; leave it out")
    check_workers(args.workers)
    crop = config.crop
    corpus = find_corpus(args, Tokenizer(config.model.alphabet))
    overlapped = None if args.overlapped is None else read_split(args.overlapped)
    try:
        cut = import_clip if args.imported else crop_clip
        counts = preprocess(corpus, args.out, crop, args.workers, cut)
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
    faces = not args.imported and crop.method != "fixed"
    print(f"{args.out}: {summary(counts, len(corpus.problems), faces)}")
    report = write_splits(args.out, CropStore(args.out).clips, args.corpus, overlapped, args.seed)
    for note in report.notes():
        print(note, file=sys.stderr)
    if args.export:
        folder = args.out.resolve()
        export(corpus, args.out, folder.with_name(f"{folder.name}_{args.export}"), args.export)
    return 1 if corpus.problems else 0


def find_corpus(args: argparse.Namespace, tokenizer: Tokenizer) -> Corpus:
    """The clips that are asked for."""
    speakers = args.speakers.split(",") if args.speakers else None
    if args.imported:
        corpus = find_crops(args.corpus, args.imported, args.aligns, speakers, tokenizer)
    else:
        corpus = find_clips(args.corpus, args.aligns, speakers, tokenizer)
    return select_clips(corpus, args.pattern, args.first, args.last)


def summary(counts: Counter[str], left_out: int, faces: bool) -> str:
    """What was done, in a line; ``faces``: whether they were looked for."""
    relabelled = f", {counts['relabelled']} of them with new transcripts" if counts["relabelled"] else ""
    if not counts["cropped"]:
        return f"nothing to do, all {counts['there']} clips are there{relabelled}"
    done = f"{counts['cropped']} clips cropped, {counts['there']} were there already{relabelled}"
    seen = f"; a face in {100 * counts['faces'] / counts['frames']:.1f} % of the new frames" if faces else ""
    return f"{done}, {left_out} left out{seen}"


def preprocess(
    corpus: Corpus, out: Path, crop: CropConfig, workers: int, cut: Callable[[Clip, CropConfig], Cut]
) -> Counter[str]:
    """Crop the clips that ``out`` lacks; what cannot be cropped joins ``corpus.problems``. Returns counts."""
    counts: Counter[str] = Counter()
    # Started afresh, not forked: OpenCV's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(workers, context, initializer=start_worker) as pool,
        tqdm(total=len(corpus.clips), unit="clip", smoothing=0.02) as bar,
    ):
        for speaker, clips in groupby(corpus.clips, lambda clip: clip.speaker):
            with CropStoreWriter(out, speaker, crop) as writer:
                todo = []
                for clip in clips:
                    if clip.id in writer.clips:
                        counts.update(there=1, relabelled=writer.relabel(clip))
                        bar.update()
                    else:
                        todo.append(clip)
                results = pool.map(cut, todo, repeat(crop), chunksize=2)
                for clip, result in zip(todo, results, strict=True):
                    bar.update()
                    if isinstance(result, LipnetError):
                        corpus.problems[clip.name] = str(result)
                        continue
                    crops, faces = result
                    writer.add(clip, crops, faces)
                    counts.update(cropped=1, frames=len(crops), faces=faces)
    return counts


def export(corpus: Corpus, out: Path, folder: Path, kind: str) -> None:
    """Write the crops of a corpus' clips, packed in ``out``, into a folder of the kind."""
    store = CropStore(out)
    clips = [store.clips[clip.name] for clip in corpus.clips if clip.name in store.clips]
    for clip in tqdm(clips, unit="clip", desc=kind):
        crops = store.array(clip.speaker)[clip.start : clip.start + clip.frames]
        save_crops(folder, clip.name, crops, kind)


def crop_clip(clip: Clip, crop: CropConfig) -> Cut:
    """The mouth cut out of one clip's video. Runs in a worker."""
    try:
        crops = make_cropper(crop)(list(iter_frames(clip.video)), str(clip.video))
    except LipnetError as error:
        return error
    return crops.frames, int(crops.track.found.sum())


def import_clip(clip: Clip, crop: CropConfig) -> Cut:
    """One clip's crops as another LipNet has left them. Runs in a worker."""
    try:
        crops = load_crops(clip.video, (crop.width, crop.height))
    except LipnetError as error:
        return error
    return crops, len(crops)


if __name__ == "__main__":
    sys.exit(main())
