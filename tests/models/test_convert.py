"""Converted weights: small random files in each published layout give what plain NumPy computes from them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_numpy import Backend, keras_network, vipl_network
from published_files import CHANNELS, HIDDEN, h5py, keras_layers, vipl_state, write_keras, write_vipl
from tiny import assert_one_line, contents, run_script

from lipnet.config import CropConfig
from lipnet.errors import CheckpointError
from lipnet.models.checkpoint import load_weights
from lipnet.models.convert.published import load_published_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata
from lipnet.settings import load_config
from lipnet.tokenizer import Tokenizer

CONFIGS = Path(__file__).parents[2] / "configs"
LENGTHS = (6, 9)  # frames

# Conversion


def converted(path: Path) -> tuple[LipNet, Metadata]:
    out = path.with_name("lipnet.safetensors")
    result = run_script("convert", path, "--out", out)
    assert result.code == 0, result.err
    return load_weights(out)


@torch.no_grad()
def assert_computes_like(network: Backend, model: LipNet, symbols: str) -> None:
    """Compare log-probabilities of a padded batch; ``symbols``: those of ``network``, ``_`` the blank."""
    size = (model.config.height, model.config.width, 3)
    frames = np.random.default_rng(1).integers(0, 256, (len(LENGTHS), max(LENGTHS), *size), np.uint8)
    log_probs = model(torch.from_numpy(frames), torch.tensor(LENGTHS)).log_probs.numpy()
    ours = Tokenizer(model.config.alphabet)
    columns = [0 if symbol == "_" else ours.encode(symbol)[0] for symbol in symbols]
    for clip, read, length in zip(frames, log_probs, LENGTHS, strict=True):
        expected = network(clip[:length])
        assert expected.std() > 0.2  # otherwise a wrong order of weights would not show
        np.testing.assert_allclose(read[:length, columns], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("kind", "source", "eye_distance"),
    [
        ("plain", "rizkiarm/LipNet", 46.6),
        ("normed", "rizkiarm/LipNet", 46.6),
        ("osalinasv", "osalinasv/lipnet", 45.2),
    ],
)
def test_keras_weights_give_what_the_architecture_computes(
    kind: str, source: str, eye_distance: float, nested: bool, tmp_path: Path
) -> None:
    layers = keras_layers(kind)
    model, metadata = converted(write_keras(tmp_path / "weights.bin", layers, nested))
    assert_computes_like(keras_network(kind, layers), model, "abcdefghijklmnopqrstuvwxyz _")
    assert metadata.crop == CropConfig(width=100, height=50, eye_distance=eye_distance)
    assert metadata.info["source"] == f"github.com/{source}"
    assert (metadata.model.channels, metadata.model.hidden) == (list(CHANNELS), HIDDEN)


def test_kernels_of_theano_are_flipped(tmp_path: Path) -> None:
    layers = keras_layers("plain")
    turned = [
        (name, {**weights, "kernel": weights["kernel"][::-1, ::-1, ::-1]})
        if "conv" in name
        else (name, weights)
        for name, weights in layers
    ]
    model, _ = converted(write_keras(tmp_path / "weights.h5", turned, backend="theano"))
    assert_computes_like(keras_network("plain", layers), model, "abcdefghijklmnopqrstuvwxyz _")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("features", "crop"),
    [
        (4 * 4 * 8, CropConfig(width=128, height=64, eye_distance=68.6, center_offset=-0.036)),
        (4 * 3 * 6, CropConfig(width=100, height=50, eye_distance=53.6, center_offset=-0.036)),
    ],
)
def test_vipl_weights_give_what_the_architecture_computes(
    features: int, crop: CropConfig, zipped: bool, tmp_path: Path
) -> None:
    state = vipl_state(features)
    model, metadata = converted(write_vipl(tmp_path / "weights.bin", state, zipped))
    assert_computes_like(vipl_network(state), model, "_ abcdefghijklmnopqrstuvwxyz")
    assert metadata.crop == crop
    assert metadata.info["source"].startswith("github.com/VIPL")
    assert metadata.info["file"] == "weights.bin"


def test_the_recipe_of_vipl_makes_the_crops_that_its_converted_weights_need() -> None:
    crop = load_config(CONFIGS / "vipl.yaml").crop
    assert crop == CropConfig(width=128, height=64, eye_distance=68.6, center_offset=-0.036)


def test_the_script_prints_the_source_and_the_crop_geometry(tmp_path: Path) -> None:
    path, out = write_keras(tmp_path / "w.h5", keras_layers("plain")), tmp_path / "new" / "w.safetensors"
    result = run_script("convert", path, "--out", out)
    parameters = sum(values.size for _, weights in keras_layers("plain") for values in weights.values())
    assert result.out == (
        f"{out}: github.com/rizkiarm/LipNet, {parameters:,} parameters, reads crops of 100x50 px with the "
        "eyes 46.6 px apart\n"
    )


# Files that cannot be converted


def other_pickle(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def without(name: str) -> dict[str, np.ndarray]:
    return {key: array for key, array in vipl_state().items() if key != name}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def empty_hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(3)
    return path


def odd_hdf5(path: Path, layer_names: Any, weight_names: Any = ("w",), huge: bool = False) -> Path:
    """HDF5 with Keras' attributes, but other types behind them."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = layer_names
        layer = file.create_group("a")
        layer.attrs["weight_names"] = weight_names
        if huge:  # a terabyte, in a file of some kilobytes
            layer.create_dataset("w", (500_000, 500_000), "f4", chunks=(1000, 1000))
        else:
            layer.create_group("w")
    return path


