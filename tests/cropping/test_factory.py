"""The croppers by name: what all of them do alike, and the cropper of a fixed box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from croppers import BOX, METHODS, config, corners_in_frame, needs_mtcnn

from lipnet.config import CROP_METHODS, CropConfig
from lipnet.cropping.cropper import NoFaceError
from lipnet.cropping.factory import CROPPERS, make_cropper
from lipnet.cropping.geometry import face_outline, mouth_region, transform
from lipnet.cropping.patch import cut_patch
from lipnet.errors import ConfigError
from lipnet.inference.quality import quality_warnings
from lipnet.settings import load_config

# The contract


def test_every_method_of_the_config_has_a_cropper() -> None:
    assert tuple(CROPPERS) == CROP_METHODS


@pytest.mark.parametrize("method", METHODS)
def test_frames_in_and_crops_out(method: str, clip: np.ndarray) -> None:
    cropper = make_cropper(config(method, width=64, height=32, eye_distance=40.0))
    crops = cropper(clip[:3], "a.mp4")
    assert crops.frames.shape == (3, 32, 64, 3) and crops.frames.dtype == np.uint8
    assert crops.track.landmarks.shape == (3, cropper.layout.count, 2)
    assert crops.track.landmarks.dtype == np.float32
    assert crops.track.found.all() and crops.track.to_crop.shape == (3, 3, 3)


@pytest.mark.parametrize("method", METHODS)
def test_crops_from_within_their_reach_are_those_of_the_frame(method: str, clip: np.ndarray) -> None:
    cropper = make_cropper(config(method))
    points = cropper.start("a.mp4")(clip[0])
    assert points is not None
    reach = mouth_region(points, cropper.layout)
    left, top = np.floor(reach.min(axis=0)).astype(int)
    right, bottom = np.ceil(reach.max(axis=0)).astype(int)
    part = clip[0][top:bottom, left:right]
    assert part.size < clip[0].size
    to_crop = cropper.build_track([points], "a.mp4").to_crop
    to_frame = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]])
    whole = cropper.crop([clip[0]], to_crop).astype(int)
    assert np.abs(cropper.crop([part], to_crop @ to_frame) - whole).max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_the_outline_holds_the_middle_of_the_crop(method: str, clip: np.ndarray) -> None:
    cropper = make_cropper(config(method))
    track = cropper.track(clip[:1], "a.mp4")
    left, top, right, bottom = face_outline(track.landmarks[0], track.layout)
    x, y = corners_in_frame(cropper, track)[0].mean(axis=0)
    assert left < x < right and top < y < bottom


@pytest.mark.parametrize("method", METHODS)
def test_patches_give_the_same_crops(method: str, clip: np.ndarray) -> None:
    cropper = make_cropper(config(method, landmarks_every=1))
    track_frame = cropper.start("a.mp4")
    patches = [cut_patch(frame, track_frame(frame), cropper.layout) for frame in clip]
    track = cropper.build_track([patch.points for patch in patches], "a.mp4")
    to_crop = track.to_crop @ np.stack([patch.to_frame for patch in patches])
    crops = cropper.crop([patch.image for patch in patches], to_crop)
    assert np.abs(crops.astype(int) - cropper(clip).frames).max() <= 1


@pytest.mark.parametrize(
    ("method", "warning"),
    [
        ("dlib", "the face is small"),
        pytest.param("mtcnn", "the face is small", marks=needs_mtcnn),
        ("fixed", "no speech detected"),
    ],
)
def test_warnings_depend_on_what_is_known_of_the_face(method: str, warning: str, clip: np.ndarray) -> None:
    track = make_cropper(config(method)).track(clip)
    small = replace(track, landmarks=track.landmarks / 5)
    assert quality_warnings([], small, grid_only=True)[0].startswith(warning)
    assert quality_warnings([], track, grid_only=True) == ["no speech detected"]


@pytest.mark.parametrize("method", METHODS[:2])
def test_without_a_face_the_video_is_named(method: str) -> None:
    with pytest.raises(NoFaceError, match=r"^a\.mp4: no face in its 2 frames; "):
        make_cropper(config(method))(np.full((2, 288, 360, 3), 90, np.uint8), "a.mp4")


# The fixed box


def test_a_box_of_the_crop_s_size_gives_its_very_pixels() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 288, 360, 3), dtype=np.uint8)
    crops = make_cropper(config("fixed", width=140, height=46))(frames).frames
    assert np.array_equal(crops, frames[:, 190:236, 80:220])


@pytest.mark.parametrize("size", [(70, 23), (280, 92), (100, 50)])
def test_a_box_of_another_size_is_resized(size: tuple[int, int]) -> None:
    y, x = np.mgrid[:288, :360]
    frames = np.stack([x * 0.6, y * 0.8, (x + y) / 3], axis=-1).astype(np.uint8)[None]
    width, height = size
    crops = make_cropper(config("fixed", width=width, height=height))(frames)
    v, u = np.mgrid[:height, :width]
    x, y = 79.5 + (u + 0.5) * 140 / width, 189.5 + (v + 0.5) * 46 / height
    inner = np.s_[1:-1, 1:-1]
    expected = np.stack([x * 0.6, y * 0.8, (x + y) / 3], axis=-1) - 0.5
    assert np.abs(crops.frames[0] - expected)[inner].max() < 1.5
    corners = transform(crops.track.to_crop, crops.track.landmarks)  # the box's outer edges
    assert np.allclose(corners[0, 0], -0.5 + 0.5 * np.array([width / 140, height / 46]))


def test_a_box_beyond_the_frame_is_one_line() -> None:
    frames = np.zeros((2, 230, 200, 3), np.uint8)
    with pytest.raises(
        ConfigError, match=r"^a\.mp4: crop\.box \[190, 236, 80, 220\] reaches beyond .*200x230 px; .*0,230"
    ) as error:
        make_cropper(config("fixed"))(frames, "a.mp4")
    assert "\n" not in str(error.value)


def test_a_box_grows_with_the_frame_that_it_is_of() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 288, 360, 3), dtype=np.uint8)
    cropper = make_cropper(config("fixed", width=140, height=46, frame=[360, 288]))
    twice = cropper(frames.repeat(2, axis=1).repeat(2, axis=2))
    assert np.array_equal(twice.frames, cropper(frames).frames)
    assert twice.track.landmarks[0].tolist() == [[160, 380], [160, 472], [440, 380], [440, 472]]
    with pytest.raises(
        ConfigError, match=r"^a\.mp4: frames of 640x480 px are not of the shape of crop\.frame"
    ):
        cropper(np.zeros((2, 480, 640, 3), np.uint8), "a.mp4")
    with pytest.raises(ConfigError, match=r"^crop\.frame \[360\]: give \[width,height\]"):
        config("fixed", frame=[360])


@pytest.mark.parametrize("box", [[], [1, 2, 3], [10, 10, 0, 5], [5, 2, 0, 5], [-1, 5, 0, 5], [0, 5, 9, 3]])
def test_a_box_without_pixels_is_refused(box: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"^crop\.box \[.*\]: give the box's edges"):
        CropConfig(method="fixed", box=box)


# The config


def test_the_method_and_the_box_are_settings() -> None:
    crop = load_config(None, ["crop.method=fixed", "crop.box=[190,236,80,220]"]).crop
    assert crop == CropConfig(method="fixed", box=BOX) and type(crop.box) is list
    assert load_config().crop.method == "dlib"


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^crop\.method 'mtcn': choose one of dlib, mtcnn, fixed, none$"):
        load_config(None, ["crop.method=mtcn"])


# The whole frame


@pytest.mark.parametrize("size", [(100, 50), (64, 32), (30, 90)])
def test_whole_frames_are_resized(size: tuple[int, int]) -> None:
    """Videos that show only a mouth: no face is looked for."""
    frames = np.random.default_rng(0).integers(0, 256, (3, 50, 100, 3), dtype=np.uint8)
    crops = make_cropper(config("none", width=size[0], height=size[1]))(frames)
    assert crops.frames.shape == (3, size[1], size[0], 3) and crops.track.found.all()
    if size == (100, 50):
        assert np.array_equal(crops.frames, frames)
    assert abs(crops.frames.mean() - frames.mean()) < 2
    assert quality_warnings([], crops.track, grid_only=True) == ["no speech detected"]
