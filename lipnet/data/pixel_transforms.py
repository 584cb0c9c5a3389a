"""Augmentation of pixels: changes of whole batches of clips.

Shapes: B batch, T frames, H and W pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from lipnet.config import LUMA, AugmentConfig


def augment_pixels(frames: Tensor, config: AugmentConfig, mirrored: Tensor | None = None) -> Tensor:
    """Mirror, rotate, scale and shift each clip, turn some grey, then change brightness and contrast.

    Each clip is changed as a whole, independently of its length and padding. The changes are drawn from
    torch's CPU generator. Pixels from outside the image repeat its border.

    Args:
        frames: (B, T, H, W, 3) uint8 RGB on any device.
        mirrored: (B,) bool on the CPU: the clips to mirror; None: none of them.

    Returns:
        The same shape, dtype and device.
    """
    if not frames.numel():  # of networks that read landmarks only
        return frames
    draws = 2 * torch.rand(7, len(frames)) - 1  # -1 to 1
    if mirrored is None:
        mirrored = torch.zeros(len(frames), dtype=torch.bool)
    if config.scale or config.rotation:
        frames = _warp(frames, _affine_transforms(mirrored, draws[:4], config))
    elif config.shift or mirrored.any():
        frames = _mirror_and_shift(frames, mirrored, (draws[:2] * config.shift).round().long())
    is_grey = (draws[6] + 1) / 2 < config.grey
    if is_grey.any():
        clips = _on_device_of(frames, is_grey.nonzero().flatten())
        luma = frames.index_select(0, clips).float() @ _on_device_of(
            frames, torch.tensor(LUMA)
        )  # (N, T, H, W)
        grey = luma.round().to(torch.uint8)[..., None].expand(-1, -1, -1, -1, 3)
        frames = frames.index_copy(0, clips, grey)
    if config.brightness or config.contrast:
        offset, factor = _on_device_of(frames, draws[4:6])[:, :, None, None, None, None]
        x = frames.float()
        mean = x[:, :1].mean((1, 2, 3, 4), keepdim=True)  # of the first frame, which is never padding
        x = (x - mean) * (1 + config.contrast * factor) + mean + 255 * config.brightness * offset
        frames = x.round().clamp(0, 255).to(torch.uint8)
    return frames


def _on_device_of(frames: Tensor, tensor: Tensor) -> Tensor:
    """A small tensor of the CPU on the device of the frames, for which nothing waits for that device."""
    return tensor.to(frames.device, non_blocking=True)


def _mirror_and_shift(frames: Tensor, mirrored: Tensor, shifts: Tensor) -> Tensor:
    """Each clip of (B, T, H, W, 3) mirrored where (B,) bool says so, then shifted by its column of (2, B)
    int64: px to the right, px down. This gives the pixels of `_warp` in a twentieth of its time on a CPU.
    """
    height, width = frames.shape[2:4]
    changed = torch.empty_like(frames)
    for before, after, is_mirrored, (right, down) in zip(
        frames, changed, mirrored.tolist(), shifts.T.tolist(), strict=True
    ):
        source = before.flip(2) if is_mirrored else before
        (top, bottom, from_top), (left, end, from_left) = _overlap(down, height), _overlap(right, width)
        rows, columns = slice(from_top, from_top + bottom - top), slice(from_left, from_left + end - left)
        after[:, top:bottom, left:end] = source[:, rows, columns]
        after[:, top:bottom, :left] = after[:, top:bottom, left : left + 1]
        after[:, top:bottom, end:] = after[:, top:bottom, end - 1 : end]
        after[:, :top] = after[:, top : top + 1]
        after[:, bottom:] = after[:, bottom - 1 : bottom]
    return changed


def _overlap(shift: int, size: int) -> tuple[int, int, int]:
    """Where ``size`` px that are shifted still lie on themselves: first, last + 1, and first before it."""
    shift = max(min(shift, size - 1), 1 - size)  # by more, all px repeat the border too
    return max(shift, 0), size + min(shift, 0), max(-shift, 0)


def _affine_transforms(mirrored: Tensor, draws: Tensor, config: AugmentConfig) -> Tensor:
    """(B,) bool, (4, B) numbers from -1 to 1 -> (B, 2, 3) from output to input px, from the centre."""
    mirror = torch.where(mirrored, -1.0, 1.0)
    shift = (draws[:2] * config.shift).round()
    scale = 1 + draws[2] * config.scale
    angle = draws[3] * math.radians(config.rotation)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    linear = torch.stack([torch.stack([mirror * cos, mirror * sin]), torch.stack([-sin, cos])])  # (2, 2, B)
    offset = -(linear * shift).sum(1)
    return torch.cat([linear, offset[:, None]], dim=1).movedim(-1, 0)


def _warp(frames: Tensor, transforms: Tensor) -> Tensor:
    """Each clip of (B, T, H, W, 3) uint8 under its own (2, 3) transform, bilinear."""
    batch, time, height, width, _ = frames.shape
    half = torch.tensor([width, height]) / 2
    scaled = transforms * torch.cat([half, torch.ones(1)])  # grid_sample's coordinates go from -1 to 1
    grid = F.affine_grid(scaled / half[:, None], [batch, 1, height, width], align_corners=False)
    # All frames of a clip are channels of one image, so that its grid is used once.
    images = frames.permute(0, 1, 4, 2, 3).flatten(1, 2).float()  # (B, T * 3, H, W)
    images = F.grid_sample(images, _on_device_of(frames, grid), padding_mode="border", align_corners=False)
    return images.round().to(torch.uint8).unflatten(1, (time, 3)).permute(0, 1, 3, 4, 2).contiguous()
