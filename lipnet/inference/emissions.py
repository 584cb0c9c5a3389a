"""Network outputs of one clip, and the interface of every backend that computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from lipnet.cropping.landmarks import LANDMARK_INPUTS
from lipnet.models.metadata import Metadata

# Threads and GPU contexts do not exist in a forked child.
FORKED = (
    "cannot be used in a forked process; start it by spawn "
    '(multiprocessing.get_context("spawn")), and load the reader in it'
)


class Emissions(NamedTuple):
    """Natural log-probabilities for one clip of T frames.

    S = T * R steps, V symbols including the blank, K word classes, of which class 0 is silence.
    """

    log_probs: np.ndarray  # (S, V) float32: symbols of each step
    word_log_probs: np.ndarray | None  # (T, K) float32: word classes of each frame; None without word heads
    steps_per_frame: int  # R

    @property
    def frames(self) -> int:
        """T."""
        return len(self.log_probs) // self.steps_per_frame

    def cut(self, first: int, last: int) -> Emissions:
        """The emissions of the frames from ``first`` to before ``last``."""
        words = None if self.word_log_probs is None else self.word_log_probs[first:last]
        steps = slice(first * self.steps_per_frame, last * self.steps_per_frame)
        return Emissions(self.log_probs[steps], words, self.steps_per_frame)


class Backend(Protocol):
    """A network with its weights, whatever library computes it: crops in, emissions out."""

    metadata: Metadata

    def __call__(
        self, clips: Sequence[np.ndarray], landmarks: Sequence[np.ndarray | None] | None = None
    ) -> list[Emissions]:
        """The emissions of clips, computed as one batch.

        Args:
            clips: the crops of each, (T, H, W, 3) uint8 RGB with any T of 1 or more.
            landmarks: what the network reads of each clip's landmarks, (T, F) float32 (`clip_features`), or
                None where they are unknown; not used by a network that reads pixels only. None: all are
                unknown.
        """
        ...


def pad_landmarks(
    landmarks: Sequence[np.ndarray | None] | None, lengths: Sequence[int], kind: str = "features"
) -> np.ndarray:
    """What a network reads of clips' landmarks as a padded batch: (B, T, F) float32, NaN where unknown.

    Args:
        landmarks: as of a `Backend`.
        lengths: the clips' frames.
        kind: one of LANDMARK_INPUTS.
    """
    padded = np.full((len(lengths), max(lengths), LANDMARK_INPUTS[kind].size), np.nan, np.float32)
    for row, features in zip(padded, landmarks or [], strict=False):
        if features is not None:
            row[: len(features)] = features
    return padded


def split_batch(
    log_probs: np.ndarray, word_log_probs: np.ndarray | None, lengths: Sequence[int], steps_per_frame: int
) -> list[Emissions]:
    """The emissions of each clip of a padded batch.

    Args:
        log_probs: (B, S, V) float32.
        word_log_probs: (B, T, K) float32; None without word heads.
        lengths: the clips' frames.
    """
    return [
        Emissions(
            log_probs[i, : steps_per_frame * n],
            None if word_log_probs is None else word_log_probs[i, :n],
            steps_per_frame,
        )
        for i, n in enumerate(lengths)
    ]
