"""Face tracking: the landmarks of one face in every frame of a video that shows it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import cv2
import numpy as np

from lipnet.config import CropConfig
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
from lipnet.cropping.landmarks import FaceLayout

# Landmarks are found, and a tracked face is checked, in a patch where the face is upright and of one size.
PATCH_SIDE = 128  # px
PATCH_UNIT = 40.0  # px a face unit: the face's box is then 101 px wide
PATCH_POSE = np.array(
    [[PATCH_UNIT, 0, PATCH_SIDE / 2], [0, PATCH_UNIT, PATCH_SIDE / 2 - BOX_DOWN * PATCH_UNIT], [0, 0, 1]]
)
PATCH_BOX = PATCH_SIDE / 2 + BOX_SIDE * PATCH_UNIT / 2 * np.array([-1, -1, 1, 1])
# The whole frame is searched at these sizes of its longer side, at most at twice its own. A detector's
# smallest face is 80 px wide: 22 % of the frame at the first size, 6 % at the last.
SEARCH_SIDES = (360, 720, 1440)  # px
MIN_FACE_SIZE = 80  # px

SAME_FACE = 0.7  # correlation with the patch of the frame before: 0.98 in the median clip, lower after a cut
MAX_JUMP = (
    0.5  # face units, from frame to frame; larger moves, or changes of the scale's logarithm, are errors
)

# Face units, between two frames that were looked at: a face that moves faster is looked at in every frame.
FAST = 0.1


class Face(NamedTuple):
    """A face in one frame."""

    landmarks: np.ndarray  # (N, 2) frame px
    pose: np.ndarray  # (3, 3)
    patch: np.ndarray  # (PATCH_SIDE, PATCH_SIDE) uint8 grey, or with 3 channels: where it was found


class FaceTracker(ABC):
    """Detects faces and finds landmarks. The models behind it are shared by all videos."""

    layout: FaceLayout  # of its landmarks

    @abstractmethod
    def prepare(self, frame: np.ndarray) -> np.ndarray:
        """The image that the models see of a frame, (H, W, 3) uint8 RGB: itself, or (H, W) uint8 grey."""

    @abstractmethod
    def detect(self, image: np.ndarray) -> np.ndarray:
        """The boxes (F, 4) of an image's faces, left top right bottom in px, as of `geometry.face_box`."""

    @abstractmethod
    def find_landmarks(self, patch: np.ndarray, check: bool) -> np.ndarray | None:
        """Landmarks (N, 2), px, of the face at about PATCH_BOX of a patch.

        With ``check``, None where no face is detected there; without, a face may be taken for granted.
        """

    def start(self, config: CropConfig) -> FaceTracking:
        """Tracking of one more video, with ``detect_every``, ``landmarks_every`` and ``face``."""
        return FaceTracking(self, config)


