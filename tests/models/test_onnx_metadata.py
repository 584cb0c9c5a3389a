"""ONNX files: their metadata is replaced, and constants that are not finite are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_files import export
from tiny import CROP, random_crops, tiny_model

from lipnet.errors import CheckpointError
from lipnet.inference.onnx_backend import OnnxBackend
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata
from lipnet.models.onnx.metadata import rewrite_onnx_metadata

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


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


def test_a_permuted_alphabet_is_found(tmp_path: Path) -> None:
    content = export(LipNet(tiny_model()))
    assert content.count(b"bcdefgh") == 1
    with pytest.raises(CheckpointError, match="its metadata was changed after it was written; copy"):
        OnnxBackend(content.replace(b"bcdefgh", b"cbdefgh"))


@pytest.mark.parametrize("damaged", [b'"format"', b"log_probs"])
def test_texts_that_are_not_utf_8_are_refused(damaged: bytes) -> None:
    content = export(LipNet(tiny_model()))
    assert damaged in content
    with pytest.raises(CheckpointError, match=r"not an (exported LipNet|ONNX file)"):
        OnnxBackend(content.replace(damaged, b"\xff" + damaged[1:]))


def test_a_graph_that_cannot_be_computed_or_has_other_outputs_is_named() -> None:
    import onnx

    for change, message in (
        (_lose_a_state, "cannot be computed"),
        (_double, r"log_probs is .*; copy the file"),
    ):
        exported = onnx.load_from_string(export(LipNet(tiny_model())))
        change(exported.graph)
        with pytest.raises(CheckpointError, match=message):
            OnnxBackend(exported.SerializeToString())([random_crops(4)])


def _lose_a_state(graph: Any) -> None:
    """The lengths of the clips stay outside those that a recurrent layer accepts."""
    for node in graph.node:
        if node.op_type == "GRU":
            node.input[4] = "too_long"
    node = graph.node[0]
    graph.node.insert(0, type(node)(op_type="Neg", input=["lengths_32"], output=["too_long"]))
    graph.node.insert(0, type(node)(op_type="Cast", input=["lengths"], output=["lengths_32"]))
    graph.node[0].attribute.add(name="to", type=2, i=6)


def _double(graph: Any) -> None:
    """The log-probabilities occur twice along the time."""
    [last] = [node for node in graph.node if "log_probs" in node.output]
    last.output[0] = "once"
    twice = graph.node.add(op_type="Concat", input=["once", "once"], output=["log_probs"])
    twice.attribute.add(name="axis", type=2, i=1)


def test_another_file_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / "w.onnx"
    path.write_bytes(b"\xff words")
    with pytest.raises(CheckpointError, match=r"w\.onnx: not an ONNX file"):
        rewrite_onnx_metadata(path, Metadata(tiny_model(), CROP))
    assert path.read_bytes() == b"\xff words"
