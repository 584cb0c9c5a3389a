"""Antialiased drawing on float images.

A shape is an implicit function, positive inside. The distance to its border in pixels determines the share
of each pixel that it covers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Image = np.ndarray  # float32, (H, W) a map or (H, W, 3) RGB with 1.0 for white


def bump(x: Image, y: Image, cx: float, cy: float | Image, width: float, height: float) -> Image:
    """A Gaussian spot: 1 at its centre (cx, cy), 1/e at ``width`` or ``height`` from it."""
    return np.exp(-(((x - cx) / width) ** 2) - ((y - cy) / height) ** 2)


def border_distance(field: Image) -> Image:
    """Approximate distance to the zero line of an implicit function, in pixels, positive inside; (H, W)."""
    dy, dx = np.gradient(field)
    return field / np.maximum(np.hypot(dx, dy), 1e-3)


def coverage(distance: Image) -> Image:
    """The share of each pixel that a shape covers, from the distance to its border in pixels."""
    t = np.clip(distance + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def blend(image: Image, colour: Image, alpha: Image) -> None:
    """Blend ``colour`` ((3,) or (H, W, 3)) over ``image`` (H, W, 3) in place; ``alpha`` is (H, W), 0 to 1."""
    image += alpha[..., None] * (colour - image)


def rgb(colour: Sequence[float]) -> np.ndarray:
    """A colour as an array, (3,) float32."""
    return np.array(colour, np.float32)


def to_uint8(image: Image) -> np.ndarray:
    """Round to uint8, 1.0 becoming 255."""
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
