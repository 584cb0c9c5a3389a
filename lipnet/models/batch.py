"""A padded batch: which of its frames are valid, and what a network gives for it.

Shapes are in the letters of ``lipnet.py``; N is the number of valid frames of all clips.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Padding(NamedTuple):
    """The valid (unpadded) frames of a batch.

    Their positions are worked out on the CPU, once for all layers: an index that a layer made of a mask on a
    GPU would have to be waited for, since its size depends on the values.
    """

    mask: Tensor | None  # (B, T) bool on the device: valid frames; None: all are
    frames: Tensor  # (N,) int64 on the device: positions of the valid ones in B * T frames, clip by clip
    packed: Tensor  # (N,) int64 on the device: the same, frame by frame, the longest clip first
    clips: Tensor  # (longest clip,) int64 on the CPU: how many clips have each frame

    @classmethod
    def of(cls, lengths: Tensor, frames: int, device: torch.device) -> Padding:
        """Of clips with ``lengths``, (B,) int64 on the CPU and 1 or more, padded to ``frames``."""
        valid = torch.arange(frames)[None, :] < lengths[:, None]  # (B, T)
        order = torch.sort(lengths, descending=True).indices
        frame, place = valid[order].T.nonzero(as_tuple=True)
        on_device = [
            None if tensor is None else send(tensor, device)
            for tensor in (
                None if bool(valid.all()) else valid,
                valid.flatten().nonzero()[:, 0],
                order[place] * frames + frame,
            )
        ]
        mask, positions, packed = on_device
        assert positions is not None and packed is not None
        return cls(mask, positions, packed, valid.sum(0)[: int(lengths.max())])


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device, which is not waited for.

    From page-locked memory: else a large one would be copied before the call returns.
    """
    if device.type == "cuda" and torch.cuda.is_available():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


class _Take(torch.autograd.Function):
    """Some of the frames, none of them twice.

    PyTorch's own gradient adds, since an index may occur twice, which a GPU does slowly in bfloat16.
    """

    @staticmethod
    def forward(ctx: Any, frames: Tensor, positions: Tensor) -> Tensor:
        ctx.save_for_backward(positions)
        ctx.count = len(frames)
        return frames.index_select(0, positions)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (positions,) = ctx.saved_tensors
        return put(gradient, positions, ctx.count), None


def take(frames: Tensor, positions: Tensor) -> Tensor:
    """The frames, (B * T, ...), at ``positions``, (N,) int64 without repetition -> (N, ...)."""
    taken: Tensor = _Take.apply(frames, positions)
    return taken


def put(taken: Tensor, positions: Tensor, count: int) -> Tensor:
    """The reverse of `take`: (N, ...) -> (count, ...), 0 elsewhere."""
    return taken.new_zeros((count, *taken.shape[1:])).index_copy(0, positions, taken)


class Output(NamedTuple):
    """The network's output for a batch."""

    log_probs: Tensor  # (B, T * R, V) float32, natural log; symbol 0 is the CTC blank
    lengths: Tensor  # (B,) int64 on the CPU: each clip's valid (unpadded) steps of the T * R
    word_logits: list[Tensor]  # (B, T, K) float32 for each recurrent layer; class 0 is silence
    streams: tuple[Output, ...] = ()  # in training with late fusion: the outputs of each network

    @property
    def word_log_probs(self) -> Tensor | None:
        """(B, T, K) float32, the mean of the layers' log-probabilities; None without word heads."""
        if not self.word_logits:
            return None
        return torch.stack([logits.log_softmax(-1) for logits in self.word_logits]).mean(0)
