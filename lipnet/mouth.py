"""Frames -> face -> 68 landmarks -> gaps filled, smoothed -> one similarity warp a frame -> mouth crops.

Two frames of reference appear below. *Frame px*: pixels of the video, x right, y down. *Face units*: the
origin lies between the eyes' centres, x runs from one to the other, their distance is 1. The similarity
(3, 3) that takes frame px to face units is called a pose: it holds the face's place, scale and roll.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import dlib
import numpy as np

from lipnet.config import CropConfig
from lipnet.errors import LipnetError

MOUTH = slice(48, 68)  # of iBUG's 68 landmarks
# Speech hardly moves these: the nose's bridge (27-30) and the eyes (36-47). Below, where they lie on a
# mean upright face, in face units, as measured on eight GRID speakers and made symmetric.
STABLE = np.r_[27:31, 36:48]
_BRIDGE = np.array([(0.0, -0.06), (0.0, 0.15), (0.0, 0.355), (0.0, 0.57)])
_LEFT_EYE = np.array(
    [(-0.70, 0.0), (-0.575, -0.065), (-0.425, -0.065), (-0.292, 0.02), (-0.43, 0.057), (-0.58, 0.057)]
)
_RIGHT_EYE = _LEFT_EYE[[3, 2, 1, 0, 5, 4]] * (-1, 1)
STABLE_FACE = np.concatenate([_BRIDGE, _LEFT_EYE, _RIGHT_EYE])
# dlib's box of that face: a square, so far below the eyes and so wide, in face units.
BOX_DOWN, BOX_SIDE = 0.544, 2.52

# Landmarks are read, and a followed face is checked, in a patch where the face is upright and of one size.
PATCH_SIDE = 128  # px
PATCH_UNIT = 40.0  # px a face unit: the face's box is then 101 px wide
PATCH_POSE = np.array(
    [[PATCH_UNIT, 0, PATCH_SIDE / 2], [0, PATCH_UNIT, PATCH_SIDE / 2 - BOX_DOWN * PATCH_UNIT], [0, 0, 1]]
)
PATCH_BOX = PATCH_SIDE / 2 + BOX_SIDE * PATCH_UNIT / 2 * np.array([-1, -1, 1, 1])
# The whole frame is searched at these sizes of its longer side, but at most at twice its own. dlib's
# smallest face is 80 px wide: 22 % of the frame at the first size, 6 % at the last.
SEARCH_SIDES = (360, 720, 1440)  # px

JUMP = 0.5  # face units: landmarks that move, or a scale whose logarithm changes, by more were misread
HEAD_BAND = 0.12  # cycles a frame (3 Hz at 25 fps): what is faster in the landmarks counts as noise
MOUTH_BAND = 0.012  # cycles a frame: likewise for the mouth's place on the face


class NoFaceError(LipnetError):
    """A video in no frame of which a face was found."""


@dataclass(frozen=True)
class MouthTrack:
    """One face followed through T frames."""

    landmarks: np.ndarray  # (T, 68, 2) float32, frame px, gaps filled, smoothed over time
    found: np.ndarray  # (T,) bool: measured in this frame rather than filled in


@dataclass(frozen=True)
class Crops:
    """The mouth in T frames."""

    frames: np.ndarray  # (T, height, width, 3) uint8 RGB
    track: MouthTrack


class MouthCropper:
    """Cuts the mouth out of videos. The models behind it are loaded once a process."""

    def __init__(self, config: CropConfig) -> None:
        self.config = config
        self.finder = FaceFinder(config.predictor)

    def __call__(self, frames: Sequence[np.ndarray], name: str = "video") -> Crops:
        """Track and crop T frames, (H, W, 3) uint8 RGB; ``name`` is the video's in an error.

        Raises:
            NoFaceError: no frame shows a face.
        """
        track = self.track(frames, name)
        return Crops(self.crop(frames, track), track)

    def track(self, frames: Iterable[np.ndarray], name: str = "video") -> MouthTrack:
        """Follow the largest face through T frames; errors as in a call."""
        measured = list(self.finder.follow(frames, self.config.detect_every))
        found = np.array([points is not None for points in measured], dtype=bool)
        if not found.any():
            raise NoFaceError(
                f"{name}: no face in its {len(found)} frames; give a video of one seen from the front"
            )
        points = np.stack([points for points in measured if points is not None])
        landmarks = smooth(fill_gaps(points, found), HEAD_BAND)
        return MouthTrack(landmarks.astype(np.float32), found)

    def crop(self, frames: Iterable[np.ndarray], track: MouthTrack) -> np.ndarray:
        """Warp each frame to the mouth in it: (T, height, width, 3) uint8 RGB."""
        size = (self.config.width, self.config.height)
        to_crop = crop_transforms(track.landmarks, size, self.config.eye_distance)
        return np.stack([warp(frame, matrix, size) for frame, matrix in zip(frames, to_crop, strict=True)])


class Face(NamedTuple):
    """A face in one frame."""

    landmarks: np.ndarray  # (68, 2) frame px
    pose: np.ndarray  # (3, 3)


class FaceFinder:
    """dlib's frontal face detector and 68-point predictor."""

    def __init__(self, predictor: str = "") -> None:
        """``predictor`` is a .dat file; empty: the one that the package face_recognition_models ships."""
        self.detector, self.predictor = _load_models(predictor or _packaged_predictor())

    def follow(self, frames: Iterable[np.ndarray], detect_every: int) -> Iterator[np.ndarray | None]:
        """For each frame, (H, W, 3) uint8 RGB: the face's landmarks (68, 2) in frame px, or None if not seen.

        The face is the largest of the first frame with any. It is read where it was in the frame before,
        and looked for anew where that fails: every ``detect_every`` frames the detector has to agree.
        """
        pose: np.ndarray | None = None
        lost = 0  # frames since the face was last seen
        for index, frame in enumerate(frames):
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            due = index % detect_every == 0
            face = None if pose is None else self._read_again(grey, pose, check=due or lost > 0)
            if face is None:
                # A face elsewhere in the frame is another one, until ours has been away for long.
                face = self._search(grey, pose if lost < detect_every else None, thorough=due)
            if face is None:
                lost += 1
                yield None
            else:
                pose, lost = face.pose, 0
                yield face.landmarks

    def _read_again(self, grey: np.ndarray, pose: np.ndarray, check: bool) -> Face | None:
        """The face last seen at ``pose``; None if it jumped or, on a check, is not seen there."""
        if check and not overlap(self._detect(_patch(grey, pose)), PATCH_BOX).any():
            return None
        face = self._read(grey, pose)
        moved = face.pose @ np.linalg.inv(pose)
        shift, growth = np.hypot(*moved[:2, 2]), abs(np.log(_scale(moved)))
        return face if max(shift, growth) < JUMP else None

    def _search(self, grey: np.ndarray, near: np.ndarray | None, thorough: bool) -> Face | None:
        """The largest face in the frame, of those that overlap the one at pose ``near`` if given."""
        tried = 0.0
        for side in SEARCH_SIDES if thorough else SEARCH_SIDES[:1]:
            scale = min(side / max(grey.shape), 2.0)
            if scale == tried:
                break
            tried = scale
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            boxes = self._detect(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=how)) / scale
            if near is not None:
                boxes = boxes[overlap(boxes, face_box(near)) > 0]
            if len(boxes):
                largest = boxes[np.argmax(boxes[:, 2] - boxes[:, 0])]
                # The second reading sees the face upright and better centred than the box left it.
                return self._read(grey, self._read(grey, box_pose(largest)).pose)
        return None

    def _detect(self, grey: np.ndarray) -> np.ndarray:
        """Boxes (N, 4), left top right bottom in px, of the faces in an (H, W) uint8 image."""
        boxes = [(box.left(), box.top(), box.right() + 1, box.bottom() + 1) for box in self.detector(grey)]
        return np.array(boxes, dtype=np.float64).reshape(-1, 4)

    def _read(self, grey: np.ndarray, pose: np.ndarray) -> Face:
        """The face that is roughly at ``pose``."""
        shape = self.predictor(_patch(grey, pose), dlib.rectangle(*PATCH_BOX.round().astype(int).tolist()))
        points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
        landmarks = transform(np.linalg.inv(PATCH_POSE @ pose), points)
        return Face(landmarks, fit_pose(landmarks))


