"""Crop the mouths of a corpus once, into a crop store of memory-mapped arrays for training."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from lipnet.config import Config, CropConfig
from lipnet.cropping.crop_file import CropFile
from lipnet.data.corpus import Clip, Corpus, find_clips, select_clips
from lipnet.data.crop_store import CropStore, note_deleted, remove_problems
from lipnet.data.external_crops import KINDS, find_crops
from lipnet.data.preprocessing import (
    Cut,
    Parts,
    Shard,
    crop_clip,
    export,
    finish_part,
    import_clip,
    parse_shard,
    preprocess,
    receive_crops,
    send_crops,
    start_part,
    summary,
)
from lipnet.data.splits import read_split, write_splits
from lipnet.errors import LipnetError
from lipnet.settings import load_config
from lipnet.tokenizer import Tokenizer
from lipnet.utils.cli import ALL_PROBLEMS, command_line, make_parser, report_problems
from lipnet.utils.cluster import ClusterPool
from lipnet.utils.files import lock_folder, temporary_files
from lipnet.utils.pool import Pool
from lipnet.utils.workers import WorkerPool, check_workers

EXAMPLES = """examples:
  Crop the first hundred clips of each speaker with MTCNN, and also write an array for each clip:
    %(prog)s data/GRID --out data/mtcnn --last 100 --export npy crop.method=mtcnn
  Import crops of 128x64 px that another LipNet has saved as images, with the alignments of the corpus:
    %(prog)s peer/lip --import png --aligns data/GRID/align --out data/peer \\
        crop.width=128 crop.height=64
  Crop on the machines of a Dask cluster:
    %(prog)s data/GRID --out data/grid --dask scheduler.json
  Crop in a job array of 50 jobs, numbered from 1, and join their parts:
    %(prog)s data/GRID --out data/grid --shard $SLURM_ARRAY_TASK_ID/50
    %(prog)s data/GRID --out data/grid --merge
