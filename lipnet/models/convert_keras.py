"""The HDF5 weights files of Keras LipNets as a state dict of `LipNet`.

Keras orders axes as time, width, height, channel; features as width, height, channel; gates as update, reset,
candidate; and symbols as a to z, space, blank. The arrays are reordered here, so that the network needs no
setting for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lipnet.errors import LipnetError
from lipnet.models import conv

if TYPE_CHECKING:
    import h5py

Arrays = list[np.ndarray]
State = dict[str, np.ndarray]  # the state dict of one module

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of an HDF5 file
# A file is a list of layers, each a list of arrays; the numbers of axes of these arrays identify the layer.
CONVOLUTION, NORM, RECURRENT, DENSE = (5, 1), (1, 1, 1, 1), (2, 2, 1, 2, 2, 1), (2, 1)
SYMBOLS = [27, 26, *range(26)]  # indices in Keras of the blank, the space, a ... z
MAX_VALUES = 250_000_000  # of one layer
EPSILON = 1e-3  # added to the variance in Keras' batch normalisation


class KerasLipNet(NamedTuple):
    """Three convolutions, two bidirectional GRUs and a dense layer as float32 arrays in Keras' order."""

    convolutions: list[Arrays]  # kernel (T, W, H, in, out), bias (out,)
    norms: list[Arrays]  # gain, offset, mean and variance, each (out,); empty without batch normalisation
    recurrent: list[Arrays]  # (F, 3 * hidden), (hidden, 3 * hidden) and (3 * hidden,), of both directions
    dense: Arrays  # kernel (2 * hidden, 28), bias (28,)

    def tensors(self, height: int, width: int) -> dict[str, Tensor]:
        """The state dict of a `LipNet`; ``height`` and ``width`` are those of the last feature map."""
        parts = {f"blocks.{i}.conv": _convolution(*arrays) for i, arrays in enumerate(self.convolutions)}
        parts |= {f"blocks.{i}.norm": _norm(*arrays) for i, arrays in enumerate(self.norms)}
        first, second = self.recurrent
        parts["recurrent.0"] = _gru(_channels_first(first, height, width))
        parts["recurrent.1"] = _gru(second)
        parts["output"] = _dense(*self.dense)
        return {
            f"{part}.{name}": torch.from_numpy(np.array(array, order="C"))
            for part, state in parts.items()
            for name, array in state.items()
        }


def read_keras(path: Path) -> KerasLipNet:
    """Raises ValueError if the HDF5 file holds anything else, LipnetError if h5py is not installed."""
    try:
        import h5py  # an optional dependency
    except ImportError as error:
        raise LipnetError("h5py is not installed: pip install -e '.[convert]'") from error
    try:
        with h5py.File(path) as file:
            layers = _layers(file.get("model_weights", file))
    except Exception as error:  # h5py and numpy raise errors of many types on other files
        raise ValueError("not a weights file of Keras") from error
    kinds = [tuple(array.ndim for array in layer) for layer in layers]
    last = [RECURRENT, RECURRENT, DENSE]
    if kinds not in ([CONVOLUTION] * 3 + last, [CONVOLUTION, NORM] * 3 + last):
        raise ValueError("not the layers of a LipNet")
    convolutions, norms = (
        [layer for layer, kind in zip(layers, kinds, strict=True) if kind == wanted]
        for wanted in (CONVOLUTION, NORM)
    )
    return KerasLipNet(convolutions, norms, layers[-3:-1], layers[-1])


def _layers(group: h5py.Group) -> list[Arrays]:
    """The arrays of each layer that has weights, in the network's order."""
    layers = []
    for name in group.attrs["layer_names"]:
        layer = group[name]
        datasets = [layer[weights] for weights in layer.attrs["weight_names"]]
        if sum(dataset.size for dataset in datasets) > MAX_VALUES:  # a small file may claim any size
            raise ValueError("too large")
        arrays = [np.asarray(dataset, np.float32) for dataset in datasets]
        if arrays and arrays[0].ndim == 5 and group.attrs.get("backend") in ("theano", b"theano"):
            arrays[0] = arrays[0][::-1, ::-1, ::-1]  # Theano flips kernels, other backends do not
        if arrays:
            layers.append(arrays)
    return layers


def _convolution(kernel: np.ndarray, bias: np.ndarray) -> State:
    return {"weight": kernel.transpose(4, 3, 0, 2, 1), "bias": bias}


def _norm(gain: np.ndarray, offset: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> State:
    """The variance includes the difference between Keras' epsilon and ours."""
    variance = variance + np.float32(EPSILON - conv.EPSILON)
    state = {"weight": gain, "bias": offset, "running_mean": mean, "running_var": variance}
    return {**state, "num_batches_tracked": np.array(0)}


def _gru(arrays: Arrays) -> State:
    state = {}
    for suffix, (kernel, recurrence, bias) in (("", arrays[:3]), ("_reverse", arrays[3:])):
        state[f"weight_ih_l0{suffix}"] = _gates(kernel)
        state[f"weight_hh_l0{suffix}"] = _gates(recurrence)
        state[f"bias_ih_l0{suffix}"] = _gates(bias)
    return state


def _gates(array: np.ndarray) -> np.ndarray:
    """(..., 3 * hidden) -> (3 * hidden, ...), and update, reset, candidate -> reset, update, candidate."""
    update, reset, candidate = np.split(array.T, 3)
    return np.concatenate([reset, update, candidate])


def _channels_first(arrays: Arrays, height: int, width: int) -> Arrays:
    """Reorder rows of both kernels (F, 3 * hidden): width, height, channel -> channel, height, width."""
    rows = np.arange(len(arrays[0])).reshape(width, height, -1).transpose(2, 1, 0).ravel()
    return [array[rows] if i in (0, 3) else array for i, array in enumerate(arrays)]


def _dense(kernel: np.ndarray, bias: np.ndarray) -> State:
    if len(bias) != len(SYMBOLS):
        raise ValueError("not the symbols a to z, space and blank")
    return {"weight": kernel[:, SYMBOLS].T, "bias": bias[SYMBOLS]}
