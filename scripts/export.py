"""Export weights to an ONNX file, which runs without PyTorch, and check that its outputs are the same."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from lipnet.cropping.landmarks import LANDMARK_INPUTS
from lipnet.device import choose_device
from lipnet.errors import LipnetError
from lipnet.inference.emissions import Backend
from lipnet.inference.onnx_backend import OnnxBackend
from lipnet.inference.torch_backend import TorchBackend
from lipnet.models.checkpoint import load_weights
from lipnet.utils.cli import command_line, make_parser
from lipnet.utils.files import write_atomically
from lipnet.weights import WEIGHTS

EXAMPLES = """examples:
  %(prog)s --onnx lipnet.onnx
  %(prog)s --weights runs/a/best.safetensors --onnx a.onnx
"""
CHECKED_LENGTHS = (75, 40, 50)  # frames; the last clip has no landmarks
# Largest difference of log-probabilities. Rounding reaches a third of it (PyTorch in float32 against float64,
# on noise); a wrong gate or mask gives hundreds of times as much.
TOLERANCE = 1e-3


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    parser.add_argument(
        "--weights", type=Path, default=WEIGHTS, help="weights file (default: the pretrained weights)"
    )
    parser.add_argument("--onnx", type=Path, required=True, help="file to write")
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    try:
        from lipnet.models.onnx.export import onnx_model  # an optional dependency
    except ModuleNotFoundError as error:
        raise LipnetError(f"{error.name} is not installed: pip install -e '.[export]'") from error
    model, metadata = load_weights(args.weights)
    content = onnx_model(model, metadata).SerializeToString()
    original = TorchBackend(model, metadata, choose_device("cpu", "float32"))
    difference = largest_difference(original, OnnxBackend(content))
    if not difference <= TOLERANCE:  # NaN is not <= anything
        raise LipnetError(
            f"{args.onnx}: not written, its log-probabilities differ from PyTorch's by {difference:.1g}, "
            f"more than {TOLERANCE:g}; update onnxruntime and torch"
        )
    args.onnx.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.onnx, content)
    print(
        f"{args.onnx}: {len(content) / 1e6:.1f} MB, log-probabilities within {difference:.1g} of PyTorch's "
        f"on random clips of {', '.join(map(str, CHECKED_LENGTHS[:-1]))} and {CHECKED_LENGTHS[-1]} frames"
    )
    return 0


def largest_difference(first: Backend, second: Backend) -> float:
    """The largest difference of two backends' log-probabilities, of characters and words, on random crops and
    landmarks.
    """
    size = first.metadata.model
    random = np.random.default_rng(0)
    clips = [
        random.integers(0, 256, (frames, size.height, size.width, 3), np.uint8) for frames in CHECKED_LENGTHS
    ]
    width = LANDMARK_INPUTS[size.landmark_input].size
    landmarks = [random.normal(size=(frames, width)).astype(np.float32) for frames in CHECKED_LENGTHS[:-1]]
    pairs = zip(first(clips, [*landmarks, None]), second(clips, [*landmarks, None]), strict=True)
    differences = []
    for one, other in pairs:
        differences.append(one.log_probs - other.log_probs)
        if one.word_log_probs is not None and other.word_log_probs is not None:
            differences.append(one.word_log_probs - other.word_log_probs)
    return max(float(np.abs(values).max()) for values in differences)


if __name__ == "__main__":
    sys.exit(main())
