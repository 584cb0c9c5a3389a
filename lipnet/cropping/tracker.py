"""Frames -> one face followed through them: its landmarks in every frame that shows it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from lipnet.cropping.geometry import (
    BOX_DOWN,
    BOX_SIDE,
    box_pose,
    face_box,
    fit_pose,
    overlap,
    scale_of,
    transform,
    warp,
)

# Landmarks are read, and a followed face is checked, in a patch where the face is upright and of one size.
PATCH_SIDE = 128  # px
PATCH_UNIT = 40.0  # px a face unit: the face's box is then 101 px wide
PATCH_POSE = np.array(
    [[PATCH_UNIT, 0, PATCH_SIDE / 2], [0, PATCH_UNIT, PATCH_SIDE / 2 - BOX_DOWN * PATCH_UNIT], [0, 0, 1]]
)
PATCH_BOX = PATCH_SIDE / 2 + BOX_SIDE * PATCH_UNIT / 2 * np.array([-1, -1, 1, 1])
# The whole frame is searched at these sizes of its longer side, but at most at twice its own. A finder's
# smallest face is 80 px wide: 22 % of the frame at the first size, 6 % at the last.
SEARCH_SIDES = (360, 720, 1440)  # px
MIN_FACE_SIZE = 80  # px

SAME_FACE = 0.7  # correlation of its patch with the one before: 0.98 in the median clip, lower after a cut
JUMP = 0.5  # face units: landmarks that move, or a scale whose logarithm changes, by more were misread


class Face(NamedTuple):
    """A face in one frame."""

    landmarks: np.ndarray  # (N, 2) frame px
    pose: np.ndarray  # (3, 3)
    patch: np.ndarray  # (PATCH_SIDE, PATCH_SIDE) uint8, grey, or with 3 channels: what it was read in


class FaceTracker(ABC):
    """Follows a face. What a face is, and where its landmarks lie, is a subclass' to say."""

    landmarks: int  # N, of a face: it tells the scheme (`face.LANDMARK_LAYOUTS`)

    @abstractmethod
    def picture(self, frame: np.ndarray) -> np.ndarray:
        """What of a frame, (H, W, 3) uint8 RGB, is looked at: itself, or (H, W) uint8 grey."""

    @abstractmethod
    def detect(self, picture: np.ndarray) -> np.ndarray:
        """The boxes (F, 4) of a picture's faces, left top right bottom in px, as of `face.face_box`."""

    @abstractmethod
    def read(self, patch: np.ndarray, check: bool) -> np.ndarray | None:
        """Landmarks (N, 2) in px of the face in a patch, at about PATCH_BOX.

        On a ``check``, None if no face is there; without one, that may be taken for granted.
        """

    def follow(self, frames: Iterable[np.ndarray], detect_every: int) -> Iterator[np.ndarray | None]:
        """For each frame, (H, W, 3) uint8 RGB: the face's landmarks (N, 2) in frame px, or None if not seen.

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
            picture = self.picture(frame)
            due = index % detect_every == 0
            face = None if last is None else self._read_again(picture, last, check=due or lost > 0)
            if face is None:
                # A face elsewhere in the frame is another one, until ours has been away for long.
                face = self._search(picture, last if lost < detect_every else None, thorough=due)
            if face is None:
                lost += 1
                yield None
            else:
                last, lost = face, 0
                yield face.landmarks

    def _read_again(self, picture: np.ndarray, last: Face, check: bool) -> Face | None:
        """The face seen last, if still there: the detector is asked on a check, or if it looks different."""
        patch = _cut(picture, last.pose)
        face = self._face(patch, last.pose, check or _likeness(patch, last.patch) < SAME_FACE)
        if face is None:
            return None
        moved = face.pose @ np.linalg.inv(last.pose)
        shift, growth = np.hypot(*moved[:2, 2]), abs(np.log(scale_of(moved)))
        return face if max(shift, growth) < JUMP else None

    def _search(self, picture: np.ndarray, near: Face | None, thorough: bool) -> Face | None:
        """The largest face in the frame, of those that overlap the one ``near`` if given."""
        tried = 0.0
        for side in SEARCH_SIDES if thorough else SEARCH_SIDES[:1]:
            scale = min(side / max(picture.shape), 2.0)
            if scale == tried:
                break
            tried = scale
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            boxes = self.detect(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=how)) / scale
            if near is not None:
                boxes = boxes[overlap(boxes, face_box(near.pose)) > 0]
            if len(boxes):
                return self._read_box(picture, boxes[np.argmax(boxes[:, 2] - boxes[:, 0])])
        return None

    def _read_box(self, picture: np.ndarray, box: np.ndarray) -> Face | None:
        """The face in a detector's box (4,): read twice, then it is upright and better centred."""
        pose = box_pose(box)
        rough = self._face(_cut(picture, pose), pose, check=False)
        return None if rough is None else self._face(_cut(picture, rough.pose), rough.pose, check=False)

    def _face(self, patch: np.ndarray, pose: np.ndarray, check: bool) -> Face | None:
        """The face in the patch that was cut at ``pose``."""
        points = self.read(patch, check)
        if points is None:
            return None
        landmarks = transform(np.linalg.inv(PATCH_POSE @ pose), points)
        return Face(landmarks, fit_pose(landmarks), patch)


def _cut(picture: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """The patch with the face at ``pose``, upright."""
    return warp(picture, PATCH_POSE @ pose, (PATCH_SIDE, PATCH_SIDE))


def _likeness(patch: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two patches, at a quarter of their size, where it costs next to nothing."""
    small = [
        cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) for image in (patch, other)
    ]
    return float(cv2.matchTemplate(small[0], small[1], cv2.TM_CCOEFF_NORMED)[0, 0])
