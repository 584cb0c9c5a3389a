"""Read lips in videos, or live: sentences with word times, confidences and warnings."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from glob import glob
from pathlib import Path

from tqdm import tqdm

from lipnet.data.corpus import VIDEO_SUFFIXES
from lipnet.data.references import find_references
from lipnet.decoding.factory import add_decoder_arguments, decoder_options
from lipnet.errors import LipnetError
from lipnet.inference.quality import MIN_CONFIDENCE
from lipnet.inference.reader import LipReader
from lipnet.inference.sentences import N_BEST
from lipnet.inference.transcript import Sentence, Transcript
from lipnet.metrics import ErrorCounts
from lipnet.output.captioned_video import burn_in, check_target
from lipnet.output.formats import FORMATS, summary_table
from lipnet.utils.cli import command_line, make_parser
from lipnet.utils.files import write_atomically
from lipnet.video.camera import camera_frames
from lipnet.weights import WEIGHTS

EXAMPLES = """examples:
  Read a GRID clip with your own weights, and burn the words into a copy of it:
    %(prog)s clip.mpg --weights runs/a/best.safetensors --decoder grammar \\
        --save clip_read.mp4
  Read a folder of videos, and write JSON and subtitles for each, with the error rates:
    %(prog)s videos/ --format json,srt --out transcripts --references aligns
"""


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    add("videos", nargs="*", help="video files, folders of them, or patterns such as 'v/*.mp4'")
    add("--camera", metavar="SOURCE", help="read live: a device's number, a stream's URL, or a file replayed")
    add("--weights", type=Path, default=WEIGHTS, help="of a run, or an .onnx file (default: those that ship)")
    add_decoder_arguments(parser)
    add("--format", type=formats, default=["txt"], help=f"some of {','.join(FORMATS)} (default: txt)")
    add("--out", type=Path, help="folder for a file of each format a video, instead of printing")
    add("--save", type=Path, metavar="MP4", help="captioned copy of the video; a folder for several videos")
    add("--debug", action="store_true", help="with --save: draw the face, its landmarks and the crop, too")
    add("--references", type=Path, metavar="DIR", help="what is said (ID.align or ID.txt): adds error rates")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    args = parser.parse_intermixed_args()
    if bool(args.videos) == bool(args.camera):
        parser.error("give videos, or --camera")
    if args.debug and not args.save:
        parser.error("--debug draws on the video of --save; give that too")
    if args.camera and (args.out or args.save or args.references or args.format != ["txt"]):
        parser.error("--camera prints words; --out, --save, --references and --format are for videos")
    return args


def formats(text: str) -> list[str]:
    """The formats of --format, each once."""
    names = list(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown format {unknown[0]!r}: choose from {', '.join(FORMATS)}")
    return names


@command_line
def main() -> int:
    args = parse_arguments()
    if args.camera:
        listen(load_reader(args), args.camera)
        return 0
    videos = find_videos(args.videos)
    check_outputs(videos, args)
    reader = load_reader(args)
    references = find_references(args.references, videos, reader.decoder.tokenizer) if args.references else {}
    return read_videos(reader, videos, references, args)


def load_reader(args: argparse.Namespace) -> LipReader:
    return LipReader.load(args.weights, args.decoder, args.device, decoder_options(args, N_BEST))


def find_videos(patterns: Iterable[str]) -> dict[Path, Path]:
    """Each video, with the name that its outputs get below --out or --save, without suffix."""
    videos: dict[Path, Path] = {}
    for path in (path for pattern in patterns for path in expand(pattern)):
        videos.update(videos_in(path) if path.is_dir() else {path: Path(path.name)})
    stems = Counter(name.with_suffix("") for name in videos.values())
    # Two videos of one stem keep their suffixes, so that neither output overwrites the other.
    return {
        video: name.with_suffix("") if stems[name.with_suffix("")] == 1 else name
        for video, name in videos.items()
    }


def expand(pattern: str) -> list[Path]:
    """The files of a pattern that the shell did not expand; an existing path is taken as it is."""
    if Path(pattern).exists() or not any(sign in pattern for sign in "*?["):
        return [Path(pattern)]
    found = sorted(glob(pattern, recursive=True))
    if not found:
        raise LipnetError(f"{pattern}: no file matches; check the pattern")
    return list(map(Path, found))


def videos_in(folder: Path) -> dict[Path, Path]:
    """The videos anywhere below a folder, with their paths relative to it."""
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file() and not file.name.startswith(".")
    )
    if not found:
        raise LipnetError(f"{folder}: no videos in this folder ({', '.join(sorted(VIDEO_SUFFIXES))})")
    return {file: file.relative_to(folder) for file in found}


def check_outputs(videos: dict[Path, Path], args: argparse.Namespace) -> None:
    """Raises LipnetError where two videos would have one output, or a captioned one cannot be written."""
    names = Counter(videos.values())
    name, count = names.most_common(1)[0]
    if (args.out or args.save) and count > 1:
        raise LipnetError(f"several videos are called {name}: give each its own --out, or a folder with all")
    for video, name in videos.items() if args.save else ():
        check_target(video, save_path(args.save, name, alone=len(videos) == 1))


def read_videos(
    reader: LipReader, videos: dict[Path, Path], references: dict[Path, str], args: argparse.Namespace
) -> int:
    """Transcribe all videos and write the outputs. Returns the exit code: 1 if some could not be read."""
    transcripts: dict[Path, Transcript] = {}
    problems: list[LipnetError] = []
    bar = tqdm(total=len(videos), unit="video", disable=len(videos) == 1 or None)
    for video, result in reader.read_all(videos):
        bar.update()
        try:
            if isinstance(result, LipnetError):
                raise result
            write_outputs(result, videos[video], alone=len(videos) == 1, args=args)
        except LipnetError as error:
            if len(videos) == 1:
                raise
            problems.append(error)
            continue
        transcripts[video] = replace(result, track=None)  # a long video's takes megabytes
    bar.close()
    if len(videos) > 1:
        write_summary(transcripts, len(videos), args.out)
    if args.references:
        print_error_rates(transcripts, references, args)
    if problems:
        read_or_saved = "read or saved" if args.save else "read"
        print(f"{len(problems)} of {len(videos)} videos could not be {read_or_saved}:", file=sys.stderr)
        for problem in problems:
            print(f"  {problem}", file=sys.stderr)
    return 1 if problems else 0


def write_outputs(transcript: Transcript, name: Path, alone: bool, args: argparse.Namespace) -> None:
    """Print or write one transcript, with its warnings on standard error, and the captioned video."""
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
        burn_in(Path(transcript.video), save_path(args.save, name, alone), transcript, args.debug)


def save_path(save: Path, name: Path, alone: bool) -> Path:
    """Where the captioned video called ``name`` goes: --save itself, or a file in that folder."""
    is_file = alone and save.suffix and not save.is_dir()
    return save if is_file else save / name.with_name(f"{name.name}.mp4")


def write_summary(transcripts: dict[Path, Transcript], videos: int, out: Path | None) -> None:
    """The table of all videos, and a line of counts on standard error."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / "predictions.csv", as_bytes(summary_table(list(transcripts.values()))))
    with_warnings = sum(bool(transcript.warnings) for transcript in transcripts.values())
    print(f"{len(transcripts)} of {videos} videos read, {with_warnings} with warnings", file=sys.stderr)


