"""Character, word and sentence error rates over a corpus, with the counts behind them.

A rate is the sum of all edit distances divided by the sum of all target lengths. It is not the mean of the
sentences' rates, which some papers report under the same name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

RESAMPLES = 10_000  # of the bootstrap


@dataclass
class ErrorCounts:
    """Errors (insertions, deletions and substitutions) and target lengths, summed over sentences."""

    character_errors: int = 0
    characters: int = 0
    word_errors: int = 0
    words: int = 0
    sentence_errors: int = 0
    sentences: int = 0

    def add(self, target: str, prediction: str) -> None:
        """Count one sentence. Spaces count as characters; words are what is between spaces."""
        target_words = target.split()
        self.character_errors += Levenshtein.distance(target, prediction)
        self.characters += len(target)
        self.word_errors += Levenshtein.distance(target_words, prediction.split())
        self.words += len(target_words)
        self.sentence_errors += target != prediction
        self.sentences += 1

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            self.character_errors + other.character_errors,
            self.characters + other.characters,
            self.word_errors + other.word_errors,
            self.words + other.words,
            self.sentence_errors + other.sentence_errors,
            self.sentences + other.sentences,
        )

    @property
    def cer(self) -> float:
        """Character error rate as a fraction; insertions can raise it above 1."""
        return _rate(self.character_errors, self.characters)

    @property
    def wer(self) -> float:
        """Word error rate as a fraction; insertions can raise it above 1."""
        return _rate(self.word_errors, self.words)

    @property
    def ser(self) -> float:
        """Fraction of sentences with at least one error."""
        return _rate(self.sentence_errors, self.sentences)

    def summary(self, decoder: str) -> str:
        """One line: ``WER 13.3 % (3180/23916 words) CER 6.7 % (...) 3986 clips, greedy``."""
        return (
            f"WER {100 * self.wer:.1f} % ({self.word_errors}/{self.words} words) "
            f"CER {100 * self.cer:.1f} % ({self.character_errors}/{self.characters} characters) "
            f"{self.sentences} clips, {decoder}"
        )


@dataclass
class WordErrors:
    """Word errors by position in the target sentence, and by pair of confused words.

    Inserted words count at the position of the next target word, or of the last one at the end.

    Attributes:
        words: position from 0 -> number of target words.
        errors: position -> number of errors.
        confusions: (target word, predicted word) -> number of times; "" for insertions and deletions.
    """

    words: Counter[int] = field(default_factory=Counter)
    errors: Counter[int] = field(default_factory=Counter)
    confusions: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, target: str, prediction: str) -> None:
        """Count the words of one sentence along an alignment with the fewest edits."""
        expected, predicted = target.split(), prediction.split()
        self.words.update(range(len(expected)))
        for edit in Levenshtein.editops(expected, predicted):
            self.errors[min(edit.src_pos, max(len(expected) - 1, 0))] += 1
            old = "" if edit.tag == "insert" else expected[edit.src_pos]
            new = "" if edit.tag == "delete" else predicted[edit.dest_pos]
            self.confusions[old, new] += 1


def bootstrap_interval(
    errors: Sequence[int], totals: Sequence[int], groups: Sequence[str] | None = None
) -> tuple[float, float]:
    """The 95 % bootstrap interval of an error rate, as fractions.

    The percentile interval (Efron 1979; for error rates Bisani and Ney 2004) of RESAMPLES rates, each of as
    many sentences drawn with replacement. The draws are the same in every call.

    Args:
        errors: of each sentence, one or more.
        totals: its words or characters.
        groups: of each sentence, such as its speaker: whole groups are drawn, which says how far the rate
            holds for other speakers. None: each sentence by itself.
    """
    [rates] = _resampled_rates([errors], totals, groups)
    low, high = np.percentile(rates, (2.5, 97.5))
    return float(low), float(high)


class PairedDifference(NamedTuple):
    """How much higher the error rate of B is than that of A on the same sentences."""

    difference: float  # rate of B minus rate of A, as a fraction
    interval: tuple[float, float]  # its 95 % bootstrap interval
    improved: float  # fraction of the resamples in which B has the lower rate


def paired_bootstrap(
    errors_a: Sequence[int],
    errors_b: Sequence[int],
    totals: Sequence[int],
    groups: Sequence[str] | None = None,
) -> PairedDifference:
    """Compare two systems on the same sentences, which are drawn together (Bisani and Ney 2004).

    Args:
        errors_a: of A in each sentence.
        errors_b: of B in the same sentences.
        totals: words or characters of each.
        groups: as of `bootstrap_interval`.
    """
    rates_a, rates_b = _resampled_rates([errors_a, errors_b], totals, groups)
    low, high = np.percentile(rates_b - rates_a, (2.5, 97.5))
    difference = (sum(errors_b) - sum(errors_a)) / max(sum(totals), 1)
    return PairedDifference(difference, (float(low), float(high)), float((rates_b < rates_a).mean()))


def _resampled_rates(
    errors: Sequence[Sequence[int]], totals: Sequence[int], groups: Sequence[str] | None
) -> list[np.ndarray]:
    """(RESAMPLES,) error rates of each system, all of the same draws; arguments as `paired_bootstrap`."""
    _, index = np.unique(np.arange(len(totals)) if groups is None else groups, return_inverse=True)
    table = np.stack([np.bincount(index, counts) for counts in (*errors, totals)], axis=1)  # (G, systems + 1)
    drawn = np.random.default_rng(0).multinomial(len(table), np.full(len(table), 1 / len(table)), RESAMPLES)
    *resampled, words = (drawn @ table).T  # (RESAMPLES,) each
    return [one / np.maximum(words, 1) for one in resampled]


def aligned_pairs(target: Sequence[str], prediction: Sequence[str]) -> list[tuple[str, str]]:
    """(target symbol, predicted symbol) along an alignment with the fewest edits.

    "" stands for the symbol that an insertion has not in the target, or a deletion not in the prediction.
    """
    pairs: list[tuple[str, str]] = []
    for edit in Levenshtein.opcodes(target, prediction):
        old, new = target[edit.src_start : edit.src_end], prediction[edit.dest_start : edit.dest_end]
        pairs += zip_longest(old, new, fillvalue="")
    return pairs


def words_right(target: str, prediction: str) -> list[bool]:
    """For each word of the prediction whether it is correct, along an alignment with the fewest edits."""
    return [place is not None for place in matched_words(target, prediction)]


def matched_words(target: str, prediction: str) -> list[int | None]:
    """For each word of the prediction its position in the target, None if it is wrong; as `words_right`."""
    expected, predicted = target.split(), prediction.split()
    matched: list[int | None] = [None] * len(predicted)
    for block in Levenshtein.opcodes(expected, predicted):
        if block.tag == "equal":
            matched[block.dest_start : block.dest_end] = range(block.src_start, block.src_end)
    return matched


def _rate(errors: int, total: int) -> float:
    """``errors / total``; for empty targets 0 without errors and 1 with errors."""
    return errors / total if total else float(errors > 0)
