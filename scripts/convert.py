"""Write weights that another LipNet published as weights of ours, which every script reads.

What they are is recognised by their content.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lipnet.models.checkpoint import save_weights
from lipnet.models.convert import KNOWN, load_published_weights
from lipnet.models.flops import count_parameters
from lipnet.utils.cli import one_line_errors

EXAMPLES = """examples:
  python scripts/convert.py unseen-weights178.h5 --out rizkiarm.safetensors
  python scripts/convert.py vipl.pt --out vipl.safetensors
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f"{__doc__}Known: {KNOWN}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", type=Path, help="file of another LipNet")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    return parser.parse_args()


@one_line_errors
def main() -> int:
    args = parse_arguments()
    model, metadata = load_published_weights(args.weights)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(args.out, model.state_dict(), metadata)
    crop = metadata.crop
    print(
        f"{args.out}: {metadata.info['source']}, {count_parameters(model):,} parameters, "
        f"reads crops of {crop.width}x{crop.height} px with the eyes {crop.eye_distance:g} px apart"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
