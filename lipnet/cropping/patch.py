"""The part of a frame that its mouth crop is cut from: all that a window keeps of a frame."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from lipnet.cropping.geometry import eye_distance, mouth_region
from lipnet.cropping.landmarks import LandmarkLayout

MAX_FRAME_SIDE = 640  # px, the longer side of what is kept of a frame without a face
MAX_EYE_DISTANCE = 160.0  # px between the eyes in what is kept; crops have 72


class Patch(NamedTuple):
    """A part of a frame, or a smaller copy of it."""

    image: np.ndarray  # (h, w, 3) uint8 RGB
    to_frame: np.ndarray  # (3, 3) float64 from patch px to frame px
    points: np.ndarray | None  # (N, 2) landmarks in frame px; None: not found in this frame
    held: bool = False  # whether these are those of the frame before, as of `is_held`


def cut_patch(frame: np.ndarray, points: np.ndarray | None, layout: LandmarkLayout) -> Patch:
    """Cut out what crops may need of a frame, (H, W, 3) uint8 RGB, with landmarks (N, 2) of the layout."""
    if points is None:
        return Patch(*_reduce(frame, max(frame.shape) / MAX_FRAME_SIDE), None)
    corners = mouth_region(points, layout)
    height, width = frame.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), (left + 1, top + 1), (width, height)).astype(int)
    eyes = eye_distance(points, layout)
    factor = 1.0 if eyes is None else eyes / MAX_EYE_DISTANCE
    image, to_part = _reduce(frame[top:bottom, left:right], factor)
    to_frame = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    return Patch(image, to_frame @ to_part, points)


def _reduce(image: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """A copy ``factor`` times smaller, never larger, and the matrix (3, 3) from its px to the image's."""
    if factor <= 1:
        return image.copy(), np.eye(3)
    small = cv2.resize(image, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    x, y = image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]
    # Whole numbers are the centres of px, not their edges.
    return small, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
