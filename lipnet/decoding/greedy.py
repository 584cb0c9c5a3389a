"""CTC greedy search."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lipnet.decoding.base import Alignment, Floats, Hypothesis, unpad
from lipnet.tokenizer import BLANK, Tokenizer


class GreedyDecoder:
    """The most probable symbol of each step, repeats merged and blanks removed (best path decoding).

    Returns one hypothesis a clip. Its score is the log-probability of the path.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]:
        return [[self._decode(clip)] for clip in unpad(log_probs, lengths)]

    def _decode(self, log_probs: Floats) -> Hypothesis:
        path, score = log_probs.argmax(axis=1), float(log_probs.max(axis=1).sum())
        previous = np.concatenate(([BLANK], path[:-1]))
        starts = np.flatnonzero((path != BLANK) & (path != previous))
        # The most probable of all paths is also the most probable of those that spell its text.
        return Hypothesis(self.tokenizer.decode(path[starts]), score, Alignment(starts.tolist(), score))
