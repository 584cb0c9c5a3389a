"""The cost of a network: its parameters, and the floating-point operations of reading one clip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Size, nn
from torch.utils.flop_counter import FlopCounterMode

from lipnet.config import ModelConfig
from lipnet.models.lipnet import LipNet

CLIP_FRAMES = 75  # of a GRID clip: 3 s at 25 fps


def count_parameters(module: nn.Module) -> int:
    """Number of trainable and frozen parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_flops(config: ModelConfig, frames: int = CLIP_FRAMES) -> int:
    """Floating-point operations of reading one clip, two for each multiplication and addition.

    As counted by PyTorch: convolutions, recurrent layers and matrix products. Elementwise operations
    (normalisation, activations, pooling) are left out. A training step takes about three times as many.
    """
    with torch.device("meta"):
        model = LipNet(config).eval()
    model.to_empty(device="cpu")  # the values of the weights do not matter, and to draw them takes seconds
    crop = torch.zeros(1, 1, config.height, config.width, 3, dtype=torch.uint8)
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.mkldnn_rnn_layer: _onednn_lstm_flops}
    )
    with torch.inference_mode(), counter:
        model(crop, torch.ones(1, dtype=torch.int64))
    return frames * counter.get_total_flops()  # every frame costs the same


def _onednn_lstm_flops(
    inputs: Size, input_weights: Size, state_weights: Size, *_: Any, out_shape: Any = None
) -> int:
    """One direction of an LSTM as oneDNN runs it on a CPU, in one call unknown to PyTorch's counter."""
    frames, clips, _features = inputs
    return 2 * frames * clips * (input_weights.numel() + state_weights.numel())