def print_error_rates(
    transcripts: dict[Path, Transcript], references: dict[Path, str], args: argparse.Namespace
) -> None:
    """To standard error where a program may parse what is printed."""
    counts = ErrorCounts()
    for video in transcripts.keys() & references.keys():
        counts.add(references[video], transcripts[video].text)
    rates = f"{counts.summary(args.decoder)}, {len(transcripts) - counts.sentences} without a reference"
    parsed = args.out is None and args.format != ["txt"]
    print(rates, file=sys.stderr if parsed else sys.stdout)


def as_bytes(text: str) -> bytes:
    """UTF-8, with escapes for the bytes of file names that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace")


def listen(reader: LipReader, source: str) -> None:
    """Print words as they come: on a terminal in one line that is rewritten, else a line for each change."""
    frames = camera_frames(source)
    try:
        for live in reader.listen(frames, source):
            if live.sentence is not None:
                show(final_line(live.sentence), end="\n")
            else:
                show(f"... {live.text}", end="" if sys.stdout.isatty() else "\n")
    except KeyboardInterrupt:  # how a user stops a camera
        print()
    finally:
        frames.close()


def show(line: str, end: str) -> None:
    clear = "\r\033[K" if sys.stdout.isatty() else ""
    print(f"{clear}{line}", end=end, flush=True)


def final_line(sentence: Sentence) -> str:
    confidence = f"{sentence.confidence:.2f}"
    if sentence.confidence < MIN_CONFIDENCE:
        confidence += ", low confidence"
    return f"{sentence.start:6.2f} - {sentence.end:5.2f} s  {sentence.text}  ({confidence})"


if __name__ == "__main__":
    sys.exit(main())
