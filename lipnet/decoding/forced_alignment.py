"""Forced alignment: the most probable CTC path that spells a given text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lipnet.decoding.base import Alignment, DecodeError, Floats, Hypothesis, Integers
from lipnet.tokenizer import BLANK, Tokenizer


def align(log_probs: Floats, labels: Sequence[int]) -> Alignment:
    """Starts of the labels on the best CTC path that spells them, and the path's log-probability.

    Args:
        log_probs: (S, V), natural logarithms.
        labels: L indices without blanks.

    Raises:
        DecodeError: no path of S steps spells the labels. Each label takes a step, and two equal neighbours
            need a blank between them.
    """
    path, score = _best_path(log_probs, labels)
    return Alignment(np.searchsorted(path, _states(labels)).tolist(), score)  # states never decrease


def align_spans(log_probs: Floats, labels: Sequence[int]) -> list[tuple[int, int]]:
    """First and last step of each label on the path of ``align``; same arguments and errors."""
    path, _ = _best_path(log_probs, labels)
    states = _states(labels)
    firsts = np.searchsorted(path, states)
    lasts = np.searchsorted(path, states, side="right") - 1
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def aligned_symbols(log_probs: Floats, labels: Sequence[int]) -> Integers:
    """The symbol (S,) of each step on the path of ``align``; same arguments and errors."""
    path, _ = _best_path(log_probs, labels)
    symbols = np.full(2 * len(labels) + 1, BLANK)
    symbols[1::2] = labels
    return symbols[path]


def ranked_hypotheses(
    log_probs: Floats, ranking: Iterable[tuple[str, float]], tokenizer: Tokenizer
) -> list[Hypothesis]:
    """Hypotheses of (text, score) pairs, best first, of which the first is aligned with the (S, V) log-probs.

    Without any pair, the one hypothesis is the empty text with a score of -inf.
    """
    (text, score), *others = list(ranking) or [("", -np.inf)]
    best = Hypothesis(text, score, align(log_probs, tokenizer.encode(text)))
    return [best, *(Hypothesis(*other) for other in others)]


def _states(labels: Sequence[int]) -> Integers:
    """The state of each label: 2 i + 1 for label i."""
    return np.arange(1, 2 * len(labels) + 1, 2)


def _best_path(log_probs: Floats, labels: Sequence[int]) -> tuple[Integers, float]:
    """The best path as (S,) states and its score, by the Viterbi algorithm; even states are blanks."""
    # States: blank, label 1, blank, label 2, ..., blank. A step stays in its state, goes to the next one, or
    # skips the blank between two different labels.
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    can_skip = np.zeros(len(states), dtype=bool)
    can_skip[3::2] = states[3::2] != states[1:-2:2]

    scores = np.full(len(states), -np.inf)
    scores[0] = 0.0  # before the first step: in the first blank
    moves = np.empty((len(log_probs), len(states)), dtype=np.int64)
    for t, step in enumerate(log_probs):
        arrivals = np.full((3, len(states)), -np.inf)  # from the same state, the last one, the one before it
        arrivals[0] = scores
        arrivals[1, 1:] = scores[:-1]
        arrivals[2, 2:] = np.where(can_skip[2:], scores[:-2], -np.inf)
        moves[t] = arrivals.argmax(axis=0)
        scores = arrivals.max(axis=0) + step[states]

    ends = scores[-2:]  # the last label or the blank after it
    if labels and ends.max() == -np.inf:
        raise DecodeError(f"{len(labels)} characters cannot be aligned with {len(log_probs)} steps")
    state = int(len(states) - len(ends) + ends.argmax())
    path = np.empty(len(log_probs), dtype=np.int64)
    for t in range(len(log_probs) - 1, -1, -1):
        path[t] = state
        state -= int(moves[t, state])
    return path, float(ends.max())
