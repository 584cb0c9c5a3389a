"""The arrays of a Keras weights file, read by a process of its own.

The HDF5 library crashes or never returns on some damaged files. The process is this file as a program: it
gets the path of a weights file, and writes the arrays to standard output as a NumPy archive.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import h5py

Arrays = list[np.ndarray]

MAX_BYTES = 400_000_000  # of all arrays: 20 times those of the paper's network
TIMEOUT_S = 15.0  # with the start of the process; a file of 60 MB takes 1 s


def read_layers(path: Path) -> list[Arrays]:
    """The float32 arrays of each layer that has weights, in the network's order; h5py must be installed.

    Raises ValueError if the file is no HDF5 file of Keras, or is damaged or too large.
    """
    search = os.pathsep.join(filter(None, sys.path))  # so that the process finds the same packages
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(path.absolute())],
            env={**os.environ, "PYTHONPATH": search},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"not read in {TIMEOUT_S:.0f} s") from error
    if done.returncode:
        raise ValueError("not a weights file of Keras")
    with np.load(io.BytesIO(done.stdout)) as arrays:
        by_layer = groupby(arrays.files, lambda name: name.partition(".")[0])
        return [[arrays[name] for name in names] for _, names in by_layer]


def _layers(group: h5py.Group) -> list[Arrays]:
    """What `read_layers` returns. Raises errors of many types on other files."""
    layers = []
    free = MAX_BYTES
    for name in group.attrs["layer_names"]:
        layer = group[name]
        datasets = [layer[weights] for weights in layer.attrs["weight_names"]]
        free -= sum(dataset.size * max(dataset.dtype.itemsize, 4) for dataset in datasets)
        if free < 0:  # a small file may claim any size
            raise ValueError("too large")
        arrays = [np.asarray(dataset, np.float32) for dataset in datasets]
        if arrays and arrays[0].ndim == 5 and group.attrs.get("backend") in ("theano", b"theano"):
            arrays[0] = arrays[0][::-1, ::-1, ::-1]  # Theano flips kernels, other backends do not
        if arrays:
            layers.append(arrays)
    return layers


def _main() -> None:
    import h5py

    with h5py.File(sys.argv[1]) as file:
        layers = _layers(file.get("model_weights", file))
    named: dict[str, Any] = {
        f"{i}.{j}": array for i, layer in enumerate(layers) for j, array in enumerate(layer)
    }
    np.savez(sys.stdout.buffer, **named)


if __name__ == "__main__":
    _main()
