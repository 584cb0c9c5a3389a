"""Lip coordinates of a mirrored clip are those of the mirrored face."""

from __future__ import annotations

import numpy as np
from tiny import OFF, random_landmarks

from lipnet.cropping.landmarks import GRID_EYES, GRID_FRAME, clip_features, face_points
from lipnet.data.landmark_transforms import augment_landmarks

# The points of both lips from the other side: corners change places, the middles stay.
FROM_THE_OTHER_SIDE = [6, 5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 16, 15, 14, 13, 12, 19, 18, 17]


def test_lip_coordinates_are_mirrored_between_the_eyes() -> None:
    landmarks = random_landmarks(5)
    points = face_points(landmarks)
    rest = np.broadcast_to(np.median(points, axis=0), points.shape)
    mirrored, same = (
        augment_landmarks(points, rest, mirror, OFF, np.random.default_rng(0), "lip_coordinates")
        for mirror in (True, False)
    )
    plain = clip_features(landmarks, "lip_coordinates")
    assert plain is not None
    np.testing.assert_allclose(same, plain, atol=1e-6)
    expected = plain.reshape(5, 20, 2)[:, FROM_THE_OTHER_SIDE]
    expected[..., 0] = 2 * GRID_EYES[0] / GRID_FRAME[0] - expected[..., 0]
    np.testing.assert_allclose(mirrored.reshape(5, 20, 2), expected, atol=1e-6)
