"""Make an animated picture of how a video is read: captions, words, mouth crop and posteriorgram."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lipnet.inference.reader import add_reader_arguments, load_reader
from lipnet.output.animation import MAX_SECONDS, check_picture, compose, read_clip, write_animation
from lipnet.utils.cli import command_line, make_parser
from lipnet.utils.terminal import one_line, printable

EXAMPLES = """examples:
  %(prog)s clip.mpg --out clip.webp
  %(prog)s clip.mpg --weights runs/a/best.safetensors --decoder beam --out clip.gif
"""


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    add("video", type=Path, help=f"of which the first {MAX_SECONDS} s are read and shown")
    add("--out", type=Path, required=True, metavar="WEBP", help=".webp, or .gif, which is 8 times as large")
    add_reader_arguments(parser)
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    check_picture(args.video, args.out)
    clip = read_clip(load_reader(args), args.video)
    warnings = [*clip.transcript.warnings]
    if clip.is_cut:
        warnings.insert(0, f"longer than {MAX_SECONDS} s: only the first {MAX_SECONDS} s are read and shown")
    for warning in warnings:
        print(one_line(f"warning: {args.video}: {warning}"), file=sys.stderr)
    write_animation(args.out, compose(clip))
    size = args.out.stat().st_size / 1e6
    print(printable(f"{clip.transcript.text}\n{args.out}: {len(clip.frames)} frames, {size:.1f} MB"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
