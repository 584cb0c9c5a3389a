"""The HDF5 weights files of Keras LipNets as a state dict of `LipNet`.

Keras orders axes as time, width, height, channel; features as width, height, channel; gates as update, reset,
candidate; and symbols as a to z, space, blank. The arrays are reordered here, so that the network needs no
setting for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lipnet.errors import LipnetError
from lipnet.models import conv
from lipnet.models.convert.keras_file import Arrays, read_layers

State = dict[str, np.ndarray]  # the state dict of one module

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # the first bytes of an HDF5 file
# A file is a list of layers, each a list of arrays; the numbers of axes of these arrays identify the layer.
CONVOLUTION, NORM, RECURRENT, DENSE = (5, 1), (1, 1, 1, 1), (2, 2, 1, 2, 2, 1), (2, 1)
SYMBOLS = [27, 26, *range(26)]  # indices in Keras of the blank, the space, a ... z
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
        import h5py  # noqa: F401  # an optional dependency
    except ImportError as error:
        raise LipnetError("h5py is not installed: pip install -e '.[convert]'") from error
    layers = read_layers(path)
    kinds = [tuple(array.ndim for array in layer) for layer in layers]
    last = [RECURRENT, RECURRENT, DENSE]
    if kinds not in ([CONVOLUTION] * 3 + last, [CONVOLUTION, NORM] * 3 + last):
        raise ValueError("not the layers of a LipNet")
    convolutions, norms = (
        [layer for layer, kind in zip(layers, kinds, strict=True) if kind == wanted]
        for wanted in (CONVOLUTION, NORM)
    )
    return KerasLipNet(convolutions, norms, layers[-3:-1], layers[-1])


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
