"""Face geometry: poses from landmarks, similarity transforms, boxes and warped images.

Two frames of reference appear here. *Frame px*: pixels of the video, x right, y down. *Face units*: see
``landmarks.py``. A pose is the similarity (3, 3) that takes frame px to face units: the face's position,
scale and roll.
"""

from __future__ import annotations

import cv2
import numpy as np

from lipnet.cropping.landmarks import FaceLayout, LandmarkLayout

# dlib's box of a mean face: a square, so far below the eyes and so wide, in face units.
BOX_DOWN, BOX_SIDE = 0.544, 2.52
MOUTH_REGION = 1.5  # face units on each side of the mouth; a crop reaches 0.8, and smoothing moves it little


def fit_pose(landmarks: np.ndarray, layout: FaceLayout) -> np.ndarray:
    """The poses (..., 3, 3) of landmarks (..., N, 2), frame px: a least-squares fit of the stable points."""
    points = landmarks[..., layout.stable, :].astype(np.float64)
    centre, face_centre = points.mean(axis=-2), layout.stable_face.mean(axis=0)
    x, y = np.moveaxis(points - centre[..., None, :], -1, 0)
    u, v = (layout.stable_face - face_centre).T
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


def eye_distance(points: np.ndarray, layout: LandmarkLayout) -> float | None:
    """The eyes' distance in px of landmarks (N, 2); None of a layout without a face."""
    return 1 / scale_of(fit_pose(points, layout)) if isinstance(layout, FaceLayout) else None


def face_outline(points: np.ndarray, layout: LandmarkLayout) -> np.ndarray:
    """The box (4,), left top right bottom in frame px, around a face, or around points that are no face's."""
    if isinstance(layout, FaceLayout):
        return face_box(fit_pose(points, layout))
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def mouth_centre(poses: np.ndarray, landmarks: np.ndarray, layout: FaceLayout) -> np.ndarray:
    """The mouths' centres (..., 2), face units, of faces at poses (..., 3, 3) with landmarks (..., N, 2)."""
    return transform(poses, landmarks[..., layout.mouth, :]).mean(axis=-2) + layout.mouth_offset


def mouth_region(points: np.ndarray, layout: LandmarkLayout) -> np.ndarray:
    """Corners (4, 2), frame px, of the part of a frame with landmarks (N, 2) that its mouth crop may need."""
    if not isinstance(layout, FaceLayout):
        return points
    pose = fit_pose(points, layout)
    reach = MOUTH_REGION * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    return transform(np.linalg.inv(pose), mouth_centre(pose, points, layout) + reach)
