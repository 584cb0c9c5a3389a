"""The landmark stream: convolutions over time on the numbers that each frame's landmarks give.

Shapes are in the letters of ``lipnet.py``.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from lipnet.config import ModelConfig
from lipnet.cropping.landmarks import LANDMARK_INPUTS
from lipnet.models.batch import Padding
from lipnet.models.conv import MaskedBatchNorm


class LandmarkEncoder(nn.Module):
    """[Conv1d over time -> batch normalisation -> ReLU -> dropout] for each of ``landmark_channels``."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = [input_width(config), *config.landmark_channels]
        kernel = config.landmark_kernel
        self.convs = nn.ModuleList(
            nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2) for inputs, outputs in pairwise(widths)
        )
        self.norms = nn.ModuleList(MaskedBatchNorm(width) for width in widths[1:])
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, padding: Padding) -> Tensor:
        """(B, T, F) float32 without NaN -> (B, T, C) float32."""
        x = x.transpose(1, 2)  # (B, C, T)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            if padding.mask is not None:
                x = x.masked_fill(
                    ~padding.mask[:, None], 0
                )  # padding is what the convolution itself pads with
            x = norm(conv(x)[..., None, None], padding)[..., 0, 0]
            x = self.dropout(x.relu())
        return x.transpose(1, 2)


def input_width(config: ModelConfig) -> int:
    """Numbers per frame that the landmark stream reads."""
    return LANDMARK_INPUTS[config.landmark_input].size


def landmark_width(config: ModelConfig) -> int:
    """Features per frame of the landmark stream."""
    return [input_width(config), *config.landmark_channels][-1]


def split_unknown(landmarks: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, F) float32, NaN where unknown -> with 0 there, and (B, T, 1) bool: where they are known."""
    known = ~torch.isnan(landmarks[..., :1])
    return landmarks.masked_fill(~known, 0), known
