"""The part of a frame that mouth crops are cut from: what is kept of the frames of a window."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from lipnet.cropping.cropper import crop_reach, face_unit

MAX_FRAME_SIDE = 640  # px, the longer side of what is kept of a frame in which no face was seen
MAX_EYE_DISTANCE = 160.0  # px a face unit that are kept: a crop's are 72


class Patch(NamedTuple):
    """A part of a frame, or a smaller copy of it."""

    image: np.ndarray  # (h, w, 3) uint8 RGB
    to_frame: np.ndarray  # (3, 3) from its px to the frame's
    points: np.ndarray | None  # (N, 2) landmarks in frame px, where there are any


def cut_patch(frame: np.ndarray, points: np.ndarray | None) -> Patch:
    """Keep what crops may need of a frame, (H, W, 3) uint8 RGB, with the landmarks (N, 2) seen in it."""
    if points is None:
        return Patch(*_shrunk(frame, max(frame.shape) / MAX_FRAME_SIDE), None)
    corners = crop_reach(points)
    height, width = frame.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), (left + 1, top + 1), (width, height)).astype(int)
    part, to_part = _shrunk(frame[top:bottom, left:right], face_unit(points) / MAX_EYE_DISTANCE)
    to_frame = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    return Patch(part, to_frame @ to_part, points)


def _shrunk(image: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """A copy ``factor`` times smaller, but never larger, and the matrix (3, 3) back to the image's px."""
    if factor <= 1:
        return image.copy(), np.eye(3)
    small = cv2.resize(image, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    x, y = image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]
    # Px centres, not edges, lie at whole numbers.
    return small, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
