"""What a network gives for a batch. Shapes are in the letters of ``lipnet.py``."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


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
