"""Changes to the pixels of whole clips, as batched tensor operations on the batch's own device."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from lipnet.config import AugmentConfig


def augment_pixels(frames: Tensor, config: AugmentConfig) -> Tensor:
    """Mirror, shift and brighten each clip, and change its contrast, as torch's CPU generator draws it.

    ``frames`` are (B, T, H, W, 3) uint8 RGB on any device, and so is the result. What a shift uncovers
    repeats the border. A clip's changes do not depend on its length or on the padding after it.
    """
    draws = 2 * torch.rand(5, len(frames)) - 1  # -1 ... 1
    flipped = ((draws[0] + 1) / 2 < config.flip).to(frames.device)
    if config.shift:
        down, right = (draws[1:3] * config.shift).round().long().to(frames.device)
        frames = _shifted(frames, down, right)
    mirrored = transforms.horizontal_flip(frames.movedim(-1, -3)).movedim(-3, -1)
    frames = torch.where(flipped[:, None, None, None, None], mirrored, frames)
    if config.brightness or config.contrast:
        offset, factor = draws[3:5, :, None, None, None, None].to(frames.device)
        x = frames.float()
        grey = x[:, :1].mean((1, 2, 3, 4), keepdim=True)  # of the first frame, which is never padding
        x = (x - grey) * (1 + config.contrast * factor) + grey + 255 * config.brightness * offset
        frames = x.round().clamp(0, 255).to(torch.uint8)
    return frames


def _shifted(frames: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Move each clip by its own whole pixels, (B,) int64 each: one gather with clamped coordinates."""
    batch, time, height, width, _ = frames.shape
    device = frames.device
    rows = (torch.arange(height, device=device) - down[:, None]).clamp(0, height - 1)  # (B, H)
    columns = (torch.arange(width, device=device) - right[:, None]).clamp(0, width - 1)  # (B, W)
    clips = torch.arange(batch, device=device)[:, None, None, None]
    steps = torch.arange(time, device=device)[None, :, None, None]
    return frames[clips, steps, rows[:, None, :, None], columns[:, None, None, :]]
