"""Frames -> one face followed through them: its 68 landmarks in every frame that shows it.

Two frames of reference appear here. *Frame px*: pixels of the video, x right, y down. *Face units*: the
origin lies between the eyes' centres, x runs from one to the other, their distance is 1. The similarity
(3, 3) that takes frame px to face units is called a pose: it holds the face's place, scale and roll.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import dlib
import numpy as np

from lipnet.errors import LipnetError

LANDMARKS = 68  # of the iBUG scheme, which numbers them
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

SAME_FACE = 0.7  # correlation of its patch with the one before: 0.98 in the median clip, lower after a cut
JUMP = 0.5  # face units: landmarks that move, or a scale whose logarithm changes, by more were misread


class Face(NamedTuple):
    """A face in one frame."""

    landmarks: np.ndarray  # (68, 2) frame px
    pose: np.ndarray  # (3, 3)
    patch: np.ndarray  # (PATCH_SIDE, PATCH_SIDE) uint8, grey: the picture that it was read in


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
        last: Face | None = None
        lost = 0  # frames since the face was last seen
        before: np.ndarray | None = None
        for index, frame in enumerate(frames):
            if frame is before:  # a picture that is shown for longer: what it shows is known
                yield last.landmarks if last is not None and not lost else None
                continue
            before = frame
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            due = index % detect_every == 0
            face = None if last is None else self._read_again(grey, last, check=due or lost > 0)
            if face is None:
                # A face elsewhere in the frame is another one, until ours has been away for long.
                face = self._search(grey, last if lost < detect_every else None, thorough=due)
            if face is None:
                lost += 1
                yield None
            else:
                last, lost = face, 0
                yield face.landmarks

    def _read_again(self, grey: np.ndarray, last: Face, check: bool) -> Face | None:
        """The face seen last, if still there: the detector is asked on a check, or if it looks different."""
        patch = _patch(grey, last.pose)
        check = check or _likeness(patch, last.patch) < SAME_FACE
        if check and not overlap(self._detect(patch), PATCH_BOX).any():
            return None
        face = self._read(patch, last.pose)
        moved = face.pose @ np.linalg.inv(last.pose)
        shift, growth = np.hypot(*moved[:2, 2]), abs(np.log(_scale(moved)))
        return face if max(shift, growth) < JUMP else None

    def _search(self, grey: np.ndarray, near: Face | None, thorough: bool) -> Face | None:
        """The largest face in the frame, of those that overlap the one ``near`` if given."""
        tried = 0.0
        for side in SEARCH_SIDES if thorough else SEARCH_SIDES[:1]:
            scale = min(side / max(grey.shape), 2.0)
            if scale == tried:
                break
            tried = scale
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            boxes = self._detect(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=how)) / scale
            if near is not None:
                boxes = boxes[overlap(boxes, face_box(near.pose)) > 0]
            if len(boxes):
                largest = boxes[np.argmax(boxes[:, 2] - boxes[:, 0])]
                pose = box_pose(largest)
                pose = self._read(_patch(grey, pose), pose).pose  # upright and better centred than the box
                return self._read(_patch(grey, pose), pose)
        return None

    def _detect(self, grey: np.ndarray) -> np.ndarray:
        """Boxes (N, 4), left top right bottom in px, of the faces in an (H, W) uint8 image."""
        boxes = [(box.left(), box.top(), box.right() + 1, box.bottom() + 1) for box in self.detector(grey)]
        return np.array(boxes, dtype=np.float64).reshape(-1, 4)

    def _read(self, patch: np.ndarray, pose: np.ndarray) -> Face:
        """The face in the patch that was cut at ``pose``."""
        shape = self.predictor(patch, dlib.rectangle(*(round(edge) for edge in PATCH_BOX)))
        points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
        landmarks = transform(np.linalg.inv(PATCH_POSE @ pose), points)
        return Face(landmarks, fit_pose(landmarks), patch)


def _packaged_predictor() -> str:
    """The landmark file in face_recognition_models, which cannot be imported (it needs pkg_resources)."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise LipnetError("no landmark file: pip install face_recognition_models, or set crop.predictor")
    return str(Path(spec.submodule_search_locations[0]) / "models" / "shape_predictor_68_face_landmarks.dat")


@cache
def _load_models(predictor: str) -> tuple[Any, Any]:
    """The detector and the predictor, half a second once a process."""
    cure = "set crop.predictor to a 68-point .dat file of dlib"
    if not Path(predictor).is_file():
        raise LipnetError(f"{predictor}: no such landmark file; {cure}")
    try:
        model = dlib.shape_predictor(predictor)
    except RuntimeError as error:
        raise LipnetError(f"{predictor}: not a landmark file; {cure}") from error
    points = model(np.zeros((9, 9), np.uint8), dlib.rectangle(0, 0, 9, 9)).num_parts
    if points != LANDMARKS:
        raise LipnetError(f"{predictor}: finds {points} points, not {LANDMARKS}; {cure}")
    return dlib.get_frontal_face_detector(), model


def fit_pose(landmarks: np.ndarray) -> np.ndarray:
    """The poses (..., 3, 3) of landmarks (..., 68, 2), frame px: least squares on the stable ones."""
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


def transform(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., N, 2) through affine matrices (..., 3, 3)."""
    return points @ np.swapaxes(matrices[..., :2, :2], -1, -2) + matrices[..., None, :2, 2]


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The uint8 image after a similarity (3, 3) from its px to those of a result of ``size`` (width, height).

    An image that shrinks is reduced by area first, so that clips of any size give equally sharp results.
    """
    shrink = int(1 / _scale(matrix))
    if shrink >= 2:
        image, from_small = _reduce(image, transform(np.linalg.inv(matrix), _corners(size)), shrink)
        matrix = matrix @ from_small
    return cv2.warpAffine(image, matrix[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _reduce(image: np.ndarray, corners: np.ndarray, shrink: int) -> tuple[np.ndarray, np.ndarray]:
    """The image within corners (N, 2) px, ``shrink`` times smaller, and the matrix (3, 3) back to its px."""
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


def _likeness(patch: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two patches, at a quarter of their size, where it costs next to nothing."""
    small = [
        cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) for image in (patch, other)
    ]
    return float(cv2.matchTemplate(small[0], small[1], cv2.TM_CCOEFF_NORMED)[0, 0])
