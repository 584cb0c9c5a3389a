"""Recurrent layers for padded batches: the backward direction of each clip starts at its last valid frame.

Shapes are in the letters of ``lipnet.py``; D is the number of directions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lipnet.config import ModelConfig
from lipnet.models.batch import Padding, put, take

CELLS = ("gru", "lstm", "keras_gru")
CANDIDATES: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "linear": lambda x: x}
ACTIVATIONS = ("none", "relu")


class KerasGru(nn.Module):
    """The GRU of Keras 2 (``reset_after=False``), in both directions or forwards only.

    As in Cho et al. 2014 (arXiv 1406.1078), the reset gate acts before the recurrent product:

        r, z = g(W x + U h + b), h' = z h + (1 - z) f(W x + U (r h) + b), g(a) = clip(0.2 a + 0.5, 0, 1)

    PyTorch's GRU resets after the product, which has its own bias, and its g is the logistic function.
    Names, shapes and order of gates (r, z, candidate state) of the parameters are those of ``nn.GRU``.
    """

    def __init__(self, inputs: int, hidden: int, bidirectional: bool, candidate: str) -> None:
        """``candidate``: f, one of CANDIDATES."""
        super().__init__()
        self.hidden_size, self.bidirectional, self.candidate = hidden, bidirectional, candidate
        for suffix in directions(self):
            self.register_parameter(f"weight_ih_l0{suffix}", nn.Parameter(torch.empty(3 * hidden, inputs)))
            self.register_parameter(f"weight_hh_l0{suffix}", nn.Parameter(torch.empty(3 * hidden, hidden)))
            self.register_parameter(f"bias_ih_l0{suffix}", nn.Parameter(torch.empty(3 * hidden)))

    def forward(self, x: Tensor, padding: Padding) -> Tensor:
        """(B, T, F) float32 -> (B, T, D * hidden), 0 in padding."""
        return torch.cat([self._read(x, padding.mask, suffix) for suffix in directions(self)], dim=2)

    def _read(self, x: Tensor, mask: Tensor | None, suffix: str) -> Tensor:
        """One direction: (B, T, F), valid frames (B, T) bool -> (B, T, hidden)."""
        inputs = F.linear(
            x, self.get_parameter(f"weight_ih_l0{suffix}"), self.get_parameter(f"bias_ih_l0{suffix}")
        ).unbind(1)
        recurrence = self.get_parameter(f"weight_hh_l0{suffix}")
        state = x.new_zeros(len(x), self.hidden_size)
        states = [state] * len(inputs)
        frames = range(len(inputs))
        for frame in reversed(frames) if suffix else frames:
            state = self._step(inputs[frame], state, recurrence)
            if mask is not None:  # keeps the backward state at 0 up to the clip's last valid frame
                state = state * mask[:, frame, None]
            states[frame] = state
        return torch.stack(states, dim=1)

    def _step(self, inputs: Tensor, state: Tensor, recurrence: Tensor) -> Tensor:
        """(B, 3 * hidden), (B, hidden) -> (B, hidden)."""
        gate_weights, candidate_weights = recurrence.tensor_split([2 * self.hidden_size])
        gates = inputs[:, : 2 * self.hidden_size] + state @ gate_weights.T
        reset, keep = (0.2 * gates + 0.5).clamp(0, 1).chunk(2, dim=1)
        candidate = inputs[:, 2 * self.hidden_size :] + (reset * state) @ candidate_weights.T
        return keep * state + (1 - keep) * CANDIDATES[self.candidate](candidate)


Recurrent = nn.GRU | nn.LSTM | KerasGru


def recurrent_layer(config: ModelConfig, inputs: int) -> Recurrent:
    """One recurrent layer for ``inputs`` features per frame."""
    if config.cell == "keras_gru":
        return KerasGru(inputs, config.hidden, config.bidirectional, config.candidate)
    cell = nn.GRU if config.cell == "gru" else nn.LSTM
    return cell(inputs, config.hidden, batch_first=True, bidirectional=config.bidirectional)


def apply_recurrent(layer: nn.Module, x: Tensor, padding: Padding) -> Tensor:
    """Run a layer of `recurrent_layer` over a padded batch: (B, T, F) float32 -> (B, T, D * hidden) float32,
    0 in padding.
    """
    if isinstance(layer, KerasGru):
        return layer(x, padding)
    frames = take(x.flatten(0, 1), padding.packed)
    states = layer(PackedSequence(frames, padding.clips))[0].data
    return put(states, padding.packed, x.shape[0] * x.shape[1]).unflatten(0, x.shape[:2])


def directions(layer: Recurrent) -> tuple[str, ...]:
    """Suffixes of the parameter names of each direction, the forward one first."""
    return ("", "_reverse") if layer.bidirectional else ("",)
