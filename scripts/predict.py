"""Read lips in videos, or live: sentences with word times, confidences and warnings."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from lipnet.data.references import find_references
from lipnet.decoding.factory import AUTO
from lipnet.errors import LipnetError, problems_of
from lipnet.inference.quality import MIN_CONFIDENCE
from lipnet.inference.reader import LipReader, add_reader_arguments, load_reader
from lipnet.inference.transcript import Sentence, Transcript
from lipnet.metrics import ErrorCounts
from lipnet.output.captioned_video import burn_in, check_target
from lipnet.output.formats import FORMATS, summary_table
from lipnet.output.targets import SUMMARY, StandardInput, Video, find_videos
from lipnet.utils.cli import ALL_PROBLEMS, command_line, make_parser, report_problems
from lipnet.utils.files import as_bytes, write_atomically
from lipnet.utils.terminal import one_line, printable
from lipnet.video.camera import camera_frames
from lipnet.video.decode import Url

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
    add(
        "videos",
        nargs="*",
        help="video files, folders of them, patterns such as 'v/*.mp4', - for standard input",
    )
    add("--url", action="append", default=[], help="a video's address, which FFmpeg opens; may be repeated")
    add("--camera", metavar="SOURCE", help="read live: a device's number, a stream's URL, or a file replayed")
    add_reader_arguments(parser)
    add("--format", type=formats, default=["txt"], help=f"some of {','.join(FORMATS)} (default: txt)")
    add("--out", type=Path, help="folder for a file of each format a video, instead of printing")
    add("--save", type=Path, metavar="MP4", help="captioned copy of the video; a folder for several videos")
    add("--debug", action="store_true", help="with --save: draw the face, its landmarks and the crop, too")
    add("--references", type=Path, metavar="DIR", help="what is said (ID.align or ID.txt): adds error rates")
    args = parser.parse_intermixed_args()
    if bool(args.videos or args.url) == bool(args.camera):
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
    videos = find_videos(args.videos, args.url)
    check_outputs(videos, args)
    reader = load_reader(args)
    references = references_of(videos, reader, args.references) if args.references else {}
    return read_videos(reader, videos, references, args)


def references_of(videos: dict[Video, Path], reader: LipReader, folder: Path) -> dict[Video, str]:
    """The reference texts, of one video or more. Raises LipnetError where there is none."""
    paths = {video: video if isinstance(video, Path) else name for video, name in videos.items()}
    names = {path: videos[video] for video, path in paths.items()}
    found = find_references(folder, names, reader.decoder.tokenizer)
    if not any(found.values()):
        raise LipnetError(f"{folder}: no reference found; name the files as the videos, ID.align or ID.txt")
    return {video: found[path] for video, path in paths.items() if path in found}


def check_outputs(videos: dict[Video, Path], args: argparse.Namespace) -> None:
    """Raises LipnetError where two videos would have one output, or a captioned one cannot be written."""
    names = Counter(videos.values())
    name, count = names.most_common(1)[0]
    if (args.out or args.save) and count > 1:
        raise LipnetError(f"several videos are called {name}: give each its own --out, or a folder with all")
    for video, name in videos.items() if args.save else ():
        check_target(file_of(video), save_path(args.save, name, alone=len(videos) == 1))


def file_of(video: Video) -> Path | Url:
    """The file that --save reads again."""
    return video.path if isinstance(video, StandardInput) else video


def read_videos(
    reader: LipReader, videos: dict[Video, Path], references: dict[Video, str], args: argparse.Namespace
) -> int:
    """Transcribe all videos and write the outputs. Returns the exit code: 1 if some could not be read."""
    transcripts: dict[Video, Transcript] = {}
    problems: list[LipnetError] = []
    bar = tqdm(total=len(videos), unit="video", disable=len(videos) == 1 or None)
    for video, (_, result) in zip(videos, reader.read_all(videos), strict=True):
        bar.update()
        try:
            if isinstance(result, LipnetError):
                raise result
            write_outputs(video, result, videos[video], alone=len(videos) == 1, args=args)
        except LipnetError as error:
            if len(videos) == 1:
                raise
            problems.append(error)
            continue
        transcripts[video] = result.texts_only()
    bar.close()
    if len(videos) > 1:
        write_summary(transcripts, len(videos), reader.decoder.name, args.out)
    elif args.decoder == AUTO and "txt" in args.format:
        print(f"read with the decoder {reader.decoder.name}", file=sys.stderr)
    if args.references:
        print_error_rates(transcripts, references, reader.decoder.name, args)
    if len(videos) > 1:
        what = f"could not be {'read or saved' if args.save else 'read'}"
        path = args.out / ALL_PROBLEMS if args.out else None
        report_problems(f"{len(problems)} of {len(videos)} videos {what}:", list(map(str, problems)), path)
    return 1 if problems else 0


def write_outputs(
    video: Video, transcript: Transcript, name: Path, alone: bool, args: argparse.Namespace
) -> None:
    """Print or write one transcript, with its warnings on standard error, and the captioned video."""
    for warning in transcript.warnings:
        tqdm.write(one_line(f"warning: {transcript.video}: {warning}"), file=sys.stderr)
    for suffix in args.format:
        text = FORMATS[suffix](transcript)
        if args.out is None:
            tqdm.write(printable(text), end="")
            continue
        path = args.out / name.with_name(f"{name.name}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, as_bytes(text))
    if args.save is not None:
        with problems_of(transcript.video):
            burn_in(file_of(video), save_path(args.save, name, alone), transcript, args.debug)


def save_path(save: Path, name: Path, alone: bool) -> Path:
    """Where the captioned video called ``name`` goes: --save itself, or a file in that folder."""
    is_file = alone and save.suffix and not save.is_dir()
    return save if is_file else save / name.with_name(f"{name.name}.mp4")


def write_summary(transcripts: dict[Video, Transcript], videos: int, decoder: str, out: Path | None) -> None:
    """The table of all videos, and a line of counts on standard error."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / f"{SUMMARY}.csv", as_bytes(summary_table(list(transcripts.values()))))
    with_warnings = sum(bool(transcript.warnings) for transcript in transcripts.values())
    counts = f"{len(transcripts)} of {videos} videos read, {with_warnings} with warnings"
    print(f"{counts}, with the decoder {decoder}", file=sys.stderr)


def print_error_rates(
    transcripts: dict[Video, Transcript], references: dict[Video, str], decoder: str, args: argparse.Namespace
) -> None:
    """To standard error where a program may parse what is printed."""
    counts = ErrorCounts()
    for video in transcripts.keys() & references.keys():
        counts.add(references[video], transcripts[video].text)
    if not counts.words:
        print("no reference found of a video that was read", file=sys.stderr)
        return
    rates = f"{counts.summary(decoder)}, {len(transcripts) - counts.sentences} without a reference"
    parsed = args.out is None and args.format != ["txt"]
    print(rates, file=sys.stderr if parsed else sys.stdout)


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
    print(f"{clear}{one_line(line)}", end=end, flush=True)


def final_line(sentence: Sentence) -> str:
    confidence = f"{sentence.confidence:.2f}"
    if sentence.confidence < MIN_CONFIDENCE:
        confidence += ", low confidence"
    return f"{sentence.start:6.2f} - {sentence.end:5.2f} s  {sentence.text}  ({confidence})"


if __name__ == "__main__":
    sys.exit(main())
