"""Convolutional blocks for padded batches: a clip's output does not depend on its padding.

Shapes are in the letters of ``lipnet.py``. ``mask`` (B, T) bool marks the valid (unpadded) frames; None means
that all are valid.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from lipnet.config import ModelConfig

MOMENTUM = 0.1  # of the running statistics of batch normalisation
EPSILON = 1e-5  # added to variances before normalisation divides by them


class ConvBlock(nn.Module):
    """Conv3d -> [normalisation] -> ReLU -> 2x2 max pooling -> dropout of whole channels."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        """The block at ``index`` of ``config.channels``."""
        super().__init__()
        inputs, outputs = [config.in_channels, *config.channels][index : index + 2]
        kernel, stride = _triple(config.kernels[index]), _triple(config.strides[index])
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, _triple(paddings(config)[index]))
        norm = NORMS[config.norm]
        self.norm = None if norm is None else norm(outputs)
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.dropout = nn.Dropout3d(config.dropout if config.block_dropout is None else config.block_dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, C, T, H, W) -> (B, C', T, H', W')."""
        if mask is not None:
            # Padding must be what the convolution itself pads with: zeros.
            x = x.masked_fill(~mask[:, None, :, None, None], 0)
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x, mask)
        # ReLU and max pooling commute; pooling first leaves ReLU a quarter of the work.
        return self.dropout(self.pool(x).relu())


class MaskedBatchNorm(nn.BatchNorm3d):
    """Batch normalisation whose training statistics are those of the valid frames only."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON, momentum=MOMENTUM)

    def train(self, mode: bool = True) -> MaskedBatchNorm:
        """As usual, but a frozen layer keeps the running statistics of its pretrained weights."""
        return super().train(mode and self.weight.requires_grad)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, C, T, H, W) -> the same shape."""
        if mask is None or not self.training:
            return super().forward(x)
        x = x.movedim(1, -1)  # (B, C, T, H, W) -> (B, T, H, W, C)
        frames = x[mask].movedim(-1, 1)  # (N, C, H, W)
        running = (self.running_mean, self.running_var)
        frames = F.batch_norm(frames, *running, self.weight, self.bias, True, MOMENTUM, self.eps)
        normed = torch.zeros_like(x, dtype=frames.dtype)
        normed[mask] = frames.movedim(1, -1)
        return normed.movedim(-1, 1)


class MaskedInstanceNorm(nn.Module):
    """Normalises each channel of each clip over its valid frames, then applies a gain and an offset."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, C, T, H, W) -> the same shape and dtype."""
        mean, variance = clip_moments(x.float(), mask)
        gain = self.weight[:, None, None, None] * (variance + EPSILON).rsqrt()
        return ((x - mean) * gain + self.bias[:, None, None, None]).to(x.dtype)


NORMS = {"none": None, "batch": MaskedBatchNorm, "instance": MaskedInstanceNorm}


def clip_moments(x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and variance of each clip's channels: (B, C, T, H, W) float32 -> two (B, C, 1, 1, 1)."""
    if mask is None:
        mask = x.new_ones((len(x), x.shape[2]), dtype=torch.bool)
    weights = (mask / mask.sum(1, keepdim=True))[:, None, :, None, None]  # (B, 1, T, 1, 1), 0 for padding
    mean = (x.mean((3, 4), keepdim=True) * weights).sum(2, keepdim=True)
    squares = (x - mean).square().mean((3, 4), keepdim=True)
    return mean, (squares * weights).sum(2, keepdim=True)


def paddings(config: ModelConfig) -> list[list[int]]:
    """Zero padding of each convolution, [time, height, width] on each side."""
    return config.paddings or [[size // 2 for size in kernel] for kernel in config.kernels]


def feature_size(config: ModelConfig) -> int:
    """Features per frame after the convolutions: channels x height x width."""
    return math.prod([[config.in_channels, *config.channels][-1], *feature_map(config)])


def feature_map(config: ModelConfig) -> tuple[int, int]:
    """Height and width of the feature map after the convolutions."""
    height, width = config.height, config.width
    tables = zip(config.kernels, config.strides, paddings(config), strict=True)
    for kernel, stride, padding in tables:
        height, width = (
            ((size + 2 * padding[axis] - kernel[axis]) // stride[axis] + 1) // 2
            for axis, size in ((1, height), (2, width))
        )
    return height, width


def _triple(sizes: list[int]) -> tuple[int, int, int]:
    time, height, width = sizes
    return time, height, width