class Attack:
    """A pickle that runs a command when it is loaded without care."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("echo attacked >&2",)


OTHERS: dict[str, Callable[[Path], Path]] = {
    "words": lambda path: written(path, b"words"),
    "nothing": lambda path: written(path, b""),
    "a broken HDF5": lambda path: written(path, b"\x89HDF\r\n\x1a\n and so on"),
    "another HDF5": empty_hdf5,
    "layer names that are a number": lambda path: odd_hdf5(path, 3),
    "a group in place of an array": lambda path: odd_hdf5(path, ["a"]),
    "weight names that are numbers": lambda path: odd_hdf5(path, ["a"], [1, 2]),
    "an array of a terabyte": lambda path: odd_hdf5(path, ["a"], huge=True),
    "a tensor of another type": lambda path: other_pickle(path, {"conv1.weight": [1, 2]}),
    "an LSTM": lambda path: write_keras(path, keras_layers("plain", gates=4)),
    "a GRU of two biases": lambda path: write_keras(path, keras_layers("plain", bias_rows=2)),
    "other symbols": lambda path: write_keras(path, keras_layers("plain", symbols=41)),
    "a layer more": lambda path: write_keras(path, [*keras_layers("plain"), ("d", {"bias": np.ones(3)})]),
    "features of no known stride": lambda path: write_keras(
        path, keras_layers("plain")[:-4] + keras_layers("osalinasv")[-4:]
    ),
    "a number": lambda path: other_pickle(path, 3),
    "other tensors": lambda path: other_pickle(path, {"conv1.weight": torch.ones(3)}),
    "no tensors": lambda path: other_pickle(path, dict.fromkeys(vipl_state(), "x")),
    "a tensor less": lambda path: write_vipl(path, without("gru2.bias_hh_l0")),
    "a convolution less": lambda path: write_vipl(path, without("conv1.bias")),
    "a tensor more": lambda path: write_vipl(path, {**vipl_state(), "conv4.bias": np.ones(3)}),
    "features of no known crop": lambda path: write_vipl(path, vipl_state(features=4 * 5 * 5)),
    "an attack": lambda path: other_pickle(path, {"conv1.weight": Attack()}),
}


@pytest.mark.parametrize("write", OTHERS.values(), ids=OTHERS)
def test_a_file_of_another_layout_is_refused_and_the_known_ones_are_listed(
    write: Callable[[Path], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "weights.h5")
    result = run_script("convert", path, "--out", tmp_path / "out" / "lipnet.safetensors")
    assert_one_line(result, str(path), "VIPL", "rizkiarm/LipNet", "osalinasv/lipnet")
    assert list(contents(tmp_path)) == ["weights.h5"]
    assert "attacked" not in capfd.readouterr().err


@pytest.mark.parametrize("code", ["os.abort()", "time.sleep(60)"])
def test_a_file_at_which_the_hdf5_library_crashes_or_hangs_is_refused(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both happen at some damaged files; here a module takes the library's place in the process."""
    (tmp_path / "h5py").mkdir()
    (tmp_path / "h5py" / "__init__.py").write_text(f"import os, time\n{code}\n")
    path = write_keras(tmp_path / "weights.h5", keras_layers("plain"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("lipnet.models.convert.keras_file.TIMEOUT_S", 1.0)
    with pytest.raises(CheckpointError, match=r"weights\.h5: unknown layout; the weights of VIPL"):
        load_published_weights(path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = vipl_state()
    state["FC.bias"] = np.full_like(state["FC.bias"], np.nan)
    path = write_vipl(tmp_path / "vipl.pt", state)
    with pytest.raises(CheckpointError, match=r"vipl\.pt: tensor output\.bias has NaN or infinite values"):
        load_published_weights(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.h5", tmp_path):
        with pytest.raises(CheckpointError, match=f"{path}: no such weights file"):
            load_published_weights(path)


def test_without_h5py_the_error_names_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_keras(tmp_path / "weights.h5", keras_layers("plain"))
    monkeypatch.setitem(sys.modules, "h5py", None)
    result = run_script("convert", path, "--out", tmp_path / "lipnet.safetensors")
    assert_one_line(result, "h5py is not installed: pip install -e '.[convert]'")
