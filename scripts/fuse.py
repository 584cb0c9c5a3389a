"""Join the weights of a network that reads pixels and of one that reads landmarks into a two-stream network
(late fusion).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from lipnet.config import ModelConfig
from lipnet.errors import LipnetError
from lipnet.grid import natural_key
from lipnet.models.checkpoint import load_weights, save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata
from lipnet.utils.cli import command_line, make_parser

EXAMPLES = """examples:
  %(prog)s runs/pixels/best.safetensors runs/landmarks/best.safetensors --out both.safetensors
  %(prog)s runs/a/best.safetensors runs/b/best.safetensors --weight 0.5 --entropy 0.4 --out ab.safetensors
"""
# What both networks must have in common, since one setting of the joined network says it.
SHARED = ("alphabet", "outputs_per_frame", "layers", "cell", "bidirectional", "activation", "word_heads")


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    parser.add_argument("pixels", type=Path, help="weights of a network that reads pixels")
    parser.add_argument("landmarks", type=Path, help="weights of a network that reads landmarks")
    default = ModelConfig()
    parser.add_argument(
        "--weight",
        type=float,
        default=default.landmark_weight,
        help="largest weight of the landmarks in the mean of both word heads, 0 to 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--entropy",
        type=float,
        default=default.landmark_entropy,
        help="nats; the landmarks are trusted more where the mean entropy of the pixels' words is larger "
        "(default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    (pixels, of_pixels), (landmarks, of_landmarks) = load_weights(args.pixels), load_weights(args.landmarks)
    config = joined_config(args, of_pixels.model, of_landmarks.model)
    tensors = pixels.state_dict() | {f"landmark_net.{k}": v for k, v in landmarks.state_dict().items()}
    LipNet(config).load_state_dict(tensors)
    info: dict[str, Any] = {"pixels": of_pixels.info, "landmarks": of_landmarks.info}
    speakers = {name for one in info.values() for name in one.get("train_speakers", [])}
    if speakers:
        info["train_speakers"] = sorted(speakers, key=natural_key)
    metadata = Metadata(config, of_pixels.crop, info, grid=of_pixels.grid and of_landmarks.grid)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(args.out, tensors, metadata)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB; scripts/shrink.py halves it")
    return 0


def joined_config(args: argparse.Namespace, pixels: ModelConfig, landmarks: ModelConfig) -> ModelConfig:
    """The settings of the two-stream network. Raises LipnetError if the two do not fit together."""
    for path, config, streams in (
        (args.pixels, pixels, ["pixels"]),
        (args.landmarks, landmarks, ["landmarks"]),
    ):
        if config.streams != streams:
            raise LipnetError(f"{path}: reads {' and '.join(config.streams)}; give weights for {streams[0]}")
    for key in SHARED:
        one, other = getattr(pixels, key), getattr(landmarks, key)
        if one != other:
            raise LipnetError(
                f"{args.landmarks}: model.{key} is {other!r}, in {args.pixels} it is {one!r}; train one of "
                "them with the setting of the other"
            )
    return replace(
        pixels,
        streams=["pixels", "landmarks"],
        fusion="late",
        landmark_input=landmarks.landmark_input,
        landmark_channels=landmarks.landmark_channels,
        landmark_kernel=landmarks.landmark_kernel,
        landmark_hidden=landmarks.hidden,
        landmark_weight=args.weight,
        landmark_entropy=args.entropy,
    )


if __name__ == "__main__":
    sys.exit(main())
