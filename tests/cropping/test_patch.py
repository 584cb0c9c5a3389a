"""What is kept of a frame gives the crops that the frame gives."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scripted_video import FakeTracker

from lipnet.config import CropConfig
from lipnet.cropping.cropper import FaceTrack, MouthCropper
from lipnet.cropping.patch import cut_patch


@pytest.mark.parametrize("offset", [(0, 0), (150, 40), (-12, -9)])
def test_crops_from_a_patch_are_those_of_the_frame(offset: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    frame = cv2.GaussianBlur(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8), None, 4)
    [points] = list(FakeTracker().follow(iter([np.ones((1, 1, 3))]), 8))
    assert points is not None
    points = 2 * points + 40 + offset
    cropper = MouthCropper(CropConfig())
    track = cropper.complete([points])
    patch = cut_patch(frame, points)
    assert patch.image.size < frame.size
    whole = cropper.crop([frame], track.to_crop).astype(int)
    part = cropper.crop([patch.image], track.to_crop @ patch.to_frame)
    assert np.abs(part - whole).max() <= 1  # OpenCV rounds places to 1/32 px


def test_a_large_frame_without_a_face_is_kept_smaller() -> None:
    frame = np.zeros((2160, 3840, 3), np.uint8)
    frame[:, 1920:] = 200
    patch = cut_patch(frame, None)
    assert patch.image.shape == (360, 640, 3)
    edge = patch.to_frame @ [319.5, 179.5, 1]
    np.testing.assert_allclose(edge[:2], (1919.5, 1079.5))


def test_tracks_join() -> None:
    joined = FaceTrack.joined([FaceTrack.none(2), FaceTrack.none(3).until(1)])
    assert joined.landmarks.shape == (3, 68, 2) and joined.to_crop.shape == (3, 3, 3)
    assert FaceTrack.joined([]).found.shape == (0,)
