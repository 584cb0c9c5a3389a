"""From the network's log-probabilities to text: what all decoders share, and greedy search.

Every decoder has one contract. It is called with

- ``log_probs``: (B, S, V), natural logarithms that sum to 1 over V as probabilities, an array of floats or
  a tensor on the CPU, as all of them;
- ``lengths``: int64 (B,), the number of real steps of each clip; the steps behind them are ignored;
- ``word_log_probs``: float32 (B, T, K), the word heads' natural logarithms, if there are any: S is a
  multiple of T. Only the grammar decoder uses them;

and returns for each clip a list of hypotheses, best first and no text twice. V is ``alphabet.size``. A step
is an output of the network: ``model.outputs_per_frame`` make a video frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipnet.errors import LipnetError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class DecodeError(LipnetError):
    """An unknown decoder, or a text that cannot be aligned with a clip."""


@dataclass(frozen=True)
class Hypothesis:
    """What a clip may say: ``score`` is a natural log-probability, ``steps[i]`` where character i starts."""

    text: str
    score: float
    steps: list[int]


class Decoder(Protocol):
    """What every decoder is (the contract stands at the top of this file)."""

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]: ...


class WordSpan(NamedTuple):
    """A word and the steps, both inclusive, in which its first and last character start."""

    word: str
    first: int
    last: int


def unpad(log_probs: ArrayLike, lengths: ArrayLike) -> list[Floats]:
    """Each clip's (S, V) of a padded batch (B, S, V), in double precision."""
    clips = np.asarray(log_probs, dtype=np.float64)
    return [clip[:length] for clip, length in zip(clips, np.asarray(lengths), strict=True)]


def word_spans(hypothesis: Hypothesis) -> list[WordSpan]:
    """Split a hypothesis at its spaces."""
    spans = []
    start = 0
    for word in hypothesis.text.split(" "):
        if word:
            steps = hypothesis.steps[start : start + len(word)]
            spans.append(WordSpan(word, steps[0], steps[-1]))
        start += len(word) + 1
    return spans
