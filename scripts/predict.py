"""Read the lips in videos: what is said, when each word is, how sure that is, and what speaks against it."""

from __future__ import annotations

import argparse
import io
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from glob import glob
from pathlib import Path

from tqdm import tqdm

from lipnet.data.alignments import read_alignment
from lipnet.data.corpus import VIDEO_SUFFIXES
from lipnet.decoding.factory import add_decoder_arguments, decoder_options
from lipnet.errors import CorpusError, LipnetError
from lipnet.inference.live import listen
from lipnet.inference.quality import MIN_CONFIDENCE
from lipnet.inference.reader import N_BEST, LipReader
from lipnet.inference.transcript import Sentence, Transcript
from lipnet.metrics import ErrorCounts
from lipnet.output.captioned_video import burn_in, check_target
from lipnet.output.formats import FORMATS, summary_table
from lipnet.tokenizer import Tokenizer
from lipnet.utils.cli import one_line_errors
from lipnet.utils.files import write_atomically
from lipnet.video.camera import camera_frames
from lipnet.weights import WEIGHTS

EXAMPLES = """examples:
  Read a GRID clip by your own weights, and burn the words into a copy of it:
    python scripts/predict.py clip.mpg --weights runs/a/best.safetensors --decoder grammar \\
        --save clip_read.mp4
  Read a folder of videos, and write JSON and subtitles for each, with the error rates:
    python scripts/predict.py videos/ --format json,srt --out transcripts --references aligns
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("videos", nargs="*", help="video files, folders of them, or patterns such as 'v/*.mp4'")
    add("--camera", metavar="SOURCE", help="read live: a device's number, a stream's URL, or a file replayed")
    add("--weights", type=Path, default=WEIGHTS, help="of a run, or an exported .onnx (default: shipped)")
    add_decoder_arguments(parser)
    add("--format", type=formats, default=["txt"], help=f"some of {','.join(FORMATS)} (default: txt)")
    add("--out", type=Path, help="write the files of each video there, rather than print")
    add("--save", type=Path, metavar="MP4", help="the video with its words burnt in; a folder for several")
    add("--debug", action="store_true", help="with --save: also the face, its landmarks and the crop")
    add(
        "--references", type=Path, metavar="DIR", help="what is said (ID.align or ID.txt): prints error rates"
    )
    add("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    args = parser.parse_intermixed_args()
    if bool(args.videos) == bool(args.camera):
        parser.error("give videos, or --camera")
    if args.debug and not args.save:
        parser.error("--debug draws on the video of --save; give that too")
    if args.camera and (args.out or args.save or args.references or args.format != ["txt"]):
        parser.error("--camera prints words; --out, --save, --references and --format are for videos")
    return args


def formats(text: str) -> list[str]:
    """The argument of --format, each one once."""
    names = list(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown format {unknown[0]!r}: choose of {', '.join(FORMATS)}")
    return names


@one_line_errors
def main() -> int:
    args = parse_arguments()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be anything
            stream.reconfigure(errors="backslashreplace")
    videos = {} if args.camera else find_videos(args.videos)
    names = Counter(videos.values())
    if (args.out or args.save) and names and max(names.values()) > 1:
        name = names.most_common(1)[0][0]
        raise LipnetError(f"several videos are called {name}: give each its own --out, or a folder with all")
    for video, name in videos.items() if args.save else ():
        check_target(video, save_path(args.save, name, alone=len(videos) == 1))
    reader = LipReader.load(args.weights, args.decoder, args.device, decoder_options(args, N_BEST))
    references = find_references(args.references, videos, reader.tokenizer)
    if args.camera:
        watch(reader, args.camera)
        return 0
    return read_videos(reader, videos, references, args)


def read_videos(
    reader: LipReader, videos: dict[Path, Path], references: dict[Path, str], args: argparse.Namespace
) -> int:
    """Read all of them and deliver what was read; what cannot be read is listed at the end."""
    transcripts: list[Transcript] = []
    problems: list[LipnetError] = []
    counts = ErrorCounts()
    bar = tqdm(total=len(videos), unit="video", disable=len(videos) == 1 or None)
    for video, result in reader.read_all(videos):
        bar.update()
        try:
            if isinstance(result, LipnetError):
                raise result
            deliver(result, videos[video], crop_size=reader.cropper.size, alone=len(videos) == 1, args=args)
        except LipnetError as error:
            if len(videos) == 1:
                raise
            problems.append(error)
            continue
        transcripts.append(replace(result, track=None))  # megabytes, of a long video
        if video in references:
            counts.add(references[video], result.text)
    bar.close()
    if len(videos) > 1 and args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        write_atomically(args.out / "predictions.csv", as_bytes(summary_table(transcripts)))
    if len(videos) > 1:
        doubtful = sum(bool(transcript.warnings) for transcript in transcripts)
        print(f"{len(transcripts)} of {len(videos)} videos read, {doubtful} with warnings", file=sys.stderr)
    if args.references:
        rates = f"{counts.summary(args.decoder)}, {len(transcripts) - counts.sentences} without a reference"
        parsed = args.out is None and args.format != ["txt"]  # by what reads our standard output
        print(rates, file=sys.stderr if parsed else sys.stdout)
    if problems:
        heading = f"{len(problems)} of {len(videos)} videos could not be read{' or saved' * bool(args.save)}:"
        print(heading, *problems, sep="\n  ", file=sys.stderr)
    return 1 if problems else 0


def deliver(
    transcript: Transcript, name: Path, crop_size: tuple[int, int], alone: bool, args: argparse.Namespace
) -> None:
    """Print or write a transcript, with its warnings on standard error, and save its video."""
    for warning in transcript.warnings:
        tqdm.write(f"warning: {transcript.video}: {warning}", file=sys.stderr)
    for suffix in args.format:
        text = FORMATS[suffix](transcript)
        if args.out is None:
            tqdm.write(text, end="")
            continue
        path = args.out / name.with_name(f"{name.name}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, as_bytes(text))
    if args.save is not None:
        target = save_path(args.save, name, alone)
        burn_in(Path(transcript.video), target, transcript, args.debug, crop_size)


def save_path(save: Path, name: Path, alone: bool) -> Path:
    """Where the video called ``name`` is saved: --save itself, or a file in it, of several or in a folder."""
    is_file = alone and save.suffix and not save.is_dir()
    return save if is_file else save / name.with_name(f"{name.name}.mp4")


def as_bytes(text: str) -> bytes:
    """UTF-8; of a file's name that is none, the bytes that are not."""
    return text.encode("utf-8", "backslashreplace")


