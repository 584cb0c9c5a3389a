"""Convert weights that another LipNet repository published into weights that every script reads.

The layout is recognised by the file's content.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lipnet.models.checkpoint import save_weights
from lipnet.models.convert.published import KNOWN, load_published_weights
from lipnet.models.flops import count_parameters
from lipnet.utils.cli import command_line, make_parser

EXAMPLES = """examples:
  %(prog)s unseen-weights178.h5 --out rizkiarm.safetensors
  %(prog)s vipl.pt --out vipl.safetensors
"""


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(f"{__doc__}Known layouts: {KNOWN}.", EXAMPLES)
    parser.add_argument("weights", type=Path, help="published weights file")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    model, metadata = load_published_weights(args.weights)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(args.out, model.state_dict(), metadata)
    crop, landmarks = metadata.crop, ", and landmarks" if "landmarks" in metadata.model.streams else ""
    print(
        f"{args.out}: {metadata.info['source']}, {count_parameters(model):,} parameters, "
        f"reads crops of {crop.width}x{crop.height} px with the eyes {crop.eye_distance:g} px "
        f"apart{landmarks}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
