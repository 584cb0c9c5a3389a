"""Pixel augmentation: each clip is changed as a whole, exactly, and independently of the others."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from tiny import OFF
from torch import Tensor

from lipnet.config import AugmentConfig
from lipnet.data.pixel_transforms import augment_pixels


def random_clips(*shape: int) -> Tensor:
    return torch.randint(256, (*shape, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_nothing_changes_where_all_is_off() -> None:
    frames = random_clips(3, 2, 4, 5)
    assert torch.equal(augment_pixels(frames, OFF), frames)


def test_mirroring_is_of_the_given_clips() -> None:
    frames = random_clips(3, 2, 4, 5)
    mirrored = torch.tensor([True, False, True])
    expected = torch.where(mirrored[:, None, None, None, None], frames.flip(3), frames)
    assert torch.equal(augment_pixels(frames, OFF, mirrored), expected)


def test_shifts_repeat_the_border() -> None:
    frames = random_clips(200, 2, 4, 5)
    torch.manual_seed(0)
    shifted = augment_pixels(frames, replace(OFF, shift=2))
    seen = set()
    for before, after in zip(frames.numpy(), shifted.numpy(), strict=True):
        padded = np.pad(before, ((0, 0), (2, 2), (2, 2), (0, 0)), "edge")
        (move,) = [
            (down, right)
            for down, right in product(range(-2, 3), repeat=2)
            if np.array_equal(after, padded[:, 2 - down : 6 - down, 2 - right : 7 - right])
        ]
        seen.add(move)
    assert seen == set(product(range(-2, 3), repeat=2))


@pytest.mark.parametrize("shift", [0, 3, 9])
def test_shifts_and_mirroring_give_the_pixels_of_a_warp(shift: int) -> None:
    """9 px are more than these crops have. With a scale, however small, they are warped."""
    frames, mirrored = random_clips(40, 2, 6, 8), torch.arange(40) % 2 == 0
    changed = []
    for scale in (0.0, 1e-9):
        torch.manual_seed(0)
        changed.append(augment_pixels(frames, replace(OFF, shift=shift, scale=scale), mirrored))
    assert torch.equal(changed[0], changed[1])


def blob_centres(
    config: AugmentConfig, count: int, x: float, y: float, seed: int = 0, mirror: bool = False
) -> np.ndarray:
    """Positions after augmentation, (count, 2), of a bright blob at (x, y) px from the centre of clips."""
    across, down = np.meshgrid(np.arange(101) - 50, np.arange(51) - 25)
    blob = 250 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / 18)
    frames = torch.from_numpy(blob.astype(np.uint8))[None, None, :, :, None].expand(count, 2, -1, -1, 3)
    torch.manual_seed(seed)
    changed = augment_pixels(frames.contiguous(), config, torch.full((count,), mirror))
    assert torch.equal(changed[:, 0], changed[:, 1])
    light = changed[:, 0, :, :, 0].double().numpy()
    return np.stack([(light * axis).sum((1, 2)) / light.sum((1, 2)) for axis in (across, down)], axis=1)


def test_scaling_is_about_the_centre() -> None:
    moved = blob_centres(replace(OFF, scale=0.2), 200, 20, 8) / (20, 8)
    np.testing.assert_allclose(moved[:, 0], moved[:, 1], atol=0.02)
    assert 0.8 <= moved.min() < 0.82 and 1.18 < moved.max() <= 1.205


def test_rotation_is_about_the_centre() -> None:
    moved = blob_centres(replace(OFF, rotation=10), 200, 20, 0)
    np.testing.assert_allclose(np.hypot(*moved.T), 20, atol=0.1)
    angles = np.degrees(np.arctan2(moved[:, 1], moved[:, 0]))
    assert -10.2 < angles.min() < -9.5 and 9.5 < angles.max() < 10.2


def test_mirrored_clips_are_shifted_as_far() -> None:
    moved = blob_centres(replace(OFF, shift=3), 200, 20, 0, mirror=True)
    assert set(np.round(moved[:, 0])) == set(range(-23, -16)) and set(np.round(moved[:, 1])) == set(
        range(-3, 4)
    )


def test_some_clips_turn_grey() -> None:
    frames = random_clips(200, 2, 4, 5)
    torch.manual_seed(0)
    changed = augment_pixels(frames, replace(OFF, grey=0.3))
    grey = (changed == changed[..., :1]).flatten(1).all(1)
    assert 40 < int(grey.sum()) < 80 and torch.equal(changed[~grey], frames[~grey])
    luma = frames[grey].double() @ torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    torch.testing.assert_close(changed[grey][..., 0].double(), luma, rtol=0, atol=0.51)


def test_brightness_adds_a_constant_to_each_clip() -> None:
    frames = 100 + random_clips(50, 2, 4, 5) % 50
    torch.manual_seed(0)
    added = augment_pixels(frames, replace(OFF, brightness=0.1)).int() - frames.int()
    low, high = added.flatten(1).aminmax(dim=1)
    assert torch.equal(low, high)
    assert -26 <= int(low.min()) < -20 and 20 < int(low.max()) <= 26


def test_contrast_scales_about_the_mean() -> None:
    frames = 100 + random_clips(50, 2, 4, 5) % 50
    torch.manual_seed(0)
    changed = augment_pixels(frames, replace(OFF, contrast=0.2)).double().flatten(1)
    before = frames.double().flatten(1)
    torch.testing.assert_close(changed.mean(1), before.mean(1), rtol=0, atol=0.5)
    factors = changed.std(1) / before.std(1)
    assert 0.79 < float(factors.min()) < 0.85 and 1.15 < float(factors.max()) < 1.21


def test_pixels_saturate_instead_of_wrapping() -> None:
    frames = (
        torch.tensor([0, 255], dtype=torch.uint8).repeat(40, 1, 3, 2)[..., None].expand(-1, -1, -1, -1, 3)
    )
    torch.manual_seed(0)
    changed = augment_pixels(frames, replace(OFF, brightness=0.3, contrast=0.3))
    assert int(changed[..., 0, :].max()) < 130 < int(changed[..., 1, :].min())


def test_pixel_augmentation_is_reproducible_by_the_seed() -> None:
    config = AugmentConfig(shift=3, brightness=0.1, contrast=0.2)
    frames, changed = random_clips(4, 3, 6, 8), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        changed.append(augment_pixels(frames, config))
    assert torch.equal(changed[0], changed[1]) and not torch.equal(changed[0], changed[2])
    assert changed[0].dtype == torch.uint8 and changed[0].shape == frames.shape
