"""Poses, warps and boxes against known ones."""

from __future__ import annotations

import numpy as np

from lipnet.cropping.geometry import fit_pose, overlap, transform, warp
from lipnet.cropping.landmarks import IBUG_68, MTCNN_5


def test_fit_pose_recovers_a_known_similarity() -> None:
    angle, unit, place = 0.4, 50.0, np.array([200.0, 90.0])
    turn = unit * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = np.zeros((2, 68, 2))
    landmarks[:, IBUG_68.stable] = IBUG_68.stable_face @ turn.T + place
    face = transform(fit_pose(landmarks, IBUG_68), landmarks)[:, IBUG_68.stable]
    np.testing.assert_allclose(face, np.stack([IBUG_68.stable_face] * 2), atol=1e-9)
    five = np.zeros((5, 2))
    five[MTCNN_5.stable] = MTCNN_5.stable_face @ turn.T + place
    np.testing.assert_allclose(fit_pose(five, MTCNN_5), fit_pose(landmarks, IBUG_68)[0], atol=1e-9)


def test_warp_shrinks_by_area_and_in_place() -> None:
    y, x = np.mgrid[:300, :400]
    image = (x * 0.5 + y * 0.1).astype(np.uint8)
    stripes = np.where(x % 2, 255, 0).astype(np.uint8)
    shrink = np.array([[1 / 6, 0, -10], [0, 1 / 6, -8], [0, 0, 1]])
    v, u = np.mgrid[:30, :40]
    expected = (u + 10) * 6 * 0.5 + (v + 8) * 6 * 0.1
    assert np.abs(warp(image, shrink, (40, 30)) - expected).max() < 1.5
    assert np.abs(warp(stripes, shrink, (40, 30)).astype(int) - 127).max() < 3  # no moiré
    far = np.array([[1 / 6, 0, 500], [0, 1 / 6, 500], [0, 0, 1]])
    assert warp(image, far, (40, 30)).shape == (30, 40)  # wholly outside: the border


def test_overlap() -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6.0]])
    np.testing.assert_allclose(overlap(boxes, boxes[0]), [1, 1 / 3, 0])
