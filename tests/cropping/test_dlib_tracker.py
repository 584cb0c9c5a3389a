"""The models behind the dlib tracker."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from lipnet.cropping.dlib_tracker import DlibTracker
from lipnet.errors import LipnetError


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
