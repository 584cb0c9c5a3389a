"""export.py: the file, what it prints, and one line for each error."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from tiny import CROP, assert_one_line, contents, run_script, tiny_model

from lipnet.inference.onnx_backend import OnnxBackend
from lipnet.models.checkpoint import save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = LipNet(tiny_model(word_heads=True, norm="batch"))
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, model.state_dict(), Metadata(model.config, CROP, {"epoch": 3}))
    return path


def test_the_script_writes_a_file_and_prints_the_largest_difference(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "lipnet.onnx"
    result = run_script("export", "--weights", weights, "--onnx", out)
    assert result.code == 0, result.err
    line = re.fullmatch(
        rf"{re.escape(str(out))}: 0\.\d MB, log-probabilities within (\S+) of PyTorch's on random clips of "
        r"75, 40 and 50 frames\n",
        result.out,
    )
    assert line and float(line[1]) <= 1e-4
    assert OnnxBackend.load(out).metadata.info == {"epoch": 3}
    assert list(contents(tmp_path)) == ["new/lipnet.onnx"]


def test_the_script_writes_nothing_if_the_outputs_differ(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipnet.models.onnx import recurrent

    monkeypatch.setitem(recurrent.GATES, "GRU", (0, 1, 2))
    result = run_script("export", "--weights", weights, "--onnx", tmp_path / "lipnet.onnx")
    assert_one_line(result, "lipnet.onnx: not written, its log-probabilities differ", "update onnxruntime")
    assert contents(tmp_path) == {}


def test_without_onnx_the_script_names_the_package_to_install(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "lipnet.models.onnx.export", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = run_script("export", "--weights", weights, "--onnx", tmp_path / "lipnet.onnx")
    assert_one_line(result, "onnx is not installed: pip install -e '.[export]'")
    assert contents(tmp_path) == {}


def test_missing_weights_are_named(tmp_path: Path) -> None:
    out = tmp_path / "lipnet.onnx"
    result = run_script("export", "--weights", tmp_path / "gone.safetensors", "--onnx", out)
    assert_one_line(result, "gone.safetensors: no such weights file")
    assert contents(tmp_path) == {}
