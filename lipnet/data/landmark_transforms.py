"""Augmentation of the landmarks of a clip: the same movements of other mouths."""

from __future__ import annotations

import math

import numpy as np

from lipnet.config import AugmentConfig
from lipnet.cropping.landmarks import LANDMARK_INPUTS, MIRRORED


def augment_landmarks(
    points: np.ndarray,
    rest: np.ndarray,
    mirror: bool,
    config: AugmentConfig,
    rng: np.random.Generator,
    kind: str = "features",
) -> np.ndarray:
    """What a network reads of a clip's mouth after random changes of its geometry.

    Args:
        points: (T, 29, 2), as the input's `LandmarkInput.points`; mouth widths and face units differ little.
        rest: (T, 29, 2), for each frame the median of the points of the clip that it comes from.
        mirror: whether the clip is mirrored.
        kind: one of LANDMARK_INPUTS.

    Returns:
        (T, F) float32.
    """
    if mirror:
        points, rest = (array[:, MIRRORED] * np.array([-1, 1], np.float32) for array in (points, rest))
    matrix = _linear_map(config, rng)
    factor = math.exp(rng.normal(0, config.landmark_movement))
    offset = rng.normal(0, config.landmark_offset, points.shape[1:])
    jitter = rng.normal(0, config.landmark_jitter, points.shape)
    moved = factor * (points - rest) @ matrix
    rest = rest @ matrix
    features = LANDMARK_INPUTS[kind].features(rest + moved + offset + jitter, rest)
    length = int(rng.integers(config.landmark_mask + 1))
    start = int(rng.integers(len(features)))
    features[start : start + length] = 0
    return features


def _linear_map(config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """(2, 2): a random rotation, shear and stretch."""
    angle = math.radians(config.landmark_rotation) * rng.uniform(-1, 1)
    cos, sin = math.cos(angle), math.sin(angle)
    shear = config.landmark_shear * rng.uniform(-1, 1)
    stretch = np.exp(config.landmark_stretch * rng.uniform(-1, 1, 2))
    return np.array([[cos, sin], [-sin, cos]]) @ np.array([[1, 0], [shear, 1]]) @ np.diag(stretch)