"""
SETTINGS = ("crop.", "model.alphabet=")  # the settings that preprocessing uses


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    add("corpus", type=Path, help="folder of videos, ROOT/SPEAKER/ID.mpg, or of crops as --import says")
    add("overrides", nargs="*", help="crop.key=value settings, such as crop.method=mtcnn; model.alphabet=...")
    add("--out", type=Path, required=True, help="folder for the crop store")
    add("--workers", type=int, default=os.cpu_count(), help="processes on this machine (default: all cores)")
    add("--dask", metavar="ADDRESS", help="use the workers of this Dask scheduler, or --scheduler-file")
    add("--shard", metavar="I/N", help="crop the I-th of N parts of the corpus, in a job array; then --merge")
    add("--merge", action="store_true", help="join the parts of all shards in --out, and remove them")
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
    shard = check_arguments(args)
    overlapped = None if args.overlapped is None else read_split(args.overlapped)
    out = args.out if shard is None else shard.folder(args.out)
    with lock_folder(out):
        corpus = find_corpus(args, out, Tokenizer(config.model.alphabet))
        if shard is not None:
            return fill_part(args, config.crop, shard.select(corpus), out)
        parts = Parts(out, corpus, config.crop) if args.merge else None
        code = fill_store(args, config.crop, corpus, overlapped, parts)
        if parts is not None:
            parts.remove()
        return code


def check_arguments(args: argparse.Namespace) -> Shard | None:
    """The shard to crop, if one is given. Raises LipnetError on arguments that contradict each other."""
    check_workers(args.workers)
    if args.merge and (args.shard or args.dask):
        other = "--shard" if args.shard else "--dask"
        raise LipnetError(f"--merge with {other}: it joins what is cropped already; give one of them")
    return None if args.shard is None else parse_shard(args.shard)


def fill_part(args: argparse.Namespace, crop: CropConfig, corpus: Corpus, out: Path) -> int:
    """Crop a shard into its part of the crop store; returns the exit code."""
    selected = {clip.name for clip in corpus.clips}
    counts = crop_all(args, crop, corpus, out)
    finish_part(out, {name: reason for name, reason in corpus.problems.items() if name in selected})
    print(f"{out}: {summary(counts, len(corpus.problems), detects_faces(args, crop))}")
    if args.export and counts["cropped"] + counts["present"]:
        export(corpus, CropStore(out), args.out, args.export)
    return 1 if corpus.problems else 0


def fill_store(
    args: argparse.Namespace,
    crop: CropConfig,
    corpus: Corpus,
    overlapped: list[str] | None,
    parts: Parts | None,
) -> int:
    """Fill the crop store, write its lists and say what was done; returns the exit code."""
    counts = crop_all(args, crop, corpus, args.out, parts)
    if not counts["cropped"] + counts["present"]:
        raise LipnetError(f"{args.corpus}: no clip could be cropped, for the reasons above")
    done = "cropped" if parts is None else "merged"
    print(f"{args.out}: {summary(counts, len(corpus.problems), detects_faces(args, crop), done)}")
    store = CropStore(args.out)
    if crop.method == "dlib" and not args.imported:
        note_without_landmarks(store)
    report = write_splits(args.out, store.clips, args.corpus, overlapped, args.seed)
    for note in report.notes():
        print(note, file=sys.stderr)
    if args.export:
        export(corpus, store, args.out, args.export)
    return 1 if corpus.problems else 0


def crop_all(
    args: argparse.Namespace, crop: CropConfig, corpus: Corpus, out: Path, parts: Parts | None = None
) -> Counter[str]:
    """Add all clips of a corpus to the crop store ``out`` and report those that were left out."""
    with temporary_files(out) as folder, open_pool(args, crop, folder, parts) as pool:
        if args.shard:
            start_part(out, crop)
        remove_problems(corpus, out)
        counts = preprocess(corpus, out, crop, pool)
    problems = [f"{name}: {reason}" for name, reason in corpus.problems.items()]
    report_problems(f"left out {len(problems)} clips:", problems, out / ALL_PROBLEMS)
    if corpus.skipped:
        print(f"{args.corpus}: {corpus.skipped} files of other kinds skipped", file=sys.stderr)
    return counts


@contextmanager
def open_pool(
    args: argparse.Namespace, crop: CropConfig, folder: Path, parts: Parts | None
) -> Iterator[Pool[Clip, CropFile]]:
    """What crops the clips, or has cropped them: processes, a Dask cluster, or the parts of shards."""
    if args.dask is not None and crop.predictor:
        crop = replace(crop, predictor=os.path.abspath(crop.predictor))
    cut: Cut
    if args.imported:
        cut = partial(import_clip, crop=crop)
    else:
        cut = partial(crop_clip, crop=crop, max_pixels=args.max_pixels)
    if parts is not None:
        yield parts
    elif args.dask is None:
        with WorkerPool(args.workers, partial(cut, folder=folder)) as pool:
            yield pool
    else:
        send = partial(send_crops, cut=cut, crop=None if args.imported else crop)
        with ClusterPool(args.dask, send, partial(receive_crops, folder=folder)) as cluster:
            yield cluster


def detects_faces(args: argparse.Namespace, crop: CropConfig) -> bool:
    return not args.imported and crop.method not in ("fixed", "none")


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


def find_corpus(args: argparse.Namespace, out: Path, tokenizer: Tokenizer) -> Corpus:
    """The clips that the arguments select; those whose videos have been deleted are problems."""
    # Workers of a cluster have other current folders.
    root = Path(os.path.abspath(args.corpus)) if args.dask else args.corpus
    speakers = args.speakers.split(",") if args.speakers else None
    if args.imported:
        corpus = find_crops(root, args.imported, args.aligns, speakers, tokenizer)
    else:
        corpus = find_clips(root, args.aligns, speakers, tokenizer)
    note_deleted(corpus, out, speakers)
    return select_clips(corpus, args.pattern, args.first, args.last)


if __name__ == "__main__":
    sys.exit(main())
