"""The CTC loss on a GPU (Graves et al. 2006) as tensor operations of which none waits for the GPU.

PyTorch's own CUDA operation copies the lengths to the GPU and waits for that, six times a step. On a CPU it
is faster than this one.
Shapes: B batch, S steps, V symbols, L symbols of the longest text, E = 2 L + 1 states: the text with a blank
before, between and after its symbols.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lipnet.models.batch import send
from lipnet.tokenizer import BLANK


def device_ctc_losses(log_probs: Tensor, steps: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """The loss of each clip in nats.

    Args:
        log_probs: (B, S, V) float32 on any device.
        steps: (B,) int64 on the CPU, each clip's valid steps, 1 or more.
        targets: (sum of the lengths,) int64 symbols of all clips, on the device.
        target_lengths: (B,) int64 on the CPU.

    Returns:
        (B,) float32, infinite where a clip's text needs more steps than it has; its gradient is 0.
    """
    losses: Tensor = _Ctc.apply(log_probs, steps, targets, target_lengths)
    return losses


class _Ctc(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, steps: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        device = log_probs.device
        places = _Places.of(steps, lengths, log_probs.shape[1])
        end, last = (send(tensor, device) for tensor in (places.end, places.last))
        states = _states(targets, lengths, device)  # (B, E)
        emitted = log_probs.gather(2, states[:, None].expand(-1, log_probs.shape[1], -1))  # (B, S, E)
        turned = places.on(device)
        forwards, backwards = _path_sums(emitted, turned.turn(emitted), states, turned.turn_states(states))
        ends = forwards.flatten().index_select(0, torch.cat([end, last])).view(2, -1)
        # A text without symbols has one state, in which all its paths end.
        has_symbols = send(lengths > 0, device)
        total = torch.logaddexp(ends[0], ends[1].masked_fill(~has_symbols, -math.inf))  # (B,)
        paths = forwards + turned.turn(backwards) - emitted - total[:, None, None]
        # An infinite loss makes NaN of these.
        has_share = turned.inside & total.isfinite()[:, None, None]
        shares = paths.exp().masked_fill(~has_share, 0.0)
        ctx.save_for_backward(shares, states)
        ctx.symbols = log_probs.shape[2]
        return -total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        shares, states = ctx.saved_tensors
        of_symbols = shares.new_zeros(*shares.shape[:2], ctx.symbols)
        of_symbols.scatter_add_(2, states[:, None].expand_as(shares), shares)
        return -of_symbols * gradient[:, None, None], None, None, None


class _Places(NamedTuple):
    """Where each clip's states are, and where they are if steps and text are read backwards."""

    end: Tensor  # (B,) int64, in B * S * E: the last blank at the last step
    last: Tensor  # (B,) int64, likewise: the last symbol
    frames: Tensor  # (B, S) int64: each step, counted from the clip's last one
    states: Tensor  # (B, E) int64: each state, counted from the clip's last one
    inside: Tensor  # (B, S, E) bool: steps and states that the clip has

    @classmethod
    def of(cls, steps: Tensor, lengths: Tensor, size: int) -> _Places:
        """On the CPU; ``size``: S."""
        count = 2 * int(lengths.max()) + 1
        frames = steps[:, None] - 1 - torch.arange(size)
        states = 2 * lengths[:, None] - torch.arange(count)
        end = (torch.arange(len(steps)) * size + steps - 1) * count + 2 * lengths
        inside = (frames >= 0)[:, :, None] & (states >= 0)[:, None]
        return cls(end, (end - 1).clamp_min(0), frames.clamp_min(0), states.clamp_min(0), inside)

    def on(self, device: torch.device) -> _Places:
        return _Places(*(send(tensor, device) for tensor in self))

    def turn(self, values: Tensor) -> Tensor:
        """(B, S, E) with steps and states of each clip in reverse order; undefined outside of it."""
        values = values.gather(1, self.frames[:, :, None].expand_as(values))
        return values.gather(2, self.states[:, None].expand_as(values))

    def turn_states(self, states: Tensor) -> Tensor:
        return states.gather(1, self.states)


def _states(targets: Tensor, lengths: Tensor, device: torch.device) -> Tensor:
    """The symbol of each state: (B, E) int64 on the device; blanks after the text's end."""
    place = torch.arange(int(lengths.max()))
    inside = place < lengths[:, None]  # (B, L)
    position = torch.where(inside, lengths.cumsum(0)[:, None] - lengths[:, None] + place, 0)
    states = torch.full((len(lengths), 2 * inside.shape[1] + 1), BLANK, device=device)
    if len(targets):
        symbols = targets[send(position, device)]
        states[:, 1::2] = symbols.masked_fill(send(~inside, device), BLANK)
    return states


def _path_sums(
    emitted: Tensor, turned: Tensor, states: Tensor, turned_states: Tensor
) -> tuple[Tensor, Tensor]:
    """The logarithms of the sums over all paths that lead to each state, and from it if both are turned.

    Both recursions run at once: there are few operations, each of them on little data.

    Args:
        emitted, turned: (B, S, E) float32 log-probabilities of each state's symbol.
        states, turned_states: (B, E) int64 symbols.

    Returns:
        Two (B, S, E) float32.
    """
    emissions = torch.cat([emitted, turned]).transpose(0, 1).contiguous()  # (S, 2 B, E)
    symbols = torch.cat([states, turned_states])
    # A blank may be left out between two different symbols.
    may_skip = (symbols[:, 2:] != BLANK) & (symbols[:, 2:] != symbols[:, :-2])
    skip = torch.full(symbols.shape, -math.inf, device=symbols.device)
    skip[:, 2:].masked_fill_(may_skip, 0.0)
    # Two columns before the first state, from which no path comes.
    sums = emissions.new_full((*emissions.shape[:2], emissions.shape[2] + 2), -math.inf)
    sums[0, :, 2:4] = emissions[0, :, :2]
    for step in range(1, len(emissions)):
        before = sums[step - 1]
        reached = torch.logaddexp(before[:, 2:], before[:, 1:-1])
        reached = torch.logaddexp(reached, before[:, :-2] + skip)
        torch.add(reached, emissions[step], out=sums[step, :, 2:])
    forwards, backwards = sums[:, :, 2:].transpose(0, 1).contiguous().chunk(2)
    return forwards, backwards
