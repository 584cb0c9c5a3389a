"""Serve a page in the browser that reads videos, uploaded or from a webcam."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lipnet.app.server import LOCAL, check_address, serve
from lipnet.utils.cli import command_line, make_parser
from lipnet.weights import WEIGHTS

EXAMPLES = """examples:
  On this computer, at http://127.0.0.1:8000, with weights of a run:
    %(prog)s --port 8000 --weights runs/a/best.safetensors

  With two networks to choose from, for everyone who can reach this computer and knows the password:
    %(prog)s --weights runs/a/best.safetensors runs/b/best.safetensors \\
        --host 0.0.0.0 --auth reader:PASSWORD
"""


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    add = parser.add_argument
    add(
        "--weights",
        type=Path,
        nargs="+",
        default=[WEIGHTS],
        help="of runs, or .onnx files (default: those that ship)",
    )
    add("--host", default=LOCAL, help="address to listen at (default: %(default)s, this computer alone)")
    add("--port", type=int, default=7860, help="default: %(default)s; 0: any that is free")
    add("--auth", metavar="USER:PASSWORD", help="ask for these; needed where --host lets other computers in")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    serve(args.weights, args.device, args.host, args.port, check_address(args.host, args.auth))
    return 0


if __name__ == "__main__":
    sys.exit(main())
