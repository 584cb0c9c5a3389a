"""Crops of patches are those of their frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scripted_video import FakeTracker

from lipnet.config import CropConfig
from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.factory import make_cropper
from lipnet.cropping.landmarks import IBUG_68, MTCNN_5
from lipnet.cropping.patch import cut_patch


@pytest.mark.parametrize("offset", [(0, 0), (150, 40), (-12, -9)])
def test_crops_from_a_patch_are_those_of_the_frame(offset: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    frame = cv2.GaussianBlur(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8), None, 4)
    points = FakeTracker().start(8)(np.ones((1, 1, 3)))
    assert points is not None
    points = 2 * points + 40 + offset
    cropper = make_cropper(CropConfig())
    track = cropper.build_track([points])
    patch = cut_patch(frame, points, IBUG_68)
    assert patch.image.size < frame.size
    whole = cropper.crop([frame], track.to_crop).astype(int)
    part = cropper.crop([patch.image], track.to_crop @ patch.to_frame)
    assert np.abs(part - whole).max() <= 1  # OpenCV rounds positions to 1/32 px


def test_a_large_frame_without_a_face_is_kept_smaller() -> None:
    frame = np.zeros((2160, 3840, 3), np.uint8)
    frame[:, 1920:] = 200
    patch = cut_patch(frame, None, IBUG_68)
    assert patch.image.shape == (360, 640, 3)
    edge = patch.to_frame @ [319.5, 179.5, 1]
    np.testing.assert_allclose(edge[:2], (1919.5, 1079.5))


@pytest.mark.parametrize("layout", [IBUG_68, MTCNN_5])
def test_tracks_are_cut_and_concatenated(layout: object) -> None:
    parts = [FaceTrack.missing(2, layout, (100, 50)), FaceTrack.missing(3, layout, (100, 50))[:1]]  # type: ignore[arg-type]
    track = FaceTrack.concatenate(parts)
    assert track.landmarks.shape == (3, parts[0].layout.count, 2) and track.to_crop.shape == (3, 3, 3)
    assert len(track[track.found].found) == 0
