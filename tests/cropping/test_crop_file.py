"""A video's crops are written to a file block by block."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from croppers import config
from video_files import numbered, write_video

from lipnet.cropping import crop_file as module
from lipnet.cropping.crop_file import CropFile, crop_file
from lipnet.cropping.factory import make_cropper
from lipnet.cropping.fixed_box import FixedBoxCropper
from lipnet.video import video_frames
from lipnet.video.decode import VideoError, read_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(
        tmp_path_factory.mktemp("v") / "a.mp4", [numbered(index, 360, 288) for index in range(23)]
    )


@pytest.mark.parametrize("held", [0, 2**30])  # decoded again for the crops, or all frames held
def test_the_file_has_the_crops_of_all_frames(
    held: int, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config("fixed", width=24, height=16)
    counts: list[int] = []
    crop = FixedBoxCropper.crop

    def counted(self: FixedBoxCropper, images: object, to_crop: np.ndarray) -> np.ndarray:
        counts.append(len(to_crop))
        return crop(self, images, to_crop)  # type: ignore[arg-type]

    expected = make_cropper(settings)(read_video(video)).frames
    monkeypatch.setattr(module, "BLOCK", 10)
    monkeypatch.setattr(video_frames.VideoFrames.__init__, "__defaults__", (held,))
    monkeypatch.setattr(FixedBoxCropper, "crop", counted)
    written = crop_file(video, tmp_path / "crops", settings, 360 * 288)
    assert written == CropFile(tmp_path / "crops", 23, 23)
    assert counts == [10, 10, 3]
    assert np.array_equal(np.fromfile(written.path, np.uint8).reshape(expected.shape), expected)


def test_pictures_that_are_too_large_leave_no_file(video: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="pictures of 360x288 px"):
        crop_file(video, tmp_path / "crops", config("fixed"), 360 * 288 - 1)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_no_clip(tmp_path: Path) -> None:
    """Whatever number of frames its file claims to be shown for."""
    for rate in (25, Fraction(1, 10)):
        path = write_video(tmp_path / "a.mkv", [numbered(0, 360, 288)], rate=rate)
        with pytest.raises(VideoError, match=r"a\.mkv: has 1 picture, which is no speech; get or convert"):
            crop_file(path, tmp_path / "crops", config("fixed"), 360 * 288)
    assert not (tmp_path / "crops").exists()
