"""Word timestamps, by hand."""

from __future__ import annotations

from made_up_emissions import emissions_of, hypothesis, shown

from lipnet.inference.timestamps import word_timestamps


def test_words_are_where_the_heads_see_them() -> None:
    words = shown(("", 12), ("bin", 5), ("blue", 6), ("", 3), ("at", 2), ("f", 4), ("", 9))
    early = hypothesis("bin blue at f", range(13))  # where CTC wrote them does not matter
    times = word_timestamps(early, emissions_of(words, len(words)))
    assert times == [(12, 17), (17, 23), (26, 28), (28, 32)]


def test_a_word_without_a_class_is_where_no_silence_is() -> None:
    words = shown(("", 10), ("bin", 5), ("green", 7), ("", 8))
    times = word_timestamps(hypothesis("bin grean", range(9)), emissions_of(words, len(words)))
    assert times == [(10, 15), (15, 22)]


def test_without_heads_words_are_where_ctc_writes_them() -> None:
    spelled = hypothesis("bin blue", [4, 6, 8, 10, 13, 14, 15, 20])
    assert word_timestamps(spelled, emissions_of(None, 15)) == [(2.0, 4.5), (6.5, 10.5)]
    more_words_than_frames = hypothesis("a b", [0, 1, 2])
    assert word_timestamps(more_words_than_frames, emissions_of(shown(("a", 1)), 1, 4)) == [
        (0, 0.25),
        (0.5, 0.75),
    ]
    assert word_timestamps(hypothesis("", []), emissions_of(shown(("", 9)), 9)) == []