def _packaged_predictor() -> str:
    """The landmark file in face_recognition_models, which cannot be imported (it needs pkg_resources)."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise LipnetError(
            "no 68-point landmark file: pip install face_recognition_models, or set crop.predictor"
        )
    return str(Path(spec.submodule_search_locations[0]) / "models" / "shape_predictor_68_face_landmarks.dat")


@cache
def _load_models(predictor: str) -> tuple[Any, Any]:
    """The detector and the predictor, half a second once a process."""
    if not Path(predictor).is_file():
        raise LipnetError(f"{predictor}: no such landmark file; set crop.predictor to a 68-point .dat file")
    try:
        return dlib.get_frontal_face_detector(), dlib.shape_predictor(predictor)
    except RuntimeError as error:
        raise LipnetError(
            f"{predictor}: not a landmark file of dlib; set crop.predictor to a 68-point .dat file"
        ) from error


def fit_pose(landmarks: np.ndarray) -> np.ndarray:
    """The pose (..., 3, 3) that takes landmarks (..., 68, 2), frame px, nearest to the mean face's stable points."""
    points = landmarks[..., STABLE, :].astype(np.float64)
    centre, face_centre = points.mean(axis=-2), STABLE_FACE.mean(axis=0)
    x, y = np.moveaxis(points - centre[..., None, :], -1, 0)
    u, v = (STABLE_FACE - face_centre).T
    square = (x * x + y * y).sum(axis=-1)
    cos, sin = (x * u + y * v).sum(axis=-1) / square, (x * v - y * u).sum(axis=-1) / square
    pose = np.zeros((*square.shape, 3, 3))
    pose[..., 0, 0] = pose[..., 1, 1] = cos
    pose[..., 0, 1], pose[..., 1, 0] = -sin, sin
    pose[..., :2, 2] = face_centre - (pose[..., :2, :2] @ centre[..., None])[..., 0]
    pose[..., 2, 2] = 1
    return pose


