"""Crops that follow a face, whatever the frame does."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipnet.config import CropConfig
from lipnet.cropping.cropper import Cropper, NoFaceError, crop_transforms
from lipnet.cropping.dlib_tracker import DlibTracker
from lipnet.cropping.factory import make_cropper
from lipnet.cropping.geometry import fit_pose, transform
from lipnet.cropping.landmarks import IBUG_68
from lipnet.synthetic.corpus import render_frames
from lipnet.video.decode import read_video

GRID_CLIPS = ["s1/bbaf2n", "s3/bbaf1s", "s4/bbaf1p", "s4/bbae9n", "s5/bbae8n", "s34/bbab9n"]


@pytest.fixture(scope="module")
def cropper() -> Cropper:
    return make_cropper(CropConfig())


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """A second of a synthetic speaker, (25, 288, 360, 3)."""
    return np.stack(list(render_frames(seed=0, speaker=1, clip_id="bbaf2n")))[10:35]


def moved(frames: Sequence[np.ndarray], matrix: np.ndarray) -> list[np.ndarray]:
    height, width = frames[0].shape[:2]
    return [cv2.warpAffine(f, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE) for f in frames]


def variant(frames: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
    """The clip after a change that must not show in its crops."""
    height, width = frames[0].shape[:2]
    if name == "doubled":
        return [cv2.resize(frame, None, fx=2, fy=2) for frame in frames]
    if name == "halved":
        return [cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for frame in frames]
    if name == "shifted":
        return moved(frames, np.array([[1, 0, 40], [0, 1, 0.0]]))
    return moved(frames, cv2.getRotationMatrix2D((width / 2, height / 2), float(name.split()[1]), 1))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


# With landmarks in every second frame, the noise of these few counts.
@pytest.mark.parametrize(("every", "limit"), [(1, 3.0), (2, 3.5)])
@pytest.mark.parametrize("name", ["doubled", "halved", "shifted", "rolled 10", "rolled -10"])
def test_crops_follow_the_face(clip: np.ndarray, name: str, every: int, limit: float) -> None:
    cropper = make_cropper(CropConfig(landmarks_every=every))
    plain, changed = cropper(clip).frames, cropper(variant(clip, name)).frames
    assert plain.shape == changed.shape == (25, 50, 100, 3)
    assert plain.dtype == changed.dtype == np.uint8
    assert difference(plain, changed) <= limit


@pytest.mark.parametrize("name", GRID_CLIPS)
def test_crops_follow_real_faces(cropper: Cropper, grid_root: Path, name: str) -> None:
    frames = read_video(grid_root / f"{name}.mp4")[:40]
    plain = cropper(frames)
    assert plain.track.found.all()
    for change in ("doubled", "shifted", "rolled 10"):
        assert difference(plain.frames, cropper(variant(frames, change)).frames) <= 4


@pytest.mark.parametrize("name", GRID_CLIPS)
def test_real_crops_are_steady(cropper: Cropper, grid_root: Path, name: str) -> None:
    landmarks = cropper.track(read_video(grid_root / f"{name}.mp4")).landmarks
    corners = np.array([(0, 0), (99, 0), (0, 49), (99, 49)])
    to_crop = crop_transforms(landmarks, IBUG_68, (100, 50), 72.0)
    paths = transform(np.linalg.inv(to_crop), corners)  # (T, 4, 2) frame px
    shaking = np.abs(np.diff(paths, 2, axis=0)).mean() * np.hypot(*to_crop[0, 0, :2])
    assert shaking < 0.25  # crop px from frame to frame, above steady motion


def test_a_damaged_start_is_filled_in(cropper: Cropper, grid_root: Path) -> None:
    crops = cropper(read_video(grid_root / "s1/bbizzn.mp4"))  # grey for twelve frames
    assert crops.track.found.sum() == 63
    assert len(crops.frames) == 75


def test_the_crop_is_centred_on_the_mouth_and_scaled_by_the_eyes(cropper: Cropper, clip: np.ndarray) -> None:
    track = cropper.track(clip)
    in_crop = transform(crop_transforms(track.landmarks, IBUG_68, (100, 50), 72.0), track.landmarks)
    assert np.abs(in_crop[:, IBUG_68.mouth].mean(axis=(0, 1)) - (49.5, 24.5)).max() < 0.5
    eyes = in_crop[:, 42:48].mean(axis=1) - in_crop[:, 36:42].mean(axis=1)
    assert np.abs(np.hypot(*eyes.T) - 72).max() < 5
    assert np.abs(eyes[:, 1]).max() < 4  # level


def test_other_crop_sizes(clip: np.ndarray) -> None:
    crops = make_cropper(CropConfig(width=64, height=32, eye_distance=40.0))(clip[:5])
    assert crops.frames.shape == (5, 32, 64, 3)


@pytest.mark.parametrize("size", [(180, 144), (720, 576), (1920, 1080), (1080, 1920)])
def test_any_frame_size(cropper: Cropper, clip: np.ndarray, size: tuple[int, int]) -> None:
    width, height = size
    scale = min(width / 360, height / 288)
    matrix = np.array([[scale, 0, (width - 360 * scale) / 2], [0, scale, (height - 288 * scale) / 2]])
    frames = [cv2.warpAffine(frame, matrix, size, borderMode=cv2.BORDER_REPLICATE) for frame in clip[:9]]
    crops = cropper(frames)
    assert crops.track.found.all()
    assert difference(cropper(clip[:9]).frames, crops.frames) <= 5


@pytest.mark.parametrize(("every", "limit"), [(1, 3.0), (2, 3.5)])
def test_a_small_face_in_a_large_frame(clip: np.ndarray, every: int, limit: float) -> None:
    cropper = make_cropper(CropConfig(landmarks_every=every))
    frames = np.full((9, 1080, 1920, 3), 90, np.uint8)
    frames[:, 500:788, 1300:1660] = clip[:9]
    crops = cropper(frames)
    assert crops.track.found.all()
    assert difference(cropper(clip[:9]).frames, crops.frames) <= limit


def test_frames_without_the_face_are_filled_in(cropper: Cropper, clip: np.ndarray) -> None:
    gaps = clip.copy()
    hidden = [0, 1, 2, 10, 11, 12, 13, 24]
    gaps[hidden] = 128
    track, plain = cropper.track(gaps), cropper.track(clip)
    # Between checks a vanished face is taken for one that went on, for fewer frames than detect_every.
    assert not track.found[[0, 1, 2]].any()
    assert track.found[[3, 4, 5, 6, 7, 18, 19, 20]].all()
    assert np.abs(track.landmarks - plain.landmarks).mean(axis=(1, 2)).max() < 4  # px


def test_the_largest_face_is_kept(cropper: Cropper, clip: np.ndarray) -> None:
    small = [cv2.resize(frame, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA) for frame in clip]
    both = np.full((25, 288, 720, 3), 128, np.uint8)
    both[:, :288, 360:] = clip
    both[:, 40 : 40 + small[0].shape[0], 40 : 40 + small[0].shape[1]] = small
    both[12:16, :, 360:] = 128  # ours is hidden for a moment, the other one is not
    landmarks = cropper.track(both).landmarks
    assert landmarks[..., 0].min() > 360
    both[16:, :, 360:] = 128  # and now leaves for good
    assert cropper.track(np.concatenate([both, both[-10:]])).landmarks[-1, :, 0].max() < 360


def test_no_face_names_the_video(cropper: Cropper) -> None:
    with pytest.raises(NoFaceError, match=r"^a/b\.mp4: no face in its 3 frames; "):
        cropper(np.zeros((3, 288, 360, 3), np.uint8), "a/b.mp4")


def test_the_error_passes_from_a_worker_process() -> None:
    error = NoFaceError.of("a.mp4", 3)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_measured_landmarks_are_on_the_face_and_not_smoothed(clip: np.ndarray) -> None:
    cropper = make_cropper(CropConfig(landmarks_every=1))
    frames = [*clip[:10], np.zeros_like(clip[0]), *clip[11:]]
    tracker = cropper.start()
    measured = [tracker(frame) for frame in frames]
    track = cropper.track(frames)
    assert track.on_face is not None and track.on_face.shape == (25, 68, 2)
    poses = fit_pose(track.landmarks, IBUG_68)
    for pose, points, on_face in zip(poses, measured, track.on_face, strict=True):
        if points is None:
            assert np.isnan(on_face).all()
        else:
            np.testing.assert_allclose(on_face, transform(pose, points), atol=1e-5)
    assert sum(points is None for points in measured) == 1


def test_landmarks_in_every_second_frame_give_nearly_the_same_crops(
    cropper: Cropper, clip: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []
    found = DlibTracker.find_landmarks

    def counted(self: DlibTracker, patch: np.ndarray, check: bool) -> np.ndarray | None:
        calls.append(check)
        return found(self, patch, check)

    monkeypatch.setattr(DlibTracker, "find_landmarks", counted)
    every = make_cropper(CropConfig(landmarks_every=1)).track(clip)
    of_all = len(calls)
    second = cropper.track(clip)
    # The first frame's are found twice; how fast the face is shows in the second one.
    assert (of_all, len(calls) - of_all) == (26, 15)
    assert second.found.all()
    corners = np.array([(0, 0), (99, 0), (0, 49), (99, 49)], dtype=np.float64)  # px of the crop
    moved = transform(second.to_crop @ np.linalg.inv(every.to_crop), corners) - corners
    # The head moves at once in this clip, and its ends have measurements on one side only.
    assert np.median(np.abs(moved)) < 0.5 and np.abs(moved).max() < 2.5
    assert second.on_face is not None and every.on_face is not None
    # In every other frame, the mean of its neighbours.
    halfway = (second.on_face[2:-2:2] + second.on_face[4::2]) / 2
    assert np.abs(second.on_face[3:-1:2] - halfway).max() < 0.01  # face units; poses change a little


def test_a_hidden_face_is_looked_for_in_every_frame(cropper: Cropper, clip: np.ndarray) -> None:
    gap = clip.copy()
    gap[8:11] = 128
    found = cropper.track(gap).found
    assert found.tolist() == [True] * 8 + [False] * 3 + [True] * 14


def test_a_fast_head_is_followed(cropper: Cropper, clip: np.ndarray) -> None:
    """Shifted by up to 21 px a frame, four tenths of the eyes' distance."""
    shifts = np.round(85 * np.sin(2 * np.pi * np.arange(25) / 25)).astype(int)
    moved = np.stack([np.roll(frame, shift, axis=1) for frame, shift in zip(clip, shifts, strict=True)])
    mouths, still = (
        cropper.track(frames).landmarks[:, IBUG_68.mouth].mean(axis=1) for frames in (moved, clip)
    )
    assert np.abs(mouths[:, 0] - shifts - still[:, 0]).max() < 6  # px
