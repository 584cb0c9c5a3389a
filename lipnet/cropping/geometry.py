"""The geometry of a face: from its landmarks to its place, scale and roll, and pictures of it.

Two frames of reference appear here. *Frame px*: pixels of the video, x right, y down. *Face units*: the
origin lies between the eyes' centres, x runs from one to the other, their distance is 1. The similarity
(3, 3) that takes frame px to face units is called a pose: it holds the face's place, scale and roll.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

LANDMARKS = 68  # of the iBUG scheme, which numbers them
MOUTH = slice(48, 68)  # of these
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


class LandmarkLayout(NamedTuple):
    """Which of a finder's landmarks are what, by their place in its list; points are in face units."""

    stable: np.ndarray  # (S,) those that speech hardly moves
    stable_face: np.ndarray  # (S, 2) where these lie on a mean upright face
    mouth: slice  # those around the mouth
    mouth_shift: tuple[float, float]  # from the mean of these to the mouth's centre
    nose_tip: int
    lips: tuple[int, int] | None  # the outer middle of the upper and the lower one, where there are such


IBUG_68 = LandmarkLayout(STABLE, STABLE_FACE, MOUTH, (0.0, 0.0), 30, (51, 57))
# MTCNN's five: the eyes, the nose's tip, the mouth's corners; where it sees them on those faces.
_FIVE_STABLE = np.array([(-0.518, -0.014), (0.518, -0.014), (0.0, 0.607)])
MTCNN_5 = LandmarkLayout(np.arange(3), _FIVE_STABLE, slice(3, 5), (0.0, 0.04), 2, None)
LANDMARK_LAYOUTS = {LANDMARKS: IBUG_68, 5: MTCNN_5}  # by the number of landmarks


def fit_pose(landmarks: np.ndarray) -> np.ndarray:
    """The poses (..., 3, 3) of landmarks (..., N, 2), frame px: least squares on the stable ones.

    Their number N, 68 or 5, tells their scheme.
    """
    scheme = LANDMARK_LAYOUTS[landmarks.shape[-2]]
    points = landmarks[..., scheme.stable, :].astype(np.float64)
    centre, face_centre = points.mean(axis=-2), scheme.stable_face.mean(axis=0)
    x, y = np.moveaxis(points - centre[..., None, :], -1, 0)
    u, v = (scheme.stable_face - face_centre).T
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
    shrink = int(1 / scale_of(matrix))
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
    half = BOX_SIDE / 2 / scale_of(pose)
    return np.concatenate([centre - half, centre + half])


def scale_of(matrix: np.ndarray) -> float:
    """By how much a similarity (3, 3) enlarges."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))
