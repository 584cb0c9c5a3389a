"""Exported networks: ONNX Runtime computes the same log-probabilities as PyTorch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_files import export, perturbed_model
from tiny import CROP, SCRIPTS, tiny_model

from lipnet.config import ModelConfig
from lipnet.errors import CheckpointError, LipnetError
from lipnet.inference.onnx_backend import OnnxBackend
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import KEY, Metadata, dump_metadata

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

LENGTHS = (5, 9, 1, 7)
CONFIGS = {
    "plain": tiny_model(),
    "grey": tiny_model(in_channels=1),
    "batch norm": tiny_model(norm="batch"),
    "lstm": tiny_model(cell="lstm"),
    "grey lstm with batch norm": tiny_model(in_channels=1, cell="lstm", norm="batch"),
    "words of one layer": tiny_model(layers=1, word_heads=True),
    "words of three layers": tiny_model(layers=3, word_heads=True, cell="lstm"),
    "two outputs a frame": tiny_model(outputs_per_frame=2),
    "three outputs a frame and words": tiny_model(outputs_per_frame=3, word_heads=True, alphabet="abc"),
    "even kernels": tiny_model(
        height=21,
        width=30,
        channels=[2, 3],
        kernels=[[3, 4, 2], [1, 2, 4]],
        strides=[[1, 1, 2], [1, 2, 1]],
    ),
    "no convolutions": tiny_model(
        channels=[], kernels=[], strides=[], in_channels=1, cell="lstm", bidirectional=False
    ),
    "other paddings": tiny_model(paddings=[[1, 2, 2]] * 3, norm="instance"),
    "forwards only": tiny_model(bidirectional=False),
    "keras": tiny_model(cell="keras_gru", normalization="unit"),
    "keras, forwards only": tiny_model(cell="keras_gru", bidirectional=False),
    "keras with ReLU": tiny_model(
        cell="keras_gru", candidate="linear", activation="relu", normalization="unit", norm="batch"
    ),
    "each clip's own scale": tiny_model(normalization="clip", norm="instance", word_heads=True),
    "each grey clip's own scale": tiny_model(normalization="clip", in_channels=1, cell="lstm"),
    "one long kernel": tiny_model(channels=[2], kernels=[[5, 7, 1]], strides=[[1, 3, 3]], norm="batch"),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def random_clips(config: ModelConfig, lengths: tuple[int, ...] = LENGTHS) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (n, config.height, config.width, 3), np.uint8) for n in lengths]


@torch.no_grad()
def pytorch_log_probs(model: LipNet, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Log-probabilities of the characters and the words of one clip."""
    output = model(torch.from_numpy(clip)[None], torch.tensor([len(clip)]))
    words = output.word_log_probs
    return output.log_probs[0].numpy(), None if words is None else words[0].numpy()


def assert_close(values: np.ndarray | None, expected: np.ndarray | None) -> None:
    if values is None or expected is None:
        assert values is expected
        return
    assert values.dtype == np.float32
    assert values.shape == expected.shape
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-4)


@every_config
def test_each_clip_of_a_padded_batch_gives_what_pytorch_computes_for_it_alone(config: ModelConfig) -> None:
    model = perturbed_model(config)
    network, clips = OnnxBackend(export(model)), random_clips(config)
    together = network(clips)
    assert len(together) == len(clips)
    for clip, emissions in zip(clips, together, strict=True):
        log_probs, words = pytorch_log_probs(model, clip)
        for computed in (emissions, *network([clip])):
            assert_close(computed.log_probs, log_probs)
            assert_close(computed.word_log_probs, words)
            assert (computed.steps_per_frame, computed.frames) == (config.outputs_per_frame, len(clip))


@every_config
def test_padding_does_not_change_a_clip(config: ModelConfig) -> None:
    import onnxruntime

    model = perturbed_model(config)
    (frames,) = random_clips(config, (9,))
    session = onnxruntime.InferenceSession(export(model), providers=["CPUExecutionProvider"])
    log_probs, *_ = session.run(None, {"frames": np.stack([frames, frames]), "lengths": np.array([6, 9])})
    expected, _ = pytorch_log_probs(model, frames[:6])
    assert_close(log_probs[0, : len(expected)], expected)
    assert_close(log_probs[1], pytorch_log_probs(model, frames)[0])


@every_config
def test_the_graph_is_valid_and_declares_its_inputs_and_outputs(config: ModelConfig) -> None:
    exported = onnx.load_from_string(export(perturbed_model(config)))
    onnx.checker.check_model(exported, full_check=True)

    def sizes(values: list[onnx.ValueInfoProto]) -> dict[str, tuple[int, list[int | str]]]:
        return {
            value.name: (
                value.type.tensor_type.elem_type,
                [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim],
            )
            for value in values
        }

    assert sizes(exported.graph.input) == {
        "frames": (onnx.TensorProto.UINT8, ["B", "T", config.height, config.width, 3]),
        "lengths": (onnx.TensorProto.INT64, ["B"]),
    }
    outputs = {"log_probs": (onnx.TensorProto.FLOAT, ["B", "S", len(config.alphabet) + 1])}
    if config.word_heads:
        outputs["word_log_probs"] = (onnx.TensorProto.FLOAT, ["B", "T", 52])
    assert sizes(exported.graph.output) == outputs


