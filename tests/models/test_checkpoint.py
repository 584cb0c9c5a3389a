"""Checkpoints: weights and metadata come back, and other files are named."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny import CROP, tiny_model

from lipnet.models import checkpoint
from lipnet.models.checkpoint import (
    CheckpointError,
    Metadata,
    load_matching,
    load_resume,
    load_weights,
    save_resume,
    save_weights,
    source_revision,
)
from lipnet.models.lipnet import LipNet

OTHER = {
    "cell": "lstm",
    "norm": "batch",
    "in_channels": 1,
    "alphabet": "abc",
    "word_heads": True,
    "layers": 1,
}


@pytest.mark.parametrize("changes", [{}, OTHER])
def test_a_checkpoint_restores_the_network_without_a_config(
    changes: dict[str, object], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = LipNet(tiny_model(**changes)).eval().place("cpu")
    saved = Metadata(model.config, CROP, {"epoch": 3, "dev": {"seen": {"wer": 0.5}}})
    save_weights(tmp_path / "best.safetensors", model.state_dict(), saved)
    loaded, metadata = load_weights(tmp_path / "best.safetensors")
    assert metadata == saved
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    frames = torch.randint(256, (2, 6, 16, 24, 3), dtype=torch.uint8)
    lengths = torch.tensor([6, 4])
    assert torch.equal(loaded(frames, lengths).log_probs, model(frames, lengths).log_probs)
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]


@pytest.mark.parametrize("in_channels", [1, 3])
def test_loading_does_not_initialise_and_restores_the_buffers(in_channels: int, tmp_path: Path) -> None:
    """Pixel statistics are not in the file; half-precision weights are computed with in float32."""
    path = tmp_path / "half.safetensors"
    model = LipNet(tiny_model(in_channels=in_channels, norm="batch"))
    halves = {name: t.half() if t.is_floating_point() else t for name, t in model.state_dict().items()}
    save_weights(path, halves, Metadata(model.config, CROP))
    generator = torch.get_rng_state()
    loaded, _ = load_weights(path)
    assert torch.equal(torch.get_rng_state(), generator)
    for name, buffer in model.named_buffers():
        assert torch.equal(loaded.get_buffer(name), buffer), name
    for name, parameter in loaded.named_parameters():
        assert parameter.dtype == torch.float32, name
        assert torch.equal(parameter, halves[name].float()), name
    assert loaded.recurrent[0].weight_hh_l0 is loaded.get_parameter("recurrent.0.weight_hh_l0")


def test_training_loaded_weights_leaves_their_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    model = LipNet(tiny_model())
    save_weights(path, model.state_dict(), Metadata(model.config, CROP))
    before = path.read_bytes()
    loaded, _ = load_weights(path)
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.add_(1)
    assert path.read_bytes() == before
    assert torch.equal(load_weights(path)[0].output.weight, model.output.weight)


def weights_file(path: Path, metadata: dict[str, str] | None) -> Path:
    save_file(dict(LipNet(tiny_model()).state_dict()), path, metadata)
    return path


def header(**changes: object) -> dict[str, str]:
    content = {"format": "lipnet-1", "model": asdict(tiny_model()), "crop": asdict(CROP), "info": {}}
    return {"lipnet": json.dumps({**content, **changes})}


def test_the_metadata_of_the_next_tests_is_valid(tmp_path: Path) -> None:
    load_weights(weights_file(tmp_path / "w.safetensors", header()))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "not lipnet weights"),
        ({"format": "pt"}, "not lipnet weights"),
        ({"lipnet": "{"}, "not lipnet weights"),
        ({"lipnet": "[1]"}, "not lipnet weights"),
        (header(format="lipnet-9"), "format lipnet-9, not lipnet-1: use the lipnet that wrote it"),
        (header(model={"depth": 9}), "not lipnet weights"),
        (header(model=asdict(tiny_model(hidden=9))), "not lipnet weights"),
        (header(model=asdict(tiny_model(cell="rnn"))), "not lipnet weights"),
        (header(crop=None), "not lipnet weights .crop: None is not a mapping of settings"),
        (header(crop={**asdict(CROP), "width": 48}), "crop.width 48, but model.width 24"),
        (header(crop={**asdict(CROP), "eye_distance": -1}), "crop.eye_distance -1: give 1 or more"),
        (header(crop={**asdict(CROP), "center_offset": math.nan}), "crop.center_offset: nan is not a finite"),
        (
            header(crop={**asdict(CROP), "center_offset": 1e9}),
            r"crop.center_offset 1000000000: give at most 100",
        ),
        (header(crop={**asdict(CROP), "box": "all"}), "crop.box: 'all' is not a list"),
        (
            header(model=asdict(tiny_model(alphabet=" abcdefghijklmnopqrstuvwxy"))),
            r"tensor output\.weight: \[28,",
        ),
        (header(model=asdict(tiny_model(alphabet="aa" + "b" * 25))), "alphabet 'aabbb"),
        (header(model={**asdict(tiny_model()), "alphabet": 5}), "model.alphabet: 5 is not a text"),
        (
            header(model={**asdict(tiny_model()), "layers": 10_000_000}),
            r"model.layers 10000000: give at most 64",
        ),
        (
            header(model={**asdict(tiny_model()), "hidden": 1_000_000_000}),
            r"model.hidden 1000000000: give at most",
        ),
        (
            header(model={**asdict(tiny_model()), "hidden": 16_000, "layers": 60}),
            "million parameters, at most",
        ),
        (header(model={**asdict(tiny_model()), "hidden": True}), "model.hidden: True is not a whole number"),
        (header(model={**asdict(tiny_model()), "channels": [4, "4", 4]}), r"model.channels\[1\]: '4' is not"),
        (header(calibration=None), "calibration: None is not a mapping"),
        (header(calibration=[]), r"calibration: a list of 0 is not a mapping"),
        (header(calibration={"greedy": None}), "calibration.greedy: None is not a list"),
        (header(calibration={"greedy": [1.0, 2.0]}), "calibration.greedy: 2 numbers, not 3"),
        (
            header(calibration={"greedy": [1.0, math.nan, 2.0]}),
            r"calibration.greedy\[1\]: nan is not a finite",
        ),
        (header(grid="yes"), "grid: 'yes' is not true or false"),
        (header(info=3), "info: 3 is not a mapping"),
        ({"lipnet": "[" * 100_000}, "nested more than 50 deep"),
        (
            {"lipnet": '{"format": "lipnet-1", "info": ' + '{"a":' * 60 + "1" + "}" * 61},
            "nested more than 50",
        ),
        ({"lipnet": '{"format": "lipnet-1", "info": ' + "1" * 5000 + "}"}, "not JSON"),
    ],
)
def test_invalid_metadata_is_named(metadata: dict[str, str] | None, message: str, tmp_path: Path) -> None:
    path = weights_file(tmp_path / "w.safetensors", metadata)
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))}: .*{message}"):
        load_weights(path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_named(value: float, tmp_path: Path) -> None:
    model = LipNet(tiny_model())
    with torch.no_grad():
        model.output.bias[3] = value
    save_weights(tmp_path / "w.safetensors", model.state_dict(), Metadata(model.config, CROP))
    with pytest.raises(
        CheckpointError, match=r"w\.safetensors: tensor output\.bias has NaN or infinite values"
    ):
        load_weights(tmp_path / "w.safetensors")


def test_tensors_that_the_model_lacks_or_has_more_are_named(tmp_path: Path) -> None:
    tensors = dict(LipNet(tiny_model()).state_dict())
    bias = tensors.pop("output.bias")
    save_file(tensors, tmp_path / "fewer.safetensors", header())
    save_file({**tensors, "output.bias": bias, "x": bias.clone()}, tmp_path / "more.safetensors", header())
    for name, message in (("fewer", r"tensor output\.bias: missing"), ("more", "tensor x: unknown")):
        with pytest.raises(CheckpointError, match=message):
            load_weights(tmp_path / f"{name}.safetensors")


@pytest.mark.parametrize("content", [b"", b"words", bytes(range(256)), b"PK\x03\x04"])
def test_a_file_that_is_not_a_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"best\.safetensors: not lipnet weights; give"):
        load_weights(path)


def test_metadata_that_was_changed_after_it_was_written_is_found(tmp_path: Path) -> None:
    """Of the same length, so that the tensors still fit."""
    path = tmp_path / "best.safetensors"
    model = LipNet(tiny_model())
    save_weights(path, model.state_dict(), Metadata(model.config, CROP, {1: "é", "wer": math.inf}))
    load_weights(path)
    content = path.read_bytes()
    for old, new in ((b"bcdefgh", b"cbdefgh"), (b"wer", b"cer")):
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, new))
        with pytest.raises(
            CheckpointError, match=r"best\.safetensors: its metadata was changed after it was written; copy"
        ):
            load_weights(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.safetensors", tmp_path):
        with pytest.raises(CheckpointError, match="no such weights file; train one"):
            load_weights(path)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.safetensors"
    model = LipNet(tiny_model())
    save_weights(path, model.state_dict(), Metadata(model.config, CROP))
    before = path.read_bytes()

    def disk_full(*_: object) -> bytes:
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint, "save", disk_full)
    with pytest.raises(OSError, match="no space"):
        save_weights(path, model.state_dict(), Metadata(model.config, CROP))
    assert path.read_bytes() == before


def test_an_output_layer_for_another_alphabet_is_not_copied() -> None:
    weights, model = LipNet(tiny_model(alphabet="abc ")), LipNet(tiny_model(alphabet="cab "))
    assert load_matching(model, weights) == ["output.weight", "output.bias"]
    assert torch.equal(model.blocks[0].conv.weight, weights.blocks[0].conv.weight)
    assert not torch.equal(model.output.weight, weights.output.weight)


def test_the_resume_state_comes_back(tmp_path: Path) -> None:
    state = {"epoch": 3, "best": float("inf"), "train_state": {"weights": torch.arange(3), "lrs": [0.1]}}
    save_resume(tmp_path / "resume.pt", state)
    loaded = load_resume(tmp_path / "resume.pt")
    assert torch.equal(loaded["train_state"].pop("weights"), torch.arange(3))
    assert loaded == {"epoch": 3, "best": float("inf"), "train_state": {"lrs": [0.1]}}
    assert [path.name for path in tmp_path.iterdir()] == ["resume.pt"]


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04 and so on", b"\x80\x02cos\nsystem\n."])
def test_a_broken_resume_state_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "resume.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"resume\.pt: cannot be resumed from"):
        load_resume(tmp_path / "resume.pt")


def test_the_source_revision_is_short_or_empty() -> None:
    assert re.fullmatch(r"([0-9a-f]{7,40}\+?)?", source_revision())
