"""The errors of an evaluation, counted for its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lipnet.grid import GRAMMAR, is_grid_sentence
from lipnet.metrics import WordErrors, aligned_pairs

LETTERS = next(list(slot.words) for slot in GRAMMAR if slot.name == "letter")
MAX_CHARACTERS = 27  # of a large alphabet, the most frequent ones are shown
MAX_POSITIONS = 12  # words of long sentences

Texts = Sequence[tuple[str, str]]  # target and prediction of each clip


def is_grid(texts: Texts) -> bool:
    """Whether all targets are GRID sentences."""
    return all(is_grid_sentence(target.split()) for target, _ in texts)


def letter_confusions(texts: Texts) -> tuple[list[str], np.ndarray]:
    """How often each letter was read as each other one.

    Of GRID sentences: the spoken letters, which are words of their own. Of other texts: all characters.

    Returns:
        N labels, and (N, N + 1) int64 counts: target x prediction. The last column counts what was read as
        none of the N, or not at all.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    if is_grid(texts):
        labels = LETTERS
        for target, prediction in texts:
            pairs.update(aligned_pairs(target.split(), prediction.split()))
    else:
        for target, prediction in texts:
            pairs.update(aligned_pairs(target, prediction))
        frequencies = Counter("".join(target for target, _ in texts))
        labels = sorted(label for label, _ in frequencies.most_common(MAX_CHARACTERS))
    places = {label: place for place, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels) + 1), np.int64)
    for (expected, found), count in pairs.items():
        if expected in places:
            counts[places[expected], places.get(found, len(labels))] += count
    return labels, counts


def slot_errors(texts: Texts) -> tuple[list[str], list[int], list[int]]:
    """Word errors by position in the target: its name (the slot of a GRID sentence), errors, words."""
    counted = WordErrors()
    for target, prediction in texts:
        counted.add(target, prediction)
    positions = [position for position in sorted(counted.words)[:MAX_POSITIONS] if counted.words[position]]
    names = [slot.name for slot in GRAMMAR] if is_grid(texts) else [f"word {p + 1}" for p in positions]
    errors = [counted.errors[position] for position in positions]
    return names[: len(positions)], errors, [counted.words[position] for position in positions]