def test_an_exported_file_has_the_metadata_of_the_weights(tmp_path: Path) -> None:
    model = perturbed_model(tiny_model(cell="lstm", outputs_per_frame=2))
    described = Metadata(model.config, CROP, {"epoch": 3, "dev": {"wer": 0.5}}, {"greedy": [1.5, -0.5, 0.25]})
    path = tmp_path / "lipnet.onnx"
    path.write_bytes(export(model, described))
    assert OnnxBackend.load(path).metadata == OnnxBackend.load(str(path)).metadata == described
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_a_file_with_former_names_in_its_metadata_gives_the_same(tmp_path: Path) -> None:
    model = perturbed_model(tiny_model(init="keras", normalization="unit"))
    metadata = Metadata(model.config, CROP)
    text = dump_metadata(metadata).replace('"init":', '"initial":').replace('"normalization":', '"pixels":')
    text = re.sub(r', "sha256": "\w+"', "", text)  # these files have no digest
    assert text.count('"initial":') == text.count('"pixels":') == 1
    former, current = OnnxBackend(with_metadata(export(model), **{KEY: text})), OnnxBackend(export(model))
    assert former.metadata == current.metadata == metadata
    clips = random_clips(model.config)
    for one, other in zip(former(clips), current(clips), strict=True):
        assert np.array_equal(one.log_probs, other.log_probs)


READING = """
import sys
import numpy as np
from lipnet.inference.onnx_backend import OnnxBackend
network = OnnxBackend.load(sys.argv[1])
print(network([np.zeros((3, 16, 24, 3), np.uint8)])[0].log_probs.shape)
assert not {"torch", "onnx"} & set(sys.modules)
"""


def test_the_backend_needs_no_pytorch(tmp_path: Path) -> None:
    path = tmp_path / "lipnet.onnx"
    path.write_bytes(export(perturbed_model(tiny_model())))
    command = [sys.executable, "-c", READING, str(path)]
    done = subprocess.run(command, cwd=SCRIPTS.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(3, 28)\n"


# Files and installations that cannot be used


def with_metadata(content: bytes, **metadata: str) -> bytes:
    exported = onnx.load_from_string(content)
    exported.ClearField("metadata_props")
    onnx.helper.set_model_props(exported, metadata)
    changed: bytes = exported.SerializeToString()
    return changed


def header(calibration: object = None, **changes: object) -> dict[str, str]:
    """Metadata whose model differs from the graph's."""
    model = {**asdict(tiny_model()), **changes}
    content = {"format": "lipnet-1", "model": model, "crop": asdict(CROP), "info": {}}
    return {KEY: json.dumps({**content, "calibration": calibration or {}})}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "not an exported LipNet; give a file that scripts/export.py wrote"),
        ({"author": "another program"}, "not an exported LipNet"),
        ({KEY: "{"}, "not an exported LipNet"),
        ({KEY: "[1]"}, "not an exported LipNet"),
        ({KEY: '{"format": "lipnet-1", "model": {"depth": 9}}'}, "not an exported LipNet"),
        (header(alphabet="abc"), r"not an exported LipNet \(log_probs: .*\[\.\.\., 4\] by the metadata\)"),
        (header(word_heads=True), r"not an exported LipNet \(word_log_probs: missing\)"),
        (header(layers=10_000_000), "not an exported LipNet .model.layers 10000000: give at most 64"),
        (header(calibration={"greedy": [1.0]}), "not an exported LipNet .calibration.greedy: 1 numbers"),
        ({KEY: '{"format": "lipnet-9"}'}, "format lipnet-9, not lipnet-1: use the lipnet that wrote it"),
    ],
)
def test_an_onnx_file_of_another_kind_is_named(
    metadata: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(with_metadata(export(perturbed_model(tiny_model())), **metadata))
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))}: {message}"):
        OnnxBackend.load(path)


@pytest.mark.parametrize("content", [b"", b"words", bytes(range(256))])
def test_a_file_that_is_not_onnx_is_named(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lipnet.onnx"
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r"lipnet\.onnx: not an ONNX file; give a file that scripts/export"
    ):
        OnnxBackend.load(path)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.onnx", tmp_path):
        with pytest.raises(CheckpointError, match=r"no such ONNX file; write one with scripts/export\.py"):
            OnnxBackend.load(path)


def test_a_missing_onnx_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lipnet.onnx"
    path.write_bytes(export(perturbed_model(tiny_model())))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(LipnetError, match="ONNX Runtime is not installed: pip install onnxruntime"):
        OnnxBackend.load(path)
