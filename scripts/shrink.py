"""Write weights in half precision, half the size and the same but for rounding; several are averaged."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lipnet.config import CropConfig, ModelConfig
from lipnet.errors import LipnetError
from lipnet.models.checkpoint import load_weights, save_weights
from lipnet.models.metadata import Metadata
from lipnet.utils.cli import one_line_errors

EXAMPLES = """examples:
  python scripts/shrink.py runs/a/best.safetensors --out a.safetensors
  python scripts/shrink.py runs/a/best.safetensors runs/b/best.safetensors --out mean.safetensors
"""
MEASURED = ("epoch", "revision", "dev")  # of one run's weights


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, nargs="+", help="of runs; several are averaged")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    return parser.parse_args()


@one_line_errors
def main() -> int:
    args = parse_arguments()
    loaded = [load_weights(path) for path in args.weights]
    states = [model.state_dict() for model, _ in loaded]
    model, metadata = loaded[-1]
    if len(loaded) > 1:
        metadata = described([one for _, one in loaded])
    if any(kind(one) != kind(metadata) for _, one in loaded):
        raise LipnetError(
            f"{' '.join(map(str, args.weights))}: not of one kind; average runs of one model and one cropping"
        )
    halves = {name: mean([state[name] for state in states]) for name in model.state_dict()}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(args.out, halves, metadata)
    after, before = (path.stat().st_size / 1e6 for path in (args.out, args.weights[-1]))
    print(f"{args.out}: {after:.1f} MB, {before:.1f} before")
    return 0


def kind(metadata: Metadata) -> tuple[ModelConfig, CropConfig]:
    """What weights must share to have a mean: all but dropout, which leaves no trace in them."""
    return replace(metadata.model, dropout=0.0, block_dropout=None), metadata.crop


def described(checkpoints: list[Metadata]) -> Metadata:
    """Of a mean: the last one's description, less what was measured of it, and whose mean it is."""
    last = checkpoints[-1]
    info = {key: value for key, value in last.info.items() if key not in MEASURED}
    info["mean_of"] = [{key: one.info.get(key) for key in MEASURED} for one in checkpoints]
    return replace(last, info=info, grid=all(one.grid for one in checkpoints), calibration={})


def mean(tensors: list[Tensor]) -> Tensor:
    """In half precision; of whole numbers the last."""
    if not tensors[-1].is_floating_point():
        return tensors[-1]
    return torch.stack([tensor.double() for tensor in tensors]).mean(0).half()


if __name__ == "__main__":
    sys.exit(main())
