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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipnet.errors import LipnetError
from lipnet.tokenizer import BLANK, Alphabet

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


def real_steps(log_probs: ArrayLike, lengths: ArrayLike) -> list[Floats]:
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


class GreedyDecoder:
    """The best symbol of each step, repeats merged and blanks dropped; one hypothesis a clip.

    The score is that of this one path. A character's step is the first of its run.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]:
        return [[self._collapse(clip)] for clip in real_steps(log_probs, lengths)]

    def _collapse(self, log_probs: Floats) -> Hypothesis:
        path, score = log_probs.argmax(axis=1), log_probs.max(axis=1)
        previous = np.concatenate(([BLANK], path[:-1]))
        steps = np.flatnonzero((path != BLANK) & (path != previous))
        return Hypothesis(self.alphabet.decode(path[steps]), float(score.sum()), steps.tolist())


def align(log_probs: Floats, labels: Sequence[int]) -> list[int]:
    """Step in which each label starts on the best CTC path; see ``align_spans``."""
    return [first for first, _ in align_spans(log_probs, labels)]


def align_spans(log_probs: Floats, labels: Sequence[int]) -> list[tuple[int, int]]:
    """First and last step of each label on the best CTC path that spells ``labels``.

    ``log_probs``: (S, V), natural log; ``labels``: L indices without blanks. DecodeError if no path of S
    steps spells them: each label takes a step, and a blank must part equal neighbours.
    """
    path, _ = _viterbi(log_probs, labels)
    states = np.arange(1, 2 * len(labels) + 1, 2)
    firsts = np.searchsorted(path, states)  # a path only moves on
    lasts = np.searchsorted(path, states, side="right") - 1
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def path_score(log_probs: Floats, labels: Sequence[int]) -> float:
    """The log-probability of that path; errors as of ``align_spans``."""
    return _viterbi(log_probs, labels)[1]


def _viterbi(log_probs: Floats, labels: Sequence[int]) -> tuple[Integers, float]:
    """The best path as (S,) states, 2 i + 1 being label i and even ones blanks, and its score."""
    # States: blank, label 1, blank, label 2, ..., blank. Per step one may stay, move on by one, or skip
    # the blank between two labels that differ.
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    can_skip = np.zeros(len(states), dtype=bool)
    can_skip[3::2] = states[3::2] != states[1:-2:2]

    scores = np.full(len(states), -np.inf)
    scores[0] = 0.0  # before the first step: as if a blank had been seen
    moves = np.empty((len(log_probs), len(states)), dtype=np.int64)
    for t, step in enumerate(log_probs):
        arrivals = np.full((3, len(states)), -np.inf)  # by staying, by one state, by two
        arrivals[0] = scores
        arrivals[1, 1:] = scores[:-1]
        arrivals[2, 2:] = np.where(can_skip[2:], scores[:-2], -np.inf)
        moves[t] = arrivals.argmax(axis=0)
        scores = arrivals.max(axis=0) + step[states]

    ends = scores[-2:]  # the last label or the blank after it
    if ends.max() == -np.inf:
        raise DecodeError(f"{len(labels)} characters cannot be aligned with {len(log_probs)} steps")
    state = int(len(states) - len(ends) + ends.argmax())
    path = np.empty(len(log_probs), dtype=np.int64)
    for t in range(len(log_probs) - 1, -1, -1):
        path[t] = state
        state -= int(moves[t, state])
    return path, float(ends.max())
