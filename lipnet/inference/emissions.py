"""What every network that reads crops gives, whether PyTorch or ONNX Runtime computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from lipnet.models.metadata import Metadata


class Emissions(NamedTuple):
    """What the network says of one clip of T frames; natural logarithms of probabilities.

    S = T * R steps, V symbols with the blank, K word classes with silence as class 0.
    """

    log_probs: np.ndarray  # (S, V) float32
    word_log_probs: np.ndarray | None  # (T, K) float32; None without word heads
    rate: int  # R, steps a frame

    @property
    def frames(self) -> int:
        return len(self.log_probs) // self.rate

    def part(self, first: int, last: int) -> Emissions:
        """That of the frames from ``first`` to before ``last``."""
        words = None if self.word_log_probs is None else self.word_log_probs[first:last]
        return Emissions(self.log_probs[first * self.rate : last * self.rate], words, self.rate)


class Backend(Protocol):
    """Crops in, emissions out."""

    metadata: Metadata

    def __call__(self, clips: Sequence[np.ndarray]) -> list[Emissions]:
        """``clips``: each (T, H, W, 3) uint8 RGB, of any T of 1 or more."""
        ...
