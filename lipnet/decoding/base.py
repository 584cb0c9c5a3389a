"""The interface of all decoders: CTC log-probabilities in, ranked hypotheses out."""

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
    """An unknown decoder, an unreadable grammar or dictionary, or a text that cannot be aligned."""


class Alignment(NamedTuple):
    """The most probable CTC path of a text."""

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
        """Step in which each character starts. Raises DecodeError without an alignment."""
        return self._aligned().starts

    @property
    def path_score(self) -> float:
        """Natural log-probability of the text's best CTC path. Raises DecodeError without an alignment."""
        return self._aligned().score

    @cached_property
    def words(self) -> tuple[WordSpan, ...]:
        """The words, split at spaces, with their steps. Raises DecodeError without an alignment."""
        starts = self._aligned().starts
        spans = []
        position = 0  # of the word's first character in the text
        for word in self.text.split(" "):
            if word:
                spans.append(WordSpan(word, starts[position], starts[position + len(word) - 1]))
            position += len(word) + 1
        return tuple(spans)

    def _aligned(self) -> Alignment:
        if self.alignment is None:
            raise DecodeError(f"{self.text!r} is not aligned: only the best hypothesis of a clip is")
        return self.alignment


class Decoder(Protocol):
    """Turns the emissions of a batch of clips into hypotheses."""

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]:
        """Decode a padded batch. All arguments are arrays or CPU tensors.

        Args:
            log_probs: float (B, S, V), natural logarithms of probabilities that sum to 1 over the V symbols
                (``Tokenizer.vocab_size``). A video frame has ``model.outputs_per_frame`` steps.
            lengths: int (B,), number of valid steps of each clip; the steps after them are padding.
            word_log_probs: float (B, T, K), natural log-probabilities of the word heads, if the network has
                them; S is a multiple of T. Only the grammar decoder uses them.

        Returns:
            For each clip a non-empty list of hypotheses with distinct texts, best first.
        """
        ...


def unpad(log_probs: ArrayLike, lengths: ArrayLike) -> list[Floats]:
    """The valid steps of each clip of a padded batch: (B, S, V) -> B arrays (length, V), float64."""
    clips = np.asarray(log_probs, dtype=np.float64)
    return [clip[:length] for clip, length in zip(clips, np.asarray(lengths), strict=True)]
