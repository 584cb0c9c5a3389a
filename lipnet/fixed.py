"""One box of the frame for a whole video, as for clips whose speakers keep still: no face is looked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from lipnet.config import ConfigError, CropConfig
from lipnet.face import transform
from lipnet.mouth import Cropper, FaceTrack


class FixedCropper(Cropper):
    """Cuts out ``crop.box``, and resizes it where crops have another size. Its landmarks are the corners."""

    landmarks = 4

    def __init__(self, config: CropConfig) -> None:
        super().__init__(config)
        self.top, self.bottom, self.left, self.right = config.box
        self.corners = np.array(
            [(x, y) for x in (self.left, self.right) for y in (self.top, self.bottom)], dtype=np.float32
        )

    def follow(self, frames: Iterable[np.ndarray], name: str = "video") -> Iterator[np.ndarray | None]:
        for frame in frames:
            height, width = frame.shape[:2]
            if self.bottom > height or self.right > width:
                raise ConfigError(
                    f"{name}: crop.box {list(self.config.box)} reaches beyond its frames of {width}x{height} "
                    f"px; give [top,bottom,left,right] within [0,{height},0,{width}]"
                )
            yield self.corners

    def complete(self, measured: Sequence[np.ndarray | None], name: str = "video") -> FaceTrack:
        """The same in every frame."""
        count = len(measured)
        landmarks = np.tile(self.corners, (count, 1, 1))
        return FaceTrack(landmarks, np.ones(count, dtype=bool), np.tile(self._to_crop(), (count, 1, 1)))

    def crop(self, images: Iterable[np.ndarray], to_crop: np.ndarray) -> np.ndarray:
        return np.stack([self._cut(image, matrix) for image, matrix in zip(images, to_crop, strict=True)])

    def _to_crop(self) -> np.ndarray:
        """The matrix (3, 3) from frame px to those of the crop; px centres lie at whole numbers."""
        across = self.size[0] / (self.right - self.left)
        down = self.size[1] / (self.bottom - self.top)
        x, y = (0.5 - self.left) * across - 0.5, (0.5 - self.top) * down - 0.5
        return np.array([[across, 0, x], [0, down, y], [0, 0, 1]])

    def _cut(self, image: np.ndarray, to_crop: np.ndarray) -> np.ndarray:
        """The part of an image that its matrix takes to the crop: its very pixels, if the sizes agree."""
        edges = np.array([(0, 0), self.size]) - 0.5
        (left, top), (right, bottom) = np.rint(transform(np.linalg.inv(to_crop), edges) + 0.5).astype(int)
        part = image[top:bottom, left:right]
        if part.shape[1::-1] == self.size:
            return part
        smaller = part.shape[0] > self.size[1] and part.shape[1] > self.size[0]
        return cv2.resize(part, self.size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
