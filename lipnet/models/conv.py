"""Convolutional blocks for padded batches: a clip's output does not depend on its padding.

Shapes are in the letters of ``lipnet.py``. Without a ``padding``, all frames are valid.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, distributed, nn

from lipnet.config import ModelConfig
from lipnet.models.batch import Padding, put, take

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

    def forward(self, x: Tensor, padding: Padding | None = None) -> Tensor:
        """(B, C, T, H, W) -> (B, C', T, H', W')."""
        if padding is not None and padding.mask is not None:
            # Padding must be what the convolution itself pads with: zeros.
            x = x.masked_fill(~padding.mask[:, None, :, None, None], 0)
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x, padding)
        # ReLU and max pooling commute; pooling first leaves ReLU a quarter of the work.
        return self.dropout(self.pool(x).relu())


class MaskedBatchNorm(nn.BatchNorm3d):
    """Batch normalisation whose training statistics are those of the valid frames only.

    With several processes (``torch.distributed``), of those of all their batches.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON, momentum=MOMENTUM)

    def train(self, mode: bool = True) -> MaskedBatchNorm:
        """As usual, but a frozen layer keeps the running statistics of its pretrained weights."""
        return super().train(mode and self.weight.requires_grad)

    def forward(self, x: Tensor, padding: Padding | None = None) -> Tensor:
        """(B, C, T, H, W) -> the same shape."""
        if padding is None or not self.training:
            return super().forward(x)
        is_alone = not distributed.is_initialized() or distributed.get_world_size() == 1
        if is_alone and padding.mask is None:
            return super().forward(x)
        x = x.movedim(1, -1)  # (B, C, T, H, W) -> (B, T, H, W, C)
        frames = take(x.flatten(0, 1), padding.frames).movedim(-1, 1)  # (N, C, H, W)
        frames = self._normed(frames) if is_alone else self._normed_across_processes(frames)
        normed = put(frames.movedim(1, -1), padding.frames, x.shape[0] * x.shape[1])
        return normed.unflatten(0, x.shape[:2]).movedim(-1, 1)

    def _normed(self, frames: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        running = (self.running_mean, self.running_var)
        return F.batch_norm(frames, *running, self.weight, self.bias, True, MOMENTUM, self.eps)

    def _normed_across_processes(self, frames: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape; N differs between the processes, and may be 0."""
        assert self.running_mean is not None and self.running_var is not None
        normed, mean, variance, count = _SharedNorm.apply(frames, self.weight, self.bias, self.eps)
        self.running_mean.lerp_(mean, MOMENTUM)
        self.running_var.lerp_(variance * count / (count - 1), MOMENTUM)
        return normed


class _SharedNorm(torch.autograd.Function):
    """Batch normalisation with the statistics of the batches of all processes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, C, H, W) -> the same shape and dtype; of all processes mean and variance, (C,) float32, and
        number of values per channel, () float32.
        """
        values, count = x.float(), x.numel() // x.shape[1]
        own = values.sum((0, 2, 3)) / max(count, 1)
        # Squares around the process's own mean: where means are large, those around 0 would lose digits.
        spread = (values - own[:, None, None]).square().sum((0, 2, 3))
        own = own.double()
        sums = torch.stack([count * own, spread + count * own.square(), torch.full_like(own, count)])
        distributed.all_reduce(sums)
        mean, squares = sums[:2] / sums[2]
        variance = (squares - mean.square()).clamp_min(0).float()
        mean, total = mean.float(), sums[2, 0].float()
        scale = (variance + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, scale, total)
        ctx.mark_non_differentiable(mean, variance, total)
        gain = (weight * scale)[:, None, None]
        normed = (values - mean[:, None, None]) * gain + bias[:, None, None]
        return normed.to(x.dtype), mean, variance, total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, scale, total = ctx.saved_tensors
        normed = (x.float() - mean[:, None, None]) * scale[:, None, None]
        gradient = gradient.float()
        own = torch.stack([gradient.sum((0, 2, 3)), (gradient * normed).sum((0, 2, 3))])
        shared = own.clone()
        distributed.all_reduce(shared)
        offset, slope = (shared / total)[..., None, None]
        of_x = (weight * scale)[:, None, None] * (gradient - offset - normed * slope)
        return of_x.to(x.dtype), own[1], own[0], None


class MaskedInstanceNorm(nn.Module):
    """Normalises each channel of each clip over its valid frames, then applies a gain and an offset."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, padding: Padding | None = None) -> Tensor:
        """(B, C, T, H, W) -> the same shape and dtype."""
        mean, variance = clip_moments(x.float(), None if padding is None else padding.mask)
        gain = self.weight[:, None, None, None] * (variance + EPSILON).rsqrt()
        return ((x - mean) * gain + self.bias[:, None, None, None]).to(x.dtype)


NORMS = {"none": None, "batch": MaskedBatchNorm, "instance": MaskedInstanceNorm}


def clip_moments(x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and variance of each clip's channels over its valid frames, which ``mask`` (B, T) bool marks:
    (B, C, T, H, W) float32 -> two (B, C, 1, 1, 1).
    """
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
