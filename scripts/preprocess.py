"""Crop the mouths of a corpus once, into a crop store of memory-mapped arrays for training."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lipnet.config import Config, CropConfig
from lipnet.data.corpus import Corpus, find_clips, select_clips
from lipnet.data.crop_store import CropStore, note_deleted, remove_problems
from lipnet.data.external_crops import KINDS, find_crops
from lipnet.data.preprocessing import crop_clip, export, import_clip, preprocess, summary
from lipnet.data.splits import read_split, write_splits
from lipnet.errors import LipnetError
from lipnet.settings import load_config
from lipnet.tokenizer import Tokenizer
from lipnet.utils.cli import ALL_PROBLEMS, command_line, make_parser, report_problems
from lipnet.utils.files import lock_folder, temporary_files
from lipnet.utils.workers import WorkerPool, check_workers

EXAMPLES = """examples:
  Crop the first hundred clips of each speaker with MTCNN, and also write an array for each clip:
    %(prog)s data/GRID --out data/mtcnn --last 100 --export npy crop.method=mtcnn
  Import crops of 128x64 px that another LipNet has saved as images, with the alignments of the corpus:
    %(prog)s peer/lip --import png --aligns data/GRID/align --out data/peer \\
        crop.width=128 crop.height=64
"""
SETTINGS = ("crop.", "model.alphabet=")  # the settings that preprocessing uses


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    add("corpus", type=Path, help="folder of videos, ROOT/SPEAKER/ID.mpg, or of crops as --import says")
    add("overrides", nargs="*", help="crop.key=value settings, such as crop.method=mtcnn; model.alphabet=...")
    add("--out", type=Path, required=True, help="folder for the crop store")
    add("--workers", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    add("--aligns", type=Path, help="folder of alignments, if not ROOT/align")
    add("--speakers", help="only these speakers, such as s1,s3")
    add(
        "--pattern", default="", metavar="GLOB", help="only clips whose path ends like this: '*.mpg', 's1/b*'"
    )
    add("--first", type=int, default=1, metavar="N", help="start at each speaker's N-th clip (default: 1)")
    add("--last", type=int, metavar="N", help="stop after each speaker's N-th clip")
    add("--config", type=Path, help="recipe with the crop section and the model.alphabet to use")
    add(
        "--import",
        choices=KINDS,
        dest="imported",
        help="ROOT has crops, as arrays SPEAKER/ID.npy or images SPEAKER/ID/mouth_000.png ...; crop.* "
        "settings say how they were made",
    )
    add("--face", metavar="WHICH", help="crop.face: largest, left, right, or a number from the left")
    add("--export", choices=KINDS, help="also write the crops as such files, into OUT_npy or OUT_png")
    add(
        "--overlapped",
        type=Path,
        help="list of the overlapped split's test clips (default: ROOT/splits/overlapped_test.txt, or else "
        "chosen at random)",
    )
    add(
        "--max-pixels",
        type=pixels,
        default="4096x4096",
        metavar="WxH",
        help="leave out videos with larger pictures (default: %(default)s)",
    )
    add("--seed", type=int, default=0, help="random seed of the overlapped split and dev lists (default: 0)")
    return parser.parse_intermixed_args()


def pixels(size: str) -> int:
    """Width times height of a size such as 4096x4096."""
    width, _, height = size.partition("x")
    return int(width) * int(height)


@command_line
def main() -> int:
    args = parse_arguments()
    face = [] if args.face is None else [f"crop.face={args.face}"]
    config = read_config(args.config, [*args.overrides, *face])
    check_workers(args.workers)
    overlapped = None if args.overlapped is None else read_split(args.overlapped)
    with lock_folder(args.out):
        corpus = find_corpus(args, Tokenizer(config.model.alphabet))
        remove_problems(corpus, args.out)
        return fill_store(args, config.crop, corpus, overlapped)


def fill_store(
    args: argparse.Namespace, crop: CropConfig, corpus: Corpus, overlapped: list[str] | None
) -> int:
    """Crop the corpus into the crop store, write its lists and say what was done; returns the exit code."""
    with temporary_files(args.out) as folder:
        if args.imported:
            cut = partial(import_clip, crop=crop, folder=folder)
        else:
            cut = partial(crop_clip, crop=crop, folder=folder, max_pixels=args.max_pixels)
        with WorkerPool(args.workers, cut) as pool:
            counts = preprocess(corpus, args.out, crop, pool)
    problems = [f"{name}: {reason}" for name, reason in corpus.problems.items()]
    report_problems(f"left out {len(problems)} clips:", problems, args.out / ALL_PROBLEMS)
    if corpus.skipped:
        print(f"{args.corpus}: {corpus.skipped} files of other kinds skipped", file=sys.stderr)
    if not counts["cropped"] + counts["present"]:
        raise LipnetError(f"{args.corpus}: no clip could be cropped, for the reasons above")
    detects_faces = not args.imported and crop.method not in ("fixed", "none")
    print(f"{args.out}: {summary(counts, len(corpus.problems), detects_faces)}")
    store = CropStore(args.out)
    if crop.method == "dlib" and not args.imported:
        note_without_landmarks(store)
    report = write_splits(args.out, store.clips, args.corpus, overlapped, args.seed)
    for note in report.notes():
        print(note, file=sys.stderr)
    if args.export:
        folder = args.out.resolve()
        export(corpus, CropStore(args.out), folder.with_name(f"{folder.name}_{args.export}"), args.export)
    return 1 if corpus.problems else 0


def note_without_landmarks(store: CropStore) -> None:
    """Say how many clips an earlier version has cropped, which did not store landmarks."""
    count = sum(not clip.landmarks for clip in store.clips.values())
    if count:
        print(
            f"{store.root}: {count} clips have no landmarks, an earlier version cropped them; for networks "
            "that read landmarks, give another --out",
            file=sys.stderr,
        )


def read_config(path: Path | None, overrides: Sequence[str]) -> Config:
    """The recipe and the overrides. Raises LipnetError on an override that preprocessing does not use."""
    config = load_config(path, overrides)
    for override in overrides:
        if not override.startswith(SETTINGS):
            raise LipnetError(
                f"{override}: preprocessing only uses {' and '.join(SETTINGS)} settings; leave it out"
            )
    return config


def find_corpus(args: argparse.Namespace, tokenizer: Tokenizer) -> Corpus:
    """The clips that the arguments select; those whose videos have been deleted are problems."""
    speakers = args.speakers.split(",") if args.speakers else None
    if args.imported:
        corpus = find_crops(args.corpus, args.imported, args.aligns, speakers, tokenizer)
    else:
        corpus = find_clips(args.corpus, args.aligns, speakers, tokenizer)
    note_deleted(corpus, args.out, speakers)
    return select_clips(corpus, args.pattern, args.first, args.last)


if __name__ == "__main__":
    sys.exit(main())
