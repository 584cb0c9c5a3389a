"""What a network costs: parameters, and the operations of reading one clip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Size, nn
from torch.utils.flop_counter import FlopCounterMode

from lipnet.config import ModelConfig
from lipnet.models.lipnet import LipNet

CLIP_FRAMES = 75  # of a GRID clip: 3 s at 25 frames a second


def parameters(module: nn.Module) -> int:
    """How many numbers a network has learnt, or will."""
    return sum(parameter.numel() for parameter in module.parameters())


def operations(config: ModelConfig, frames: int = CLIP_FRAMES) -> int:
    """Floating-point operations of reading one clip: two for each product in a sum.

    As PyTorch counts them: convolutions, recurrent layers and matrix products; what goes number by number
    (normalisation, activations, pooling) is left out. A training step takes about three times as many.
    """
    with torch.device("meta"):
        model = LipNet(config).eval()
    model.to_empty(device="cpu")  # what the weights are does not matter, and to draw them takes seconds
    crop = torch.zeros(1, 1, config.height, config.width, 3, dtype=torch.uint8)
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.mkldnn_rnn_layer: _of_one_direction}
    )
    with torch.inference_mode(), counter:
        model(crop, torch.ones(1, dtype=torch.int64))
    return frames * counter.get_total_flops()  # every frame costs the same


def _of_one_direction(
    inputs: Size, input_weights: Size, state_weights: Size, *_: Any, out_shape: Any = None
) -> int:
    """An LSTM as oneDNN runs it on a CPU, in one call, which PyTorch's counter does not know."""
    frames, clips, _features = inputs
    return 2 * frames * clips * (input_weights.numel() + state_weights.numel())
