"""Confusion matrices: which letters, phonemes or visemes are read as which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lipnet.analysis.phonemes import PHONEMES, VISEMES, sentence_phonemes, sentence_visemes
from lipnet.metrics import aligned_pairs
from lipnet.training.tensorboard.errors import is_grid, letter_confusions

NOTHING = "∅"  # in a row: inserted; in a column: deleted
SPACE = "␣"


class Confusion(NamedTuple):
    """How often each symbol was read as which symbol, along alignments with the fewest edits."""

    symbols: tuple[str, ...]  # N symbols, the last one NOTHING
    counts: np.ndarray  # (N, N) int64: target symbol, predicted symbol
    left_out: int = 0  # sentences with a word whose symbols are not known

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return int(self.counts.sum() - np.trace(self.counts))

    @property
    def rate(self) -> float:
        """Errors over target symbols; 0 without any."""
        return self.errors / max(int(self.counts[:-1].sum()), 1)

    @property
    def shares(self) -> np.ndarray:
        """(N, N) float64: the counts over the sum of their row; 0 in a row without any."""
        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)

    def most_confused(self, count: int) -> list[int]:
        """The places, in their order, of at most ``count`` symbols: those in most errors, and NOTHING."""
        errors = self.counts * (1 - np.eye(len(self.symbols), dtype=np.int64))
        involved = errors.sum(axis=0) + errors.sum(axis=1)
        involved[-1] = involved.sum() + 1
        return sorted(np.argsort(-involved, kind="stable")[:count].tolist())

    def most_common(self, count: int) -> list[tuple[str, str, int]]:
        """The most frequent errors: target symbol, predicted symbol, number of times."""
        errors = self.counts * (1 - np.eye(len(self.symbols), dtype=np.int64))
        order = np.argsort(-errors, axis=None, kind="stable")[:count]
        places = [divmod(int(place), len(self.symbols)) for place in order]
        return [(self.symbols[i], self.symbols[j], int(errors[i, j])) for i, j in places if errors[i, j]]


def spoken_letter_confusion(targets: Sequence[str], texts: Sequence[str]) -> Confusion | None:
    """Of the letters that GRID sentences spell, words of their own; None if a target is no GRID sentence.

    What was read as no letter counts as NOTHING.
    """
    pairs = list(zip(targets, texts, strict=True))
    if not is_grid(pairs):
        return None
    labels, counts = letter_confusions(pairs)
    return Confusion((*labels, NOTHING), np.pad(counts, ((0, 1), (0, 0))))


def letter_confusion(targets: Sequence[str], texts: Sequence[str]) -> Confusion:
    """Of the characters of sentences. Its errors are those of the character error rate."""
    found = sorted(set("".join([*targets, *texts])) - {" "})
    return _confusion(targets, texts, lambda text: list(text.replace(" ", SPACE)), (*found, SPACE))


def phoneme_confusion(targets: Sequence[str], texts: Sequence[str]) -> Confusion:
    """Of the phonemes of sentences, those of one viseme beside each other."""
    return _confusion(targets, texts, sentence_phonemes, PHONEMES)


def viseme_confusion(targets: Sequence[str], texts: Sequence[str]) -> Confusion:
    """Of the viseme classes of sentences."""
    return _confusion(targets, texts, sentence_visemes, tuple(VISEMES))


def _confusion(
    targets: Sequence[str],
    texts: Sequence[str],
    split: Callable[[str], list[str] | None],
    alphabet: Sequence[str],
) -> Confusion:
    """``split``: a sentence -> its symbols, or None if they are not known. Unused symbols are left out."""
    symbols = (*alphabet, NOTHING)
    index = {symbol: i for i, symbol in enumerate(symbols)} | {"": len(symbols) - 1}
    counts = np.zeros((len(symbols), len(symbols)), np.int64)
    left_out = 0
    for target, text in zip(targets, texts, strict=True):
        expected, predicted = split(target), split(text)
        if expected is None or predicted is None:
            left_out += 1
            continue
        for old, new in aligned_pairs(expected, predicted):
            counts[index[old], index[new]] += 1
    used = np.flatnonzero(
        (counts.sum(axis=0) + counts.sum(axis=1) > 0) | (np.arange(len(symbols)) == index[""])
    )
    return Confusion(tuple(symbols[i] for i in used), counts[np.ix_(used, used)], left_out)
