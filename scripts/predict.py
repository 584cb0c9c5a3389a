"""Read the lips in videos: the sentence, how sure the network is, and when each word is said."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from lipnet.decoders import DECODERS, DecoderOptions
from lipnet.errors import LipnetError, one_line_errors
from lipnet.files import write_atomically
from lipnet.grid import VIDEO_SUFFIXES
from lipnet.reader import LipReader, Transcript
from lipnet.shipped import WEIGHTS

EXAMPLES = """examples:
  python scripts/predict.py clip.mpg
  python scripts/predict.py clip.mpg --decoder grammar
  python scripts/predict.py videos/ --weights runs/a/best.safetensors --format json --out transcripts
"""


def as_text(transcript: Transcript) -> str:
    lines = [
        f"{transcript.video}: {transcript.text or '(nothing)'}  (confidence {transcript.confidence:.2f})"
    ]
    lines += [f"  {w.start:6.2f} - {w.end:5.2f} s  {w.word}  ({w.confidence:.2f})" for w in transcript.words]
    return "\n".join(lines) + "\n"


def as_json(transcript: Transcript) -> str:
    return json.dumps(transcript.as_json(), ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Transcript], str]] = {"txt": as_text, "json": as_json}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, nargs="+", help="video files, or folders of them")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="of a run (default: the shipped ones)")
    parser.add_argument("--decoder", default="greedy", help=f"{', '.join(DECODERS)} (default: greedy)")
    parser.add_argument("--lm", type=Path, help="ARPA file for the decoder lm (default: GRID's sentences)")
    parser.add_argument("--grammar", type=Path, help="slots or word list for grammar (default: GRID's slots)")
    parser.add_argument("--format", choices=FORMATS, default="txt", help="default: txt")
    parser.add_argument("--out", type=Path, help="write a file for each video there, rather than print")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    return parser.parse_intermixed_args()


@one_line_errors
def main() -> int:
    args = parse_arguments()
    videos = find_videos(args.videos)
    (name, copies), *_ = Counter(videos.values()).most_common(1)
    if args.out is not None and copies > 1:
        raise LipnetError(f"several videos are called {name}: give each its own --out, or a folder with all")
    options = DecoderOptions(args.lm, args.grammar)
    reader = LipReader.load(args.weights, args.decoder, args.device, options)
    if len(videos) == 1:
        deliver(reader.read(next(iter(videos))), args, videos)
        return 0
    problems = []
    for video in tqdm(videos, unit="video", disable=not args.out and sys.stdout.isatty()):
        try:
            deliver(reader.read(video), args, videos)
        except LipnetError as error:
            problems.append(str(error))
    if problems:
        print(
            f"{len(problems)} of {len(videos)} videos could not be read:",
            *problems,
            sep="\n  ",
            file=sys.stderr,
        )
    return 1 if problems else 0


def find_videos(paths: list[Path]) -> dict[Path, Path]:
    """Each video, and the name below --out that its transcript gets, less the suffix."""
    videos: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            videos[path] = Path(path.name)
            continue
        found = sorted(
            file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file()
        )
        if not found:
            raise LipnetError(f"{path}: no videos in this folder ({', '.join(sorted(VIDEO_SUFFIXES))})")
        videos.update({file: file.relative_to(path) for file in found})
    stems = Counter(name.with_suffix("") for name in videos.values())
    # Two videos of one stem keep their suffixes, so that neither transcript overwrites the other.
    return {
        video: name.with_suffix("") if stems[name.with_suffix("")] == 1 else name
        for video, name in videos.items()
    }


def deliver(transcript: Transcript, args: argparse.Namespace, names: dict[Path, Path]) -> None:
    """Print a transcript, or write it below --out."""
    text = FORMATS[args.format](transcript)
    if args.out is None:
        tqdm.write(text, end="")
        return
    name = names[Path(transcript.video)]
    path = args.out / name.with_name(f"{name.name}.{args.format}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


if __name__ == "__main__":
    sys.exit(main())
