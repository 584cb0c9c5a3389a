"""What networks read of landmarks: lip coordinates by hand, and clips without landmarks."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import random_landmarks

from lipnet.cropping.geometry import fit_pose, transform
from lipnet.cropping.landmarks import (
    GRID_EYE_DISTANCE,
    GRID_EYES,
    GRID_FRAME,
    IBUG_68,
    LANDMARK_INPUTS,
    clip_features,
)


def face_in_frame(size: float, position: tuple[float, float]) -> np.ndarray:
    """Landmarks of one frame, (68, 2) px: an upright face whose eyes are ``size`` px apart."""
    return random_landmarks(1)[0].astype(np.float64) * size + position


def on_face(points: np.ndarray) -> np.ndarray:
    """Frame px (68, 2) -> face units (1, 68, 2), as a cropper measures them."""
    return transform(fit_pose(points, IBUG_68), points)[None].astype(np.float16)


def test_a_face_where_it_is_in_grid_has_its_own_coordinates() -> None:
    points = face_in_frame(GRID_EYE_DISTANCE, GRID_EYES)
    [lips] = clip_features(on_face(points), "lip_coordinates")
    np.testing.assert_allclose(lips.reshape(20, 2), points[48:68] / GRID_FRAME, atol=1e-3)
    assert lips.dtype == np.float32


def test_position_and_size_of_the_face_do_not_matter() -> None:
    here, there = (
        clip_features(on_face(face_in_frame(*place)), "lip_coordinates")
        for place in ((50, (180, 150)), (100, (600, 80)))
    )
    np.testing.assert_allclose(here, there, atol=1e-3)


@pytest.mark.parametrize("kind", LANDMARK_INPUTS)
def test_gaps_are_filled_and_clips_without_landmarks_have_none(kind: str) -> None:
    landmarks = random_landmarks(9)
    landmarks[3:5] = np.nan
    features = clip_features(landmarks, kind)
    assert features is not None and features.shape == (9, LANDMARK_INPUTS[kind].size)
    assert np.isfinite(features).all()
    assert clip_features(np.full_like(landmarks, np.nan), kind) is None
    assert clip_features(None, kind) is None


def test_standardized_features_do_not_depend_on_how_much_a_mouth_moves() -> None:
    rest = random_landmarks(1)
    movement = 0.2 * np.random.default_rng(0).normal(size=(40, 68, 2)) * np.array([1.0, 3.0])
    movement[:, :48] = 0  # the frame of the face
    small, large = (clip_features(rest + size * movement, "standardized") for size in (0.5, 1.0))
    assert small is not None and large is not None
    np.testing.assert_allclose(large.mean(axis=0), 0, atol=1e-5)
    assert np.abs(large.std(axis=0) - 1)[: 2 * 20].max() < 0.1
    assert np.abs(small - large)[:, : 2 * 20].max() < 0.5  # of the lips; widths change the scale a little


def test_a_still_mouth_stays_small_if_standardized() -> None:
    noise = 1e-4 * np.random.default_rng(0).normal(size=(40, 68, 2))
    still = clip_features(random_landmarks(1) + noise, "standardized")
    assert still is not None and np.abs(still).max() < 0.3
