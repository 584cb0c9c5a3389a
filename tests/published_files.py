"""Small weights files with random values in the layouts that other repositories published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from plain_numpy import Layers

h5py = pytest.importorskip("h5py")

CHANNELS, HIDDEN, SYMBOLS = (2, 3, 4), 5, 28
COORDINATES, COORDINATE_HIDDEN = 40, 3
KERNELS = ((3, 5, 5), (3, 5, 5), (3, 3, 3))
FEATURES = {"plain": 4 * 6 * 3, "normed": 4 * 6 * 3, "osalinasv": 4 * 1 * 1}


def random_array(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Random weights, scaled so that a layer's outputs are about as large as its inputs."""
    spread = 1 / np.sqrt(max(np.prod(shape[:-1]), 1)) if len(shape) > 1 else 0.3
    return random.normal(0, spread, shape).astype(np.float32)


def keras_layers(kind: str, gates: int = 3, symbols: int = SYMBOLS, bias_rows: int = 1) -> Layers:
    random = np.random.default_rng(0)
    layers: Layers = []
    for i, (kernel, outputs) in enumerate(zip(KERNELS, CHANNELS, strict=True), 1):
        inputs = (3, *CHANNELS)[i - 1]
        kernels = {"kernel": random_array(random, *kernel, inputs, outputs)}
        layers.append((f"zero{i}", {}))
        layers.append((f"conv{i}", {**kernels, "bias": random_array(random, outputs)}))
        if kind != "plain":
            state = {name: random_array(random, outputs) for name in ("gamma", "beta", "moving_mean")}
            layers.append((f"batc{i}", {**state, "moving_variance": random.uniform(0.01, 1, outputs)}))
    for i, features in enumerate((FEATURES[kind], 2 * HIDDEN), 1):
        units, rows = gates * HIDDEN, (bias_rows,) if bias_rows > 1 else ()
        weights = {}
        for side in ("forward", "backward"):
            weights[f"{side}_gru{i}/kernel"] = random_array(random, features, units)
            weights[f"{side}_gru{i}/recurrent_kernel"] = random_array(random, HIDDEN, units)
            weights[f"{side}_gru{i}/bias"] = random_array(random, *rows, units)
        layers.append((f"bidirectional_{i}", weights))
    weights = {"kernel": random_array(random, 2 * HIDDEN, symbols), "bias": random_array(random, symbols)}
    return [*layers, ("dense1", weights), ("softmax", {})]


def write_keras(path: Path, layers: Layers, nested: bool = False, backend: str = "tensorflow") -> Path:
    """Write the file that Keras 2.0's ``save_weights`` writes, or, if ``nested``, its ``save``."""
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if nested else file
        group.attrs["layer_names"] = [name.encode() for name, _ in layers]
        group.attrs["backend"] = backend.encode()
        for name, weights in layers:
            layer = group.create_group(name)
            layer.attrs["weight_names"] = [f"{name}/{weight}:0".encode() for weight in weights]
            for weight, array in weights.items():
                layer[f"{name}/{weight}:0"] = array
    return path


def vipl_state(features: int = 4 * 4 * 8) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    state = {}
    for i, kernel in enumerate(KERNELS):
        weight = random_array(random, *kernel, (3, *CHANNELS)[i], CHANNELS[i])
        state[f"conv{i + 1}.weight"] = weight.transpose(4, 3, 0, 1, 2)
        state[f"conv{i + 1}.bias"] = random_array(random, CHANNELS[i])
    for i, inputs in enumerate((features, 2 * HIDDEN), 1):
        state |= _gru_state(random, f"gru{i}", inputs, HIDDEN)
    state["FC.weight"] = random_array(random, 2 * HIDDEN, SYMBOLS).T
    return {**state, "FC.bias": random_array(random, SYMBOLS)}


def lipcoordnet_state(features: int = 4 * 4 * 8) -> dict[str, np.ndarray]:
    """VIPL's, with a GRU of the lips' coordinates and a wider output layer."""
    random = np.random.default_rng(1)
    state = vipl_state(features) | _gru_state(random, "coord_gru", COORDINATES, COORDINATE_HIDDEN)
    state["FC.weight"] = random_array(random, 2 * (HIDDEN + COORDINATE_HIDDEN), SYMBOLS).T
    return state


def _gru_state(random: np.random.Generator, name: str, inputs: int, hidden: int) -> dict[str, np.ndarray]:
    state = {}
    for suffix in ("_l0", "_l0_reverse"):
        state[f"{name}.weight_ih{suffix}"] = random_array(random, inputs, 3 * hidden).T
        state[f"{name}.weight_hh{suffix}"] = random_array(random, hidden, 3 * hidden).T
        state[f"{name}.bias_ih{suffix}"] = random_array(random, 3 * hidden)
        state[f"{name}.bias_hh{suffix}"] = random_array(random, 3 * hidden)
    return state


def write_vipl(path: Path, state: dict[str, np.ndarray], zipped: bool = True) -> Path:
    tensors = {name: torch.tensor(array.copy()) for name, array in state.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    return path
