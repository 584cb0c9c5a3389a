"""CTC greedy search."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lipnet.decoding.base import Floats, Hypothesis, unpad
from lipnet.tokenizer import BLANK, Tokenizer


class GreedyDecoder:
    """The best symbol of each step, repeats merged and blanks dropped; one hypothesis a clip.

    The score is that of this one path. A character's step is the first of its run.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]:
        return [[self._collapse(clip)] for clip in unpad(log_probs, lengths)]

    def _collapse(self, log_probs: Floats) -> Hypothesis:
        path, score = log_probs.argmax(axis=1), log_probs.max(axis=1)
        previous = np.concatenate(([BLANK], path[:-1]))
        steps = np.flatnonzero((path != BLANK) & (path != previous))
        return Hypothesis(self.tokenizer.decode(path[steps]), float(score.sum()), steps.tolist())
