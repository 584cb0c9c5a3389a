"""Face tracking by dlib: its frontal face detector and 68-point landmark predictor, the default."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import dlib
import numpy as np

from lipnet.cropping.geometry import overlap
from lipnet.cropping.landmarks import IBUG_68
from lipnet.cropping.tracker import PATCH_BOX, FaceTracker
from lipnet.errors import LipnetError

FINER = 3  # odd; with 5, predicting took a fifth longer and read no better
_DETECTING = Lock()  # the detector keeps state while it runs, and dlib lets other threads run meanwhile


class DlibTracker(FaceTracker):
    """dlib's models on grey images. Several threads may use it at once."""

    layout = IBUG_68

    def __init__(self, predictor: str = "") -> None:
        """``predictor`` is a .dat file; empty: the one that the package face_recognition_models ships.

        Raises LipnetError on a file that is none.
        """
        self.detector, self.predictor = _load_models(predictor or _packaged_predictor())

    def prepare(self, frame: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)

    def detect(self, image: np.ndarray) -> np.ndarray:
        with _DETECTING:
            found = self.detector(image)
        boxes = [(box.left(), box.top(), box.right() + 1, box.bottom() + 1) for box in found]
        return np.array(boxes, dtype=np.float64).reshape(-1, 4)

    def find_landmarks(self, patch: np.ndarray, check: bool) -> np.ndarray | None:
        """dlib rounds landmarks to whole px, which is 3 % of a mouth's width in a patch.

        It is given the patch with each px repeated FINER times in both directions. With an odd number, it
        looks at the same px as it would in the patch itself, and rounds to a FINER-th of them.
        """
        if check and not overlap(self.detect(patch), PATCH_BOX).any():
            return None
        finer = cv2.resize(patch, None, fx=FINER, fy=FINER, interpolation=cv2.INTER_NEAREST)
        middle = FINER // 2  # of the FINER px that stand for one
        box = dlib.rectangle(*(FINER * round(edge) + middle for edge in PATCH_BOX))
        parts = self.predictor(finer, box).parts()
        return (np.array([(point.x, point.y) for point in parts], dtype=np.float64) - middle) / FINER


def _packaged_predictor() -> str:
    """The landmark file in face_recognition_models, which cannot be imported (it needs pkg_resources)."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise LipnetError("no landmark file: pip install face_recognition_models, or set crop.predictor")
    return str(Path(spec.submodule_search_locations[0]) / "models" / "shape_predictor_68_face_landmarks.dat")


@cache
def _load_models(predictor: str) -> tuple[Any, Any]:
    """The detector and the predictor, half a second once a process."""
    hint = "set crop.predictor to a 68-point .dat file of dlib"
    if not Path(predictor).is_file():
        raise LipnetError(f"{predictor}: no such landmark file; {hint}")
    try:
        model = dlib.shape_predictor(predictor)
    except RuntimeError as error:
        raise LipnetError(f"{predictor}: not a landmark file; {hint}") from error
    points = model(np.zeros((9, 9), np.uint8), dlib.rectangle(0, 0, 9, 9)).num_parts
    if points != IBUG_68.count:
        raise LipnetError(f"{predictor}: finds {points} points, not {IBUG_68.count}; {hint}")
    return dlib.get_frontal_face_detector(), model
