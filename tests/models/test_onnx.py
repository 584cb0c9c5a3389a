"""Exported networks: what ONNX Runtime makes of them is what PyTorch makes of the weights."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CROP, SCRIPTS, assert_one_line, contents, run_script, tiny_model

from lipnet.config import ModelConfig
from lipnet.errors import LipnetError
from lipnet.inference.onnx_backend import OnnxBackend
from lipnet.models.checkpoint import save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import KEY, CheckpointError, Metadata

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


def lively(config: ModelConfig) -> LipNet:
    """A network none of whose biases and statistics is at its initial 0 or 1."""
    torch.manual_seed(0)
    model = LipNet(config).eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.5 * (torch.rand_like(tensor) - 0.5))  # more would amplify rounding
    return model


def export(model: LipNet, metadata: Metadata | None = None) -> bytes:
    from lipnet.models.onnx_export import onnx_model  # here, since it needs onnx

    content: bytes = onnx_model(model, metadata or Metadata(model.config, CROP)).SerializeToString()
    return content


def random_clips(config: ModelConfig, lengths: tuple[int, ...] = LENGTHS) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (n, config.height, config.width, 3), np.uint8) for n in lengths]


@torch.no_grad()
def pytorch_says(model: LipNet, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
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
def test_each_clip_of_a_padded_batch_is_read_as_pytorch_reads_it_alone(config: ModelConfig) -> None:
    model = lively(config)
    network, clips = OnnxBackend(export(model)), random_clips(config)
    together = network(clips)
    assert len(together) == len(clips)
    for clip, emissions in zip(clips, together, strict=True):
        log_probs, words = pytorch_says(model, clip)
        for said in (emissions, *network([clip])):
            assert_close(said.log_probs, log_probs)
            assert_close(said.word_log_probs, words)
            assert (said.rate, said.frames) == (config.outputs_per_frame, len(clip))


@every_config
def test_what_lies_beyond_a_clips_end_does_not_change_it(config: ModelConfig) -> None:
    import onnxruntime

    model = lively(config)
    (frames,) = random_clips(config, (9,))
    session = onnxruntime.InferenceSession(export(model), providers=["CPUExecutionProvider"])
    log_probs, *_ = session.run(None, {"frames": np.stack([frames, frames]), "lengths": np.array([6, 9])})
    expected, _ = pytorch_says(model, frames[:6])
    assert_close(log_probs[0, : len(expected)], expected)
    assert_close(log_probs[1], pytorch_says(model, frames)[0])


@every_config
def test_the_graph_is_valid_and_says_what_it_takes_and_gives(config: ModelConfig) -> None:
    exported = onnx.load_from_string(export(lively(config)))
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


def test_an_exported_file_says_of_itself_what_the_weights_say(tmp_path: Path) -> None:
    model = lively(tiny_model(cell="lstm", outputs_per_frame=2))
    described = Metadata(model.config, CROP, {"epoch": 3, "dev": {"wer": 0.5}}, {"greedy": [1.5, -0.5]})
    path = tmp_path / "lipnet.onnx"
    path.write_bytes(export(model, described))
    assert OnnxBackend.load(path).metadata == OnnxBackend.load(str(path)).metadata == described


READING = """
import sys
import numpy as np
from lipnet.inference.onnx_backend import OnnxBackend
network = OnnxBackend.load(sys.argv[1])
print(network([np.zeros((3, 16, 24, 3), np.uint8)])[0].log_probs.shape)
assert not {"torch", "onnx"} & set(sys.modules)
"""


def test_reading_needs_no_pytorch(tmp_path: Path) -> None:
    path = tmp_path / "lipnet.onnx"
    path.write_bytes(export(lively(tiny_model())))
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


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "not a lipnet network; give a file of scripts/export.py"),
        ({"author": "somebody"}, "not a lipnet network"),
        ({KEY: "{"}, "not a lipnet network"),
        ({KEY: "[1]"}, "not a lipnet network"),
        ({KEY: '{"format": "lipnet-1", "model": {"depth": 9}}'}, "not a lipnet network"),
        ({KEY: '{"format": "lipnet-9"}'}, "format lipnet-9, not lipnet-1: use the lipnet that wrote it"),
    ],
)
def test_an_onnx_file_of_another_kind_is_named(
    metadata: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(with_metadata(export(lively(tiny_model())), **metadata))
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))}: {message}"):
        OnnxBackend.load(path)


@pytest.mark.parametrize("content", [b"", b"words", bytes(range(256))])
def test_a_file_that_is_no_onnx_is_named(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lipnet.onnx"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"lipnet\.onnx: not an ONNX file; give one of scripts/export"):
        OnnxBackend.load(path)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.onnx", tmp_path):
        with pytest.raises(CheckpointError, match=r"no such ONNX file; write one with scripts/export\.py"):
            OnnxBackend.load(path)


def test_a_missing_onnx_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lipnet.onnx"
    path.write_bytes(export(lively(tiny_model())))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(LipnetError, match="ONNX Runtime is not installed: pip install onnxruntime"):
        OnnxBackend.load(path)


# The script


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = lively(tiny_model(word_heads=True, norm="batch"))
    path = tmp_path_factory.mktemp("weights") / "lively.safetensors"
    save_weights(path, model.state_dict(), Metadata(model.config, CROP, {"epoch": 3}))
    return path


def test_the_script_writes_a_file_that_reads_alike_and_says_how_alike(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "lipnet.onnx"
    result = run_script("export", "--weights", weights, "--onnx", out)
    assert result.code == 0, result.err
    said = re.fullmatch(
        rf"{re.escape(str(out))}: 0\.\d MB, log-probabilities within (\S+) of PyTorch's on random crops of "
        r"75 and 40 frames\n",
        result.out,
    )
    assert said and float(said[1]) <= 1e-4
    assert OnnxBackend.load(out).metadata.info == {"epoch": 3}
    assert list(contents(tmp_path)) == ["new/lipnet.onnx"]


def test_the_script_writes_nothing_that_reads_otherwise(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipnet.models import onnx_export

    monkeypatch.setitem(onnx_export.GATES, "GRU", (0, 1, 2))
    result = run_script("export", "--weights", weights, "--onnx", tmp_path / "lipnet.onnx")
    assert_one_line(result, "lipnet.onnx: not written, its log-probabilities differ", "update onnxruntime")
    assert contents(tmp_path) == {}


def test_the_script_without_onnx(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "lipnet.models.onnx_export", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = run_script("export", "--weights", weights, "--onnx", tmp_path / "lipnet.onnx")
    assert_one_line(result, "onnx is not installed: pip install -e '.[export]'")
    assert contents(tmp_path) == {}


def test_the_script_with_weights_that_are_not_there(tmp_path: Path) -> None:
    out = tmp_path / "lipnet.onnx"
    result = run_script("export", "--weights", tmp_path / "gone.safetensors", "--onnx", out)
    assert_one_line(result, "gone.safetensors: no such weights file")
    assert contents(tmp_path) == {}
