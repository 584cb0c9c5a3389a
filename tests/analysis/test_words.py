"""Words of predictions against tables made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lipnet.analysis.words import (
    Bin,
    ReadWord,
    bands,
    calibration_bins,
    read_words,
    spoken,
    time_errors,
    time_summary,
)
from lipnet.data.alignments import Word
from lipnet.data.crop_store import StoredClip
from lipnet.decoding.base import Alignment, Hypothesis
from lipnet.inference.emissions import Emissions
from lipnet.metrics import bootstrap_interval, matched_words
from lipnet.tokenizer import DEFAULT_TOKENIZER

CLIP = StoredClip("s1", "a", 0, 10, 10, "at f", (Word("at", 1, 4), Word("f", 5, 7)))
EMISSIONS = Emissions(np.full((10, DEFAULT_TOKENIZER.vocab_size), -3.0, np.float32), None, 1)


def test_matched_words() -> None:
    assert matched_words("bin blue at f", "bin at s") == [0, 2, None]
    assert matched_words("", "a") == [None] and matched_words("a", "") == []


def test_times_and_confidences_of_words() -> None:
    best = Hypothesis("at s", -1.0, Alignment([2, 4, 5, 6], -1.0))
    first, second = read_words([CLIP], [best], {"s1/a": EMISSIONS}, DEFAULT_TOKENIZER, None)
    assert first == ReadWord("s1/a", "at", pytest.approx(np.exp(-3)), True, 2.0, 5.0, 1, 4)
    assert (second.word, second.right, second.said_start) == ("s", False, None)
    np.testing.assert_array_equal(time_errors([first, second]), [[40.0, 40.0]])
    assert time_errors([]).shape == (0, 2)
    errors = np.array([[-40.0, 0.0], [20.0, 0.0], [80.0, 40.0]])
    assert time_summary(errors) == [("start", 20.0, 40.0, 72.0), ("end", 0.0, 0.0, 32.0)]


def test_no_word_at_all() -> None:
    best = Hypothesis("", -1.0, Alignment([], -1.0))
    assert read_words([CLIP], [best], {"s1/a": EMISSIONS}, DEFAULT_TOKENIZER, None) == []
    assert calibration_bins([]) == []


def test_calibration_bins() -> None:
    words = [ReadWord("c", "a", k / 20, k >= 10, 0, 1) for k in range(20)]
    found = calibration_bins(words[::-1])
    assert len(found) == 10 and found[0] == Bin(pytest.approx(0.025), 0.0, 2)
    assert found[9] == Bin(pytest.approx(0.925), 1.0, 2)
    assert calibration_bins(words[:1]) == [Bin(0.0, 0.0, 1)]


def test_length_and_speed() -> None:
    assert spoken(CLIP) == (0.4, pytest.approx(2 * 25 / 6))
    assert spoken(StoredClip("s1", "a", 0, 10, 10, "at f", ())).speed is None


def test_bands() -> None:
    found = bands([1, 2, 3, 4], [0, 1, 2, 3], [6, 6, 6, 6], 2)
    intervals = [bootstrap_interval(errors, [6, 6]) for errors in ([0, 1], [2, 3])]
    assert found == [(1, 2, 2, 1, 12, intervals[0]), (3, 4, 2, 5, 12, intervals[1])]
    assert found[0].range == "1.00 to 2.00" and found[0]._replace(high=1).range == "1.00"
    assert [band[:5] for band in bands([3, 3, 3], [1, 0, 0], [6, 6, 6])] == [(3, 3, 3, 1, 18)]
    assert bands([], [], []) == []
