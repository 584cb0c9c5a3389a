"""Forced alignment: the best CTC path that spells a given text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lipnet.decoding.base import DecodeError, Floats, Integers
from lipnet.tokenizer import BLANK


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
