"""The part of a frame that mouth crops are cut from: what is kept of the frames of a window."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from lipnet.face import fit_pose, transform
from lipnet.mouth import MOUTH

REACH = 1.5  # face units kept on each side of the mouth; a crop reaches 0.8, and smoothing moves it little
LARGEST_WHOLE = 1280  # px, the longer side of what is kept of a frame in which no face was seen


class Patch(NamedTuple):
    """A part of a frame, or a smaller copy of it."""

    image: np.ndarray  # (h, w, 3) uint8 RGB
    to_frame: np.ndarray  # (3, 3) from its px to the frame's
    points: np.ndarray | None  # (68, 2) landmarks in frame px, where a face was seen


def cut_patch(frame: np.ndarray, points: np.ndarray | None) -> Patch:
    """Keep what crops may need of a frame, (H, W, 3) uint8 RGB, with the landmarks (68, 2) seen in it."""
    if points is None:
        return _shrunk(frame)
    pose = fit_pose(points)
    mouth = transform(pose, points[MOUTH]).mean(axis=0)
    reach = REACH * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    corners = transform(np.linalg.inv(pose), mouth + reach)
    height, width = frame.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), (left + 1, top + 1), (width, height)).astype(int)
    to_frame = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    return Patch(frame[top:bottom, left:right].copy(), to_frame, points)


def _shrunk(frame: np.ndarray) -> Patch:
    factor = max(1.0, max(frame.shape) / LARGEST_WHOLE)
    if factor > 1:
        frame = cv2.resize(frame, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    offset = (factor - 1) / 2  # px centres, not edges, lie at whole numbers
    return Patch(frame, np.array([[factor, 0, offset], [0, factor, offset], [0, 0, 1]]), None)
