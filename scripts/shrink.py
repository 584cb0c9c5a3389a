"""Write weights in half precision: half the size, the same readings but for rounding."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lipnet.checkpoint import load_weights, save_weights
from lipnet.errors import one_line_errors

EXAMPLES = """examples:
  python scripts/shrink.py runs/a/best.safetensors a.safetensors
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, help="of a run")
    parser.add_argument("out", type=Path, help="file to write")
    return parser.parse_args()


@one_line_errors
def main() -> int:
    args = parse_arguments()
    model, checkpoint = load_weights(args.weights)
    halves = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(args.out, halves, checkpoint)
    print(
        f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, {args.weights.stat().st_size / 1e6:.1f} before"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