def find_videos(patterns: Iterable[str]) -> dict[Path, Path]:
    """Each video, and the name below --out that its transcript gets, less the suffix."""
    videos: dict[Path, Path] = {}
    for path in (path for pattern in patterns for path in expand(pattern)):
        if not path.is_dir():
            videos[path] = Path(path.name)
            continue
        found = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file() and not file.name.startswith(".")
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


def expand(pattern: str) -> list[Path]:
    """The files of a pattern that the shell has left alone; a path that is there is taken as it is."""
    if Path(pattern).exists() or not any(sign in pattern for sign in "*?["):
        return [Path(pattern)]
    found = sorted(glob(pattern, recursive=True))
    if not found:
        raise LipnetError(f"{pattern}: no file is called so; check the pattern")
    return list(map(Path, found))


def find_references(folder: Path | None, videos: dict[Path, Path], tokenizer: Tokenizer) -> dict[Path, str]:
    """What is said in each video of which the folder has an alignment or transcript.

    That is the file of the same name, in the same subfolder or, where there is one alone, anywhere below.
    """
    if folder is None:
        return {}
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder; give the one with the alignments or transcripts")
    # An .align goes before a .txt.
    files = [path for suffix in ("txt", "align") for path in sorted(folder.rglob(f"*.{suffix}"))]
    if not files:
        raise CorpusError(f"{folder}: no ID.align or ID.txt in it; give the folder with the references")
    exact = {path.relative_to(folder).with_suffix(""): path for path in files}
    by_id: dict[str, set[Path]] = {}
    for name in exact:
        by_id.setdefault(name.name, set()).add(name)
    found = {}
    for video, name in videos.items():
        candidates = {name} & exact.keys() or by_id.get(video.stem, set())
        if len(candidates) > 1:
            these = ", ".join(str(exact[one]) for one in sorted(candidates))
            raise CorpusError(f"{video}: which is its reference, {these}? give one folder of them")
        for one in candidates:
            found[video] = read_alignment(exact[one], tokenizer)[0]
    return found


def watch(reader: LipReader, source: str) -> None:
    """Print words as they come: on a terminal in one line that changes, else each change in its own."""
    said = ""
    frames = camera_frames(source)
    try:
        for heard in listen(reader, frames, source):
            if heard.sentence is not None:
                show(final_line(heard.sentence), end="\n")
                said = ""
            elif heard.text != said:
                said = heard.text
                show(f"... {said}", end="" if sys.stdout.isatty() else "\n")
    except KeyboardInterrupt:  # how a camera is left
        print()
    finally:
        frames.close()


def show(line: str, end: str) -> None:
    over = "\r\033[K" if sys.stdout.isatty() else ""
    print(f"{over}{line}", end=end, flush=True)


def final_line(sentence: Sentence) -> str:
    unsure = ", low confidence" * (sentence.confidence < MIN_CONFIDENCE)
    times = f"{sentence.start:6.2f} - {sentence.end:5.2f} s"
    return f"{times}  {sentence.text}  ({sentence.confidence:.2f}{unsure})"


if __name__ == "__main__":
    sys.exit(main())
