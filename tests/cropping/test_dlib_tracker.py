"""The models behind the dlib tracker."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import dlib
import numpy as np
import pytest

from lipnet.cropping.dlib_tracker import DlibTracker
from lipnet.cropping.tracker import PATCH_BOX
from lipnet.errors import LipnetError
from lipnet.synthetic.corpus import render_frames


def test_models_are_loaded_once() -> None:
    assert DlibTracker().predictor is DlibTracker().predictor


@pytest.mark.parametrize("content", [None, b"not a model"])
def test_a_bad_predictor_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "points.dat"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LipnetError, match=r"points\.dat: .*crop\.predictor"):
        DlibTracker(str(path))


def test_a_five_point_predictor_is_refused() -> None:
    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None and spec.submodule_search_locations
    models = Path(spec.submodule_search_locations[0]) / "models"
    with pytest.raises(LipnetError, match="5 points, not 68"):
        DlibTracker(str(models / "shape_predictor_5_face_landmarks.dat"))


def test_without_the_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LipnetError, match="pip install face_recognition_models"):
        DlibTracker()


def test_finer_landmarks_round_to_those_of_the_patch_itself() -> None:
    tracker = DlibTracker()
    frame = next(iter(render_frames(seed=0, speaker=1, clip_id="bbaf2n")))
    image = tracker.prepare(frame)
    box = dlib.rectangle(*(round(edge) for edge in PATCH_BOX))
    for left in range(90, 130, 3):  # the face at many places of the patch, also beyond its edges
        patch = np.ascontiguousarray(image[80:208, left : left + 128])
        found = tracker.find_landmarks(patch, check=False)
        assert found is not None
        expected = [(point.x, point.y) for point in tracker.predictor(patch, box).parts()]
        assert np.array_equal(np.floor(found + 0.5), expected)
        assert 0 < np.abs(found - expected).max() < 0.5
