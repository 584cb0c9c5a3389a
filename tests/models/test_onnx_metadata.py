"""ONNX files: their metadata is replaced, and constants that are not finite are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CROP, random_crops, tiny_model

from lipnet.errors import CheckpointError
from lipnet.inference.onnx_backend import OnnxBackend
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata
from lipnet.models.onnx_metadata import rewrite_onnx_metadata

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def export(model: LipNet) -> bytes:
    from lipnet.models.onnx_export import onnx_model  # needs onnx

    content: bytes = onnx_model(model.eval(), Metadata(model.config, CROP)).SerializeToString()
    return content


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["blocks.1.conv.weight", "recurrent.0.bias_hh_l0", "output.weight"])
def test_constants_that_are_not_finite_are_named(name: str, value: float) -> None:
    model = LipNet(tiny_model())
    model.state_dict()[name].view(-1)[1] = value
    with pytest.raises(
        CheckpointError, match=r"constant \w+ has NaN or infinite values; copy the file again"
    ):
        OnnxBackend(export(model))


def test_new_metadata_leaves_the_graph(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "w.onnx"
    path.write_bytes(export(LipNet(tiny_model())))
    before = OnnxBackend.load(path)
    metadata = Metadata(tiny_model(), CROP, {"epoch": 3}, {"beam": [1.0, 2.0, 3.0]}, grid=False)
    rewrite_onnx_metadata(path, metadata)
    after = OnnxBackend.load(path)
    assert after.metadata == metadata != before.metadata
    clip = [random_crops(4)]
    assert np.array_equal(after(clip)[0].log_probs, before(clip)[0].log_probs)


def test_another_file_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / "w.onnx"
    path.write_bytes(b"\xff words")
    with pytest.raises(CheckpointError, match=r"w\.onnx: not an ONNX file"):
        rewrite_onnx_metadata(path, Metadata(tiny_model(), CROP))
    assert path.read_bytes() == b"\xff words"