class FaceTracking:
    """The face of one video, frame by frame: one face of the first frame with any, the largest by default.

    It is looked for where it was in the frame before, and in the whole frame where that fails.

    Attributes:
        most_faces: the largest number of faces that a search of a whole frame has found.
        held: whether the last frame was not looked at, and has the landmarks of the one before.
    """

    def __init__(self, tracker: FaceTracker, config: CropConfig) -> None:
        self._tracker, self._which = tracker, config.face
        self._detect_every, self._landmarks_every = config.detect_every, config.landmarks_every
        self.most_faces = 0
        self.held = False
        self._face: Face | None = None  # as last seen
        self._is_fast = True  # whether it has moved by more than FAST; a new face may
        self._lost = 0  # frames since then
        self._frames = 0  # so far
        self._previous: np.ndarray | None = None

    def __call__(self, frame: np.ndarray) -> np.ndarray | None:
        """The landmarks (N, 2), frame px, of the next frame, (H, W, 3) uint8 RGB, or None without a face."""
        # A picture that is shown for longer comes as the same array.
        if frame is not self._previous or self.held:
            self._previous = frame
            due = self._frames % self._detect_every == 0
            may_hold = self._is_found and not self._is_fast and not due
            self.held = may_hold and self._frames % self._landmarks_every > 0
            if not self.held:
                self._update(self._tracker.prepare(frame), due)
        self._frames += 1
        return self._face.landmarks if self._face is not None and self._is_found else None

    @property
    def _is_found(self) -> bool:
        return self._face is not None and not self._lost

    def _update(self, image: np.ndarray, due: bool) -> None:
        last = self._face
        face = None if last is None else self._follow(image, last, check=due or self._lost > 0)
        if face is None:
            # A face elsewhere in the frame is another one, until ours has been away for long.
            near = last if self._lost < self._detect_every else None
            face = self._search(image, near, thorough=due)
            self._is_fast = True
        if face is None:
            self._lost += 1
        else:
            self._face, self._lost = face, 0

    def _follow(self, image: np.ndarray, last: Face, check: bool) -> Face | None:
        """The face where it was last seen: the detector is asked on a check, or if it looks different."""
        patch = _cut(image, last.pose)
        face = self._read(patch, last.pose, check or _correlation(patch, last.patch) < SAME_FACE)
        if face is None:
            return None
        moved = face.pose @ np.linalg.inv(last.pose)
        shift, growth = np.hypot(*moved[:2, 2]), abs(np.log(scale_of(moved)))
        self._is_fast = max(shift, growth) > FAST
        return face if max(shift, growth) < MAX_JUMP else None

    def _search(self, image: np.ndarray, near: Face | None, thorough: bool) -> Face | None:
        """The face to follow, in the whole image; of those that overlap the face ``near``, if given."""
        tried = 0.0
        found = np.empty((0, 4))
        for side in SEARCH_SIDES if thorough else SEARCH_SIDES[:1]:
            scale = min(side / max(image.shape), 2.0)
            if scale == tried:
                break
            tried = scale
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)
            boxes = self._tracker.detect(resized) / scale
            self.most_faces = max(self.most_faces, len(boxes))
            if near is not None:
                boxes = boxes[overlap(boxes, face_box(near.pose)) > 0]
            if len(boxes) > len(found):
                found = boxes
            if len(found) and (near is not None or self._which == "largest"):
                break  # else the other sizes may show smaller faces
        box = choose_box(found, "largest" if near is not None else self._which)
        return None if box is None else self._read_box(image, box)

    def _read_box(self, image: np.ndarray, box: np.ndarray) -> Face | None:
        """The face in a detector's box (4,): read twice, then it is upright and better centred."""
        pose = box_pose(box)
        rough = self._read(_cut(image, pose), pose, check=False)
        return None if rough is None else self._read(_cut(image, rough.pose), rough.pose, check=False)

    def _read(self, patch: np.ndarray, pose: np.ndarray, check: bool) -> Face | None:
        """The face in the patch that was cut at ``pose``."""
        found = self._tracker.find_landmarks(patch, check)
        if found is None:
            return None
        landmarks = transform(np.linalg.inv(PATCH_POSE @ pose), found)
        return Face(landmarks, fit_pose(landmarks, self._tracker.layout), patch)


def choose_box(boxes: np.ndarray, which: str) -> np.ndarray | None:
    """The box (4,), of the boxes (F, 4) of faces, that ``crop.face`` says; None if there is none."""
    from_left = boxes[np.argsort(boxes[:, 0] + boxes[:, 2], kind="stable")]
    if which == "largest":
        return boxes[np.argmax(boxes[:, 2] - boxes[:, 0])] if len(boxes) else None
    index = {"left": 0, "right": len(boxes) - 1}.get(which)
    index = int(which) - 1 if index is None else index
    return from_left[index] if 0 <= index < len(boxes) else None


def _cut(image: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """The patch with the face at ``pose``, upright."""
    return warp(image, PATCH_POSE @ pose, (PATCH_SIDE, PATCH_SIDE))


def _correlation(patch: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two patches, at a quarter of their size, where it costs next to nothing."""
    small = [
        cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) for image in (patch, other)
    ]
    return float(cv2.matchTemplate(small[0], small[1], cv2.TM_CCOEFF_NORMED)[0, 0])
