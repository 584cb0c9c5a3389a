"""CTC greedy search."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lipnet.decoding.base import Alignment, Floats, Hypothesis, unpad
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
        path, score = log_probs.argmax(axis=1), float(log_probs.max(axis=1).sum())
        previous = np.concatenate(([BLANK], path[:-1]))
        steps = np.flatnonzero((path != BLANK) & (path != previous))
        # The best path of all is also the best of those that spell its text.
        return Hypothesis(self.tokenizer.decode(path[steps]), score, Alignment(steps.tolist(), score))
