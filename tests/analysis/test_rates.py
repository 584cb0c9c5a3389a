"""Error rates by group, and the paired bootstrap against an exact distribution."""

from __future__ import annotations

import itertools
from math import factorial

import numpy as np
import pytest

from lipnet.analysis.rates import Place, compare, confused_words, places, rates, rates_by
from lipnet.metrics import bootstrap_interval, paired_bootstrap

TARGETS = ("bin blue at f two now", "lay green by m five please", "set red in a one soon")
TEXTS = ("bin blue at s two now", "lay green by m five please", "set red in a two again soon")


def exact_improvement(a: list[int], b: list[int], totals: list[int]) -> float:
    """The probability that B has the lower rate in a resample, over all multinomial draws."""
    n, probability = len(a), 0.0
    for draw in itertools.product(range(n + 1), repeat=n):
        if sum(draw) != n:
            continue
        weight = factorial(n) / np.prod([factorial(k) for k in draw]) / n**n
        words = np.dot(draw, totals)
        probability += weight * (np.dot(draw, b) / words < np.dot(draw, a) / words)
    return probability


@pytest.mark.parametrize(
    ("a", "b"), [([2, 1, 0, 3], [1, 1, 1, 3]), ([1, 0, 0, 0], [0, 1, 0, 0]), ([3, 3, 3, 3], [0, 0, 0, 0])]
)
def test_paired_bootstrap_against_all_draws(a: list[int], b: list[int]) -> None:
    totals = [6, 6, 5, 6]
    found = paired_bootstrap(a, b, totals)
    assert found.difference == pytest.approx((sum(b) - sum(a)) / 23)
    assert found.improved == pytest.approx(exact_improvement(a, b, totals), abs=0.015)  # 3 standard errors
    low, high = found.interval
    assert low <= found.difference <= high


def test_paired_bootstrap_of_equal_and_of_grouped_systems() -> None:
    same = paired_bootstrap([1, 2, 3], [1, 2, 3], [6, 6, 6])
    assert same == (0.0, (0.0, 0.0), 0.0)
    # One group has one draw only.
    whole = paired_bootstrap([3, 0, 1], [0, 1, 1], [6, 6, 6], ["s1", "s1", "s1"])
    assert whole.improved == 1.0 and whole.interval == pytest.approx((-2 / 18, -2 / 18))


def test_rates_and_intervals() -> None:
    found = rates(TARGETS, TEXTS, ["s1", "s1", "s2"])
    assert (found.counts.word_errors, found.counts.words, found.counts.sentences) == (3, 18, 3)
    assert found.wer == bootstrap_interval([1, 0, 2], [6, 6, 6])
    assert found.wer_by_speaker == bootstrap_interval([1, 2], [12, 6])
    assert rates(TARGETS, TEXTS, ["s1"] * 3).wer_by_speaker is None
    alone = rates(TARGETS[:1], TEXTS[:1])
    assert alone.wer == pytest.approx((1 / 6, 1 / 6))


def test_rates_by_speaker_in_natural_order() -> None:
    found = rates_by(["s10", "s2", "s10"], TARGETS, TEXTS)
    assert list(found) == ["s2", "s10"]
    assert [one.counts.word_errors for one in found.values()] == [0, 3]


def test_places_and_confused_words() -> None:
    found = {place.name: (place.errors, place.words) for place in places(TARGETS, TEXTS)}
    assert found["letter"] == (1, 3) and found["command"] == (0, 3)
    assert sum(errors for errors, _ in found.values()) == 3
    assert places(["a b"], ["a c"]) == [Place(1, 0, 1, (0, 0)), Place(2, 1, 1, (1, 1))]
    of_letters = next(place for place in places(TARGETS, TEXTS) if place.name == "letter")
    assert of_letters.interval == bootstrap_interval([1, 0, 0], [1, 1, 1])
    assert {"said": "f", "read": "s", "times": 1} in confused_words(TARGETS, TEXTS)


def test_comparing_texts() -> None:
    found = compare(TARGETS, TEXTS, TARGETS)
    assert found.difference == pytest.approx(-3 / 18)
    assert found.improved == pytest.approx(1 - 1 / 27, abs=0.01)  # unless only the second clip is drawn
