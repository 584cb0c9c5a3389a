"""The published architectures in plain NumPy, an independent reference for converted weights.

Axes are (T, W, H, C) for Keras, (T, H, W, C) for PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

STRIDES = {"plain": (2, 1, 1), "normed": (2, 1, 1), "osalinasv": (2, 2, 2)}

Layers = list[tuple[str, dict[str, np.ndarray]]]  # name -> its weights by name, in Keras' order
Backend = Callable[[np.ndarray], np.ndarray]  # (T, H, W, 3) uint8 RGB -> (T, symbols) log-probabilities


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """Convolution with half a kernel of padding; ``stride`` is that of width and height."""
    half = [size // 2 for size in kernel.shape[:3]]
    x = np.pad(x, [*((size, size) for size in half), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:3], axis=(0, 1, 2))
    return np.einsum("tabcijk,ijkcd->tabd", windows[:, ::stride, ::stride], kernel, optimize=True) + bias


def pool(x: np.ndarray) -> np.ndarray:
    t, a, b, c = x.shape
    return x[:, : a // 2 * 2, : b // 2 * 2].reshape(t, a // 2, 2, b // 2, 2, c).max((2, 4))


def normalise(x: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    centred = (x - state["moving_mean"]) / np.sqrt(state["moving_variance"] + 1e-3)
    return centred * state["gamma"] + state["beta"]


def keras_gru(x: np.ndarray, weights: list[np.ndarray], linear: bool) -> np.ndarray:
    """Gates z, r, h; the reset gate applies before the recurrent product."""
    kernel, recurrence, bias = weights
    hidden = len(recurrence)
    h, states = np.zeros(hidden), []
    for step in x @ kernel + bias:
        z, r = (
            np.clip(0.2 * (step[part] + h @ recurrence[:, part]) + 0.5, 0, 1)
            for part in (slice(hidden), slice(hidden, 2 * hidden))
        )
        new = step[2 * hidden :] + (r * h) @ recurrence[:, 2 * hidden :]
        h = z * h + (1 - z) * (new if linear else np.tanh(new))
        states.append(h)
    return np.stack(states)


def torch_gru(x: np.ndarray, state: dict[str, np.ndarray], suffix: str) -> np.ndarray:
    """Gates r, z, n; the reset gate applies after the recurrent product and its bias, as in PyTorch."""
    w, u, b, c = (state[f"{name}_l0{suffix}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h, states = np.zeros(u.shape[1]), []
    for step in x @ w.T + b:
        (i_r, i_z, i_n), (h_r, h_z, h_n) = np.split(step, 3), np.split(u @ h + c, 3)
        r, z = 1 / (1 + np.exp(-i_r - h_r)), 1 / (1 + np.exp(-i_z - h_z))
        h = (1 - z) * np.tanh(i_n + r * h_n) + z * h
        states.append(h)
    return np.stack(states)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def both_ways(x: np.ndarray, forwards: Backend, backwards: Backend) -> np.ndarray:
    return np.hstack([forwards(x), backwards(x[::-1])[::-1]])


def keras_network(kind: str, layers: Layers) -> Backend:
    weights = dict(layers)
    osalinasv = kind == "osalinasv"

    def read(frames: np.ndarray) -> np.ndarray:
        x = frames.swapaxes(1, 2) / 255.0  # (T, H, W, 3) -> (T, W, H, 3)
        for i, stride in enumerate(STRIDES[kind], 1):
            x = convolve(x, *weights[f"conv{i}"].values(), stride)
            if f"batc{i}" in weights:
                x = normalise(x, weights[f"batc{i}"])
            x = pool(np.maximum(x, 0))
        x = x.reshape(len(x), -1)
        for i in (1, 2):
            arrays = list(weights[f"bidirectional_{i}"].values())
            x = both_ways(
                x,
                lambda x, own=arrays[:3]: keras_gru(x, own, osalinasv),
                lambda x, own=arrays[3:]: keras_gru(x, own, osalinasv),
            )
            x = np.maximum(x, 0) if osalinasv else x
        kernel, bias = weights["dense1"].values()
        return log_softmax(x @ kernel + bias)

    return read


def part_of(state: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The entries of one module."""
    return {key.partition(".")[2]: array for key, array in state.items() if key.startswith(f"{name}.")}


def bidirectional_torch_gru(x: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    return both_ways(x, lambda x: torch_gru(x, state, ""), lambda x: torch_gru(x, state, "_reverse"))


def vipl_states(state: dict[str, np.ndarray]) -> Backend:
    """The network up to its second GRU: frames -> (T, 2 * hidden)."""

    def read(frames: np.ndarray) -> np.ndarray:
        x = frames[..., ::-1] / 255.0  # blue, green, red
        for i, stride in enumerate((2, 1, 1), 1):
            conv = part_of(state, f"conv{i}")
            x = pool(
                np.maximum(convolve(x, conv["weight"].transpose(2, 3, 4, 1, 0), conv["bias"], stride), 0)
            )
        x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
        for name in ("gru1", "gru2"):
            x = bidirectional_torch_gru(x, part_of(state, name))
        return x

    return read


def vipl_network(state: dict[str, np.ndarray]) -> Backend:
    read = vipl_states(state)
    return lambda frames: log_softmax(read(frames) @ state["FC.weight"].T + state["FC.bias"])


def lipcoordnet(state: dict[str, np.ndarray], frames: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """Log-probabilities (T, symbols) from frames and the lips' coordinates, (T, 20, 2) parts of the frame."""
    coordinates = bidirectional_torch_gru(lips.reshape(len(lips), -1), part_of(state, "coord_gru"))
    joined = np.hstack([vipl_states(state)(frames), coordinates])
    return log_softmax(joined @ state["FC.weight"].T + state["FC.bias"])
