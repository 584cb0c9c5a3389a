"""Error rates of predictions: with their intervals, by speaker, by place in the sentence, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lipnet.grid import GRAMMAR, is_grid_sentence, natural_key
from lipnet.metrics import ErrorCounts, PairedDifference, WordErrors, bootstrap_interval, paired_bootstrap

Interval = tuple[float, float]  # fractions: lower and upper bound of a 95 % bootstrap interval
CONFUSIONS = 10  # pairs of confused words


@dataclass(frozen=True)
class Rates:
    """The error rates of some clips, and their 95 % intervals."""

    counts: ErrorCounts
    wer: Interval
    cer: Interval
    wer_by_speaker: Interval | None = None  # of draws of whole speakers; None with one speaker


class Place(NamedTuple):
    """The word errors at one place of the sentences."""

    name: str | int  # GRID's slot, or the position from 1
    errors: int
    words: int
    interval: Interval  # of the error rate, by draws of sentences


def counts_of(targets: Sequence[str], texts: Sequence[str]) -> list[ErrorCounts]:
    """The errors of each sentence."""
    counts = []
    for target, text in zip(targets, texts, strict=True):
        counts.append(ErrorCounts())
        counts[-1].add(target, text)
    return counts


def rates(targets: Sequence[str], texts: Sequence[str], speakers: Sequence[str] | None = None) -> Rates:
    """The error rates of one or more sentences, ``speakers``: of each, if they are known."""
    counts = counts_of(targets, texts)
    word_errors, words = [one.word_errors for one in counts], [one.words for one in counts]
    by_speaker = None
    if speakers is not None and len(set(speakers)) > 1:
        by_speaker = bootstrap_interval(word_errors, words, speakers)
    return Rates(
        sum(counts, ErrorCounts()),
        bootstrap_interval(word_errors, words),
        bootstrap_interval([one.character_errors for one in counts], [one.characters for one in counts]),
        by_speaker,
    )


def rates_by(groups: Sequence[str], targets: Sequence[str], texts: Sequence[str]) -> dict[str, Rates]:
    """The error rates of the sentences of each group, such as their speaker, in natural order."""
    result = {}
    for group in sorted(set(groups), key=natural_key):
        own = [i for i, other in enumerate(groups) if other == group]
        result[group] = rates([targets[i] for i in own], [texts[i] for i in own])
    return result


def compare(
    targets: Sequence[str],
    texts_a: Sequence[str],
    texts_b: Sequence[str],
    speakers: Sequence[str] | None = None,
) -> PairedDifference:
    """The word error rate of B against that of A; with ``speakers``, whole speakers are drawn."""
    a, b = counts_of(targets, texts_a), counts_of(targets, texts_b)
    return paired_bootstrap(
        [one.word_errors for one in a], [one.word_errors for one in b], [one.words for one in a], speakers
    )


def interval_line(rates: Rates) -> str:
    """``95 % intervals: WER 1.2 to 3.4 %, CER 0.5 to 1.5 % (bootstrap over clips)``."""
    shown = [
        f"{name} {100 * low:.1f} to {100 * high:.1f} %"
        for name, (low, high) in (("WER", rates.wer), ("CER", rates.cer))
    ]
    return f"95 % intervals: {', '.join(shown)} (bootstrap over clips)"


def places(targets: Sequence[str], texts: Sequence[str]) -> list[Place]:
    """Word errors by place: GRID's slots if all targets are GRID sentences, else positions."""
    each = [_word_errors([target], [text]) for target, text in zip(targets, texts, strict=True)]
    is_grid = all(is_grid_sentence(target.split()) for target in targets)
    result = []
    for i in range(max((len(one.words) for one in each), default=0)):
        errors, words = [one.errors[i] for one in each], [one.words[i] for one in each]
        name = GRAMMAR[i].name if is_grid else i + 1
        result.append(Place(name, sum(errors), sum(words), bootstrap_interval(errors, words)))
    return result


def confused_words(targets: Sequence[str], texts: Sequence[str]) -> list[dict[str, Any]]:
    """The CONFUSIONS most frequent word errors: said, read (one is empty: inserted, left out) and times."""
    return [
        {"said": target, "read": prediction, "times": times}
        for (target, prediction), times in _word_errors(targets, texts).confusions.most_common(CONFUSIONS)
    ]


def _word_errors(targets: Sequence[str], texts: Sequence[str]) -> WordErrors:
    errors = WordErrors()
    for target, text in zip(targets, texts, strict=True):
        errors.add(target, text)
    return errors
