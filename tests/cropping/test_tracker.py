"""Which of several faces is followed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipnet.config import CropConfig
from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.factory import make_cropper
from lipnet.cropping.tracker import choose_box
from lipnet.errors import ConfigError, LipnetError
from lipnet.inference.quality import quality_warnings

BOXES = np.array([(200.0, 0, 260, 60), (10, 50, 60, 100), (100, 0, 190, 90)])


@pytest.mark.parametrize(
    ("which", "index"),
    [("largest", 2), ("left", 1), ("right", 0), ("1", 1), ("2", 2), ("3", 0), ("4", None)],
)
def test_a_box_is_chosen_by_size_or_place(which: str, index: int | None) -> None:
    box = choose_box(BOXES, which)
    assert box is None if index is None else np.array_equal(box, BOXES[index])  # type: ignore[arg-type]
    assert choose_box(BOXES[:0], which) is None


@pytest.fixture(scope="module")
def two(clip: np.ndarray) -> np.ndarray:
    """Two faces, the right one at three quarters of the left one's size, (4, 288, 630, 3)."""
    small = np.stack([cv2.resize(frame, (270, 216)) for frame in clip[:4]])
    return np.concatenate([clip[:4], np.pad(small, ((0, 0), (36, 36), (0, 0), (0, 0)), "edge")], axis=2)


@pytest.mark.parametrize(
    ("which", "is_left"), [("largest", True), ("left", True), ("1", True), ("right", False), ("2", False)]
)
def test_the_face_that_is_asked_for_is_followed(which: str, is_left: bool, two: np.ndarray) -> None:
    track = make_cropper(CropConfig(face=which)).track(two, "a.mp4")
    assert track.found.all()
    assert (track.landmarks[:, :, 0].mean() < 360) == is_left
    assert track.faces == track[:2].faces == FaceTrack.concatenate([track[:2], track[2:]]).faces == 2
    assert quality_warnings([], track, grid_only=True)[0] == "2 faces are seen, one is read: see --face"


def test_a_face_that_is_not_there(two: np.ndarray) -> None:
    with pytest.raises(LipnetError, match=r"a\.mp4: no face in its 4 frames"):
        make_cropper(CropConfig(face="3")).track(two, "a.mp4")


@pytest.mark.parametrize("which", ["", "0", "-1", "middle", "1.5", "9" * 5000 + "x"])
def test_an_unknown_face_is_refused(which: str) -> None:
    with pytest.raises(ConfigError, match=r"crop\.face '.*': choose largest, left, right, or a number"):
        CropConfig(face=which)
