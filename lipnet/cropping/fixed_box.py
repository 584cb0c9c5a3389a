"""Crops of one fixed box of the frame, or of the whole frame: no face is looked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import cv2
import numpy as np

from lipnet.cropping.cropper import Cropper, FaceTrack, FrameTracker
from lipnet.cropping.geometry import transform
from lipnet.cropping.landmarks import BOX_CORNERS
from lipnet.errors import ConfigError

MAX_STRETCH = 1.02  # ratio between a frame's aspect ratio and that of ``crop.frame``


class FixedBoxCropper(Cropper):
    """Cuts out ``crop.box`` and resizes it where crops have another size. Its landmarks are the box's
    corners.

    With ``crop.frame``, the box grows or shrinks with frames of another size and the same shape.
    """

    layout = BOX_CORNERS

    def start(self, name: str = "video") -> FrameTracker:
        return partial(self._corners, name)

    def build_track(self, landmarks: Sequence[np.ndarray | None], name: str = "video") -> FaceTrack:
        corners = np.array(landmarks)
        to_crop = np.stack([self._to_crop(of_frame) for of_frame in corners])
        return FaceTrack(self.layout, self.size, corners, np.ones(len(corners), dtype=bool), to_crop)

    def crop(self, images: Iterable[np.ndarray], to_crop: np.ndarray) -> np.ndarray:
        return np.stack([self._cut(image, matrix) for image, matrix in zip(images, to_crop, strict=True)])

    def _corners(self, name: str, frame: np.ndarray) -> np.ndarray:
        """The box's corners (4, 2) float32 in a frame.

        Raises ConfigError where it reaches beyond the frame.
        """
        height, width = frame.shape[:2]
        top, bottom, left, right = np.array(self.config.box) * self._scale(width, height, name)
        if bottom > height or right > width:
            raise ConfigError(
                f"{name}: crop.box {list(self.config.box)} reaches beyond its frames of {width}x{height} "
                f"px; give [top,bottom,left,right] within [0,{height},0,{width}]"
            )
        return np.array([(x, y) for x in (left, right) for y in (top, bottom)], dtype=np.float32)

    def _scale(self, width: int, height: int, name: str) -> float:
        """The size of this video's frames, relative to the frames that the box is given for."""
        if not self.config.frame:
            return 1.0
        across, down = width / self.config.frame[0], height / self.config.frame[1]
        if max(across / down, down / across) > MAX_STRETCH:
            raise ConfigError(
                f"{name}: frames of {width}x{height} px are not of the shape of crop.frame "
                f"{list(self.config.frame)}; give crop.box and crop.frame for these"
            )
        return (across * down) ** 0.5

    def _to_crop(self, corners: np.ndarray) -> np.ndarray:
        """The matrix (3, 3) from frame px to crop px; the centres of px are at whole numbers."""
        (left, top), (right, bottom) = corners[0].astype(float), corners[-1].astype(float)
        across, down = self.size[0] / (right - left), self.size[1] / (bottom - top)
        x, y = (0.5 - left) * across - 0.5, (0.5 - top) * down - 0.5
        return np.array([[across, 0, x], [0, down, y], [0, 0, 1]])

    def _cut(self, image: np.ndarray, to_crop: np.ndarray) -> np.ndarray:
        """The part of an image that its matrix takes to the crop: unchanged pixels where the sizes agree."""
        edges = np.array([(0, 0), self.size]) - 0.5
        (left, top), (right, bottom) = np.rint(transform(np.linalg.inv(to_crop), edges) + 0.5).astype(int)
        part = image[top:bottom, left:right]
        if part.shape[1::-1] == self.size:
            return part.copy()  # a view would keep the whole frame in memory
        smaller = part.shape[0] > self.size[1] and part.shape[1] > self.size[0]
        return cv2.resize(part, self.size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


class WholeFrameCropper(FixedBoxCropper):
    """Resizes whole frames to the crop's size, for videos that show only a mouth."""

    def _corners(self, name: str, frame: np.ndarray) -> np.ndarray:
        height, width = frame.shape[:2]
        return np.array([(x, y) for x in (0, width) for y in (0, height)], dtype=np.float32)
