"""Write checkpoints in half precision, which halves their size; several checkpoints are averaged."""

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
from lipnet.utils.cli import command_line, make_parser

EXAMPLES = """examples:
  %(prog)s runs/a/best.safetensors --out a.safetensors
  %(prog)s runs/a/best.safetensors runs/b/best.safetensors --out mean.safetensors
"""
RUN_INFO = ("epoch", "revision", "dev")  # metadata of a single run's weights, not of a mean


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    parser.add_argument("weights", type=Path, nargs="+", help="checkpoints; several are averaged")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    loaded = [load_weights(path) for path in args.weights]
    states = [model.state_dict() for model, _ in loaded]
    metadata = loaded[-1][1]
    if any(architecture(other) != architecture(metadata) for _, other in loaded):
        raise LipnetError(
            f"{' '.join(map(str, args.weights))}: of different models or crops; average runs of one model"
        )
    if len(loaded) > 1:
        metadata = mean_metadata([one for _, one in loaded])
    halves = {name: half_precision_mean([state[name] for state in states]) for name in states[-1]}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(args.out, halves, metadata)
    after, before = (path.stat().st_size / 1e6 for path in (args.out, args.weights[-1]))
    print(f"{args.out}: {after:.1f} MB, {before:.1f} before")
    return 0


def architecture(metadata: Metadata) -> tuple[ModelConfig, CropConfig]:
    """What checkpoints must have in common to be averaged: everything but dropout, which has no weights."""
    return replace(metadata.model, dropout=0.0, block_dropout=None), metadata.crop


def mean_metadata(checkpoints: list[Metadata]) -> Metadata:
    """The metadata of the last checkpoint, with RUN_INFO of each of them and without calibration."""
    last = checkpoints[-1]
    info = {key: value for key, value in last.info.items() if key not in RUN_INFO}
    info["mean_of"] = [{key: one.info.get(key) for key in RUN_INFO} for one in checkpoints]
    return replace(last, info=info, grid=all(one.grid for one in checkpoints), calibration={})


def half_precision_mean(tensors: list[Tensor]) -> Tensor:
    """The mean in float16; of integer tensors, the last one."""
    if not tensors[-1].is_floating_point():
        return tensors[-1]
    return torch.stack([tensor.double() for tensor in tensors]).mean(0).half()


if __name__ == "__main__":
    sys.exit(main())
