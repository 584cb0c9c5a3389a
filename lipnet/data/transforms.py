"""Changes to the pixels of whole clips, as batched tensor operations on the batch's own device."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from lipnet.config import AugmentConfig
from lipnet.models.lipnet import LUMA


def augment_pixels(frames: Tensor, config: AugmentConfig) -> Tensor:
    """Mirror, turn, resize and shift each clip, turn some grey, then change brightness and contrast.

    ``frames`` are (B, T, H, W, 3) uint8 RGB on any device, and so is the result; torch's CPU generator
    draws the changes. What a shift uncovers repeats the border. A clip's changes do not depend on its
    length or on the padding after it.
    """
    draws = 2 * torch.rand(8, len(frames)) - 1  # -1 ... 1
    frames = _warped(frames, _transforms(draws[:5], config))
    greyed = (draws[7] + 1) / 2 < config.grey
    if greyed.any():
        frames = frames.clone()
        luma = frames[greyed].float() @ torch.tensor(LUMA, device=frames.device)  # (N, T, H, W)
        frames[greyed] = luma.round().to(torch.uint8)[..., None]
    if config.brightness or config.contrast:
        offset, factor = draws[5:7, :, None, None, None, None].to(frames.device)
        x = frames.float()
        grey = x[:, :1].mean((1, 2, 3, 4), keepdim=True)  # of the first frame, which is never padding
        x = (x - grey) * (1 + config.contrast * factor) + grey + 255 * config.brightness * offset
        frames = x.round().clamp(0, 255).to(torch.uint8)
    return frames


def _transforms(draws: Tensor, config: AugmentConfig) -> Tensor:
    """(5, B) numbers in -1 ... 1 -> (B, 2, 3) from a pixel's place after the change to its place before.

    Places are in pixels from the centre of the image, x and then y.
    """
    mirror = torch.where((draws[0] + 1) / 2 < config.flip, -1.0, 1.0)
    shift = (draws[1:3] * config.shift).round()
    size = 1 + draws[3] * config.scale
    angle = draws[4] * math.radians(config.rotation)
    cos, sin = angle.cos() / size, angle.sin() / size
    linear = torch.stack([torch.stack([mirror * cos, mirror * sin]), torch.stack([-sin, cos])])  # (2, 2, B)
    moved = -(linear * shift).sum(1)
    return torch.cat([linear, moved[:, None]], dim=1).movedim(-1, 0)


def _warped(frames: Tensor, transforms: Tensor) -> Tensor:
    """Each clip under its own (2, 3) transform, bilinear, as (B, T, H, W, 3) uint8."""
    unchanged = torch.eye(2, 3).expand_as(transforms)
    if torch.equal(transforms, unchanged):
        return frames
    batch, time, height, width, _ = frames.shape
    half = torch.tensor([width, height]) / 2
    scaled = transforms * torch.cat([half, torch.ones(1)])  # grid_sample's places go from -1 to 1
    grid = F.affine_grid(scaled / half[:, None], [batch, 1, height, width], align_corners=False)
    # Frames are channels of one image, so that a clip's grid is made and read once.
    images = frames.permute(0, 1, 4, 2, 3).flatten(1, 2).float()  # (B, T * 3, H, W)
    images = F.grid_sample(images, grid.to(frames.device), padding_mode="border", align_corners=False)
    return images.round().to(torch.uint8).unflatten(1, (time, 3)).permute(0, 1, 3, 4, 2).contiguous()
