"""Recurrent layers for padded batches: the backward direction of each clip starts at its last valid frame.

Shapes are in the letters of ``lipnet.py``; D is the number of directions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lipnet.config import ModelConfig

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

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F) float32, valid frames (B,) int64 -> (B, T, D * hidden), 0 in padding."""
        mask = (torch.arange(x.shape[1])[None, :] < lengths[:, None]).to(x.device)
        return torch.cat([self._read(x, mask, suffix) for suffix in directions(self)], dim=2)

    def _read(self, x: Tensor, mask: Tensor, suffix: str) -> Tensor:
        """One direction: (B, T, F), mask (B, T) bool -> (B, T, hidden)."""
        inputs = F.linear(
            x, self.get_parameter(f"weight_ih_l0{suffix}"), self.get_parameter(f"bias_ih_l0{suffix}")
        ).unbind(1)
        recurrence = self.get_parameter(f"weight_hh_l0{suffix}")
        state = x.new_zeros(len(x), self.hidden_size)
        states = [state] * len(inputs)
        frames = range(len(inputs))
        for frame in reversed(frames) if suffix else frames:
            # The mask keeps the backward state at 0 up to the clip's last valid frame.
            state = self._step(inputs[frame], state, recurrence) * mask[:, frame, None]
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


def apply_recurrent(layer: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    """Run a layer of `recurrent_layer` over a padded batch.

    Args:
        x: (B, T, F) float32.
        lengths: (B,) int64 on the CPU, each clip's valid frames.

    Returns:
        (B, T, D * hidden) float32, 0 in padding.
    """
    if isinstance(layer, KerasGru):
        return layer(x, lengths)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=x.shape[1])[0]


def directions(layer: Recurrent) -> tuple[str, ...]:
    """Suffixes of the parameter names of each direction, the forward one first."""
    return ("", "_reverse") if layer.bidirectional else ("",)