def crop_transforms(landmarks: np.ndarray, size: tuple[int, int], eye_distance: float) -> np.ndarray:
    """The similarities (T, 3, 3) from frame px to the px of mouth-centred crops of ``size`` (width, height).

    Each frame's eyes and nose set place, scale (``eye_distance`` px a face unit) and roll. The mouth's
    place on the face changes only with pose and identity, slowly, so it is smoothed hard: speech opens
    and closes the mouth within the crop and does not move the crop.
    """
    poses = fit_pose(landmarks)
    mouth = smooth(transform(poses, landmarks[:, MOUTH]).mean(axis=1), MOUTH_BAND)  # (T, 2) face units
    from_face = np.tile(np.diag([eye_distance, eye_distance, 1.0]), (len(poses), 1, 1))
    from_face[:, :2, 2] = (np.array(size) - 1) / 2 - eye_distance * mouth
    return from_face @ poses


def transform(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., N, 2) through affine matrices (..., 3, 3)."""
    return points @ np.swapaxes(matrices[..., :2, :2], -1, -2) + matrices[..., None, :2, 2]


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The uint8 image, through a similarity (3, 3) from its px to those of the result of ``size`` (width, height).

    An image that shrinks is reduced by area first, so that clips of any size give equally sharp results.
    """
    shrink = int(1 / _scale(matrix))
    if shrink >= 2:
        image, from_small = _reduce(image, transform(np.linalg.inv(matrix), _corners(size)), shrink)
        matrix = matrix @ from_small
    return cv2.warpAffine(image, matrix[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _reduce(image: np.ndarray, corners: np.ndarray, shrink: int) -> tuple[np.ndarray, np.ndarray]:
    """The image's part within corners (N, 2), ``shrink`` times smaller, and the matrix (3, 3) back to image px."""
    limit = np.array(image.shape[1::-1])  # x, y
    start = np.clip(corners.min(axis=0) - shrink, 0, limit - shrink).astype(int)
    count = np.clip((corners.max(axis=0) + shrink - start) // shrink, 1, (limit - start) // shrink).astype(
        int
    )
    (left, top), (right, bottom) = start, start + count * shrink
    small = cv2.resize(image[top:bottom, left:right], count.tolist(), interpolation=cv2.INTER_AREA)
    offset = start + (shrink - 1) / 2  # px centres, not edges, lie at whole numbers
    return small, np.array([[shrink, 0, offset[0]], [0, shrink, offset[1]], [0, 0, 1]])


def _corners(size: tuple[int, int]) -> np.ndarray:
    """The corners (4, 2) of an image of ``size`` (width, height), px."""
    return np.array([(x, y) for x in (0, size[0]) for y in (0, size[1])], dtype=np.float64)


def fill_gaps(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Spread the N measured rows of points (N, ...) over T frames, ``found`` (T,) of which have one.

    Gaps are interpolated, the ends hold the nearest measurement.
    """
    if found.all():
        return points
    frames, columns = np.flatnonzero(found), points.reshape(len(points), -1).T
    filled = np.stack([np.interp(np.arange(len(found)), frames, column) for column in columns], axis=1)
    return filled.reshape(len(found), *points.shape[1:])


def smooth(values: np.ndarray, band: float) -> np.ndarray:
    """Smooth series (T, ...) over time with a forward-backward (Rauch-Tung-Striebel) Kalman filter.

    The model is a steady velocity that is pushed at random, measured with unit noise. A push of variance
    (2 pi band)^4 halves what swings at ``band`` cycles a frame; what is slower passes, without any lag.
    """
    series = values.reshape(len(values), -1).astype(np.float64)
    step = np.array([[1.0, 1.0], [0.0, 1.0]])
    push = (2 * np.pi * band) ** 4 * np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])
    # All series are measured in the same frames, so one covariance serves them all: state (2, series).
    state, covariance = np.stack([series[0], np.zeros_like(series[0])]), np.diag([1e6, 1e6])
    filtered = []
    for measured in series:
        gain = covariance[:, :1] / (covariance[0, 0] + 1)
        state = state + gain * (measured - state[0])
        covariance = covariance - gain * covariance[:1]
        filtered.append((state, covariance))
        state, covariance = step @ state, step @ covariance @ step.T + push
    smoothed = np.empty_like(series)
    later, _ = filtered[-1]
    smoothed[-1] = later[0]
    for index in range(len(series) - 2, -1, -1):
        state, covariance = filtered[index]
        back = covariance @ step.T @ np.linalg.inv(step @ covariance @ step.T + push)
        later = state + back @ (later - step @ state)
        smoothed[index] = later[0]
    return smoothed.reshape(values.shape)


def overlap(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Intersection over union (N,) of boxes (N, 4) with one box (4,), left top right bottom."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return shared / (area - shared)


def box_pose(box: np.ndarray) -> np.ndarray:
    """The pose of an upright face in a detector's box (4,), frame px."""
    unit = (box[2] - box[0]) / BOX_SIDE
    x, y = (box[:2] + box[2:]) / 2
    return np.array([[1 / unit, 0, -x / unit], [0, 1 / unit, BOX_DOWN - y / unit], [0, 0, 1]])


def face_box(pose: np.ndarray) -> np.ndarray:
    """The detector's box (4,), frame px, of a face at ``pose``."""
    centre = transform(np.linalg.inv(pose), np.array([[0, BOX_DOWN]]))[0]
    half = BOX_SIDE / 2 / _scale(pose)
    return np.concatenate([centre - half, centre + half])


def _scale(matrix: np.ndarray) -> float:
    """By how much a similarity (3, 3) enlarges."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def _patch(grey: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """The upright face at ``pose``, (PATCH_SIDE, PATCH_SIDE) uint8."""
    return warp(grey, PATCH_POSE @ pose, (PATCH_SIDE, PATCH_SIDE))
