"""Make an animated picture of how a video is read: captions, words, mouth crop and posteriorgram."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lipnet.decoding.factory import add_decoder_arguments, decoder_options
from lipnet.inference.reader import LipReader
from lipnet.inference.sentences import N_BEST
from lipnet.output.animation import MAX_SECONDS, check_picture, compose, read_clip, write_animation
from lipnet.utils.cli import command_line, make_parser
from lipnet.utils.terminal import one_line, printable
from lipnet.weights import WEIGHTS

EXAMPLES = """examples:
  %(prog)s clip.mpg --out clip.webp
  %(prog)s clip.mpg --weights runs/a/best.safetensors --decoder beam --out clip.gif
"""


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    add("video", type=Path, help=f"of which the first {MAX_SECONDS} s are read and shown")
    add("--out", type=Path, required=True, metavar="WEBP", help=".webp, or .gif, which is 8 times as large")
    add("--weights", type=Path, default=WEIGHTS, help="of a run, or an .onnx file (default: those that ship)")
    add_decoder_arguments(parser)
    add(
        "--face",
        metavar="WHICH",
        help="of several faces: largest, left, right, or a number from the left; none: "
        "the video shows only a mouth",
    )
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    check_picture(args.video, args.out)
    reader = LipReader.load(args.weights, args.decoder, args.device, decoder_options(args, N_BEST))
    if args.face is not None:
        reader.use_face(args.face)
    clip = read_clip(reader, args.video)
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
