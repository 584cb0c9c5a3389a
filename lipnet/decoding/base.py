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
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipnet.errors import LipnetError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class DecodeError(LipnetError):
    """An unknown decoder, or a text that cannot be aligned with a clip."""


class Alignment(NamedTuple):
    """The most probable CTC path that spells a text."""

    starts: list[int]  # step in which each character starts
    score: float  # natural log-probability of the path


class WordSpan(NamedTuple):
    """A word and the steps, both inclusive, in which its first and its last character start."""

    word: str
    first: int
    last: int


@dataclass(frozen=True)
class Hypothesis:
    """One possible transcript of a clip. Only the best hypothesis of a clip is aligned.

    Attributes:
        text: the transcript.
        score: natural log-probability by which the decoder ranks it.
        alignment: of the text with the clip's emissions; None for all hypotheses but the best.
    """

    text: str
    score: float
    alignment: Alignment | None = None

    @property
    def steps(self) -> list[int]:
        """Step in which each character starts. DecodeError without an alignment."""
        return self._aligned().starts

    @property
    def path_score(self) -> float:
        """Natural log-probability of the best CTC path of the text. DecodeError without an alignment."""
        return self._aligned().score

    @cached_property
    def words(self) -> tuple[WordSpan, ...]:
        """The words, split at spaces, with their steps. DecodeError without an alignment."""
        spans = []
        start = 0
        for word in self.text.split(" "):
            if word:
                spans.append(WordSpan(word, self.steps[start], self.steps[start + len(word) - 1]))
            start += len(word) + 1
        return tuple(spans)

    def _aligned(self) -> Alignment:
        if self.alignment is None:
            raise DecodeError(f"{self.text!r} is not aligned: only the best hypothesis of a clip is")
        return self.alignment


class Decoder(Protocol):
    """What every decoder is (the contract stands at the top of this file)."""

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]: ...


def unpad(log_probs: ArrayLike, lengths: ArrayLike) -> list[Floats]:
    """Each clip's (S, V) of a padded batch (B, S, V), in double precision."""
    clips = np.asarray(log_probs, dtype=np.float64)
    return [clip[:length] for clip, length in zip(clips, np.asarray(lengths), strict=True)]
