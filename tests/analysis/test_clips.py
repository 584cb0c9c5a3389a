"""Which words are shown with their saliency."""

from __future__ import annotations

from lipnet.analysis.clips import SalientWord, next_word
from lipnet.data.crop_store import StoredClip
from lipnet.decoding.base import WordSpan


def word(speaker: str, clip: str, place: int, score: float = -0.1, first: int = 4) -> SalientWord:
    """A word said in frames 4 to 8, whose path starts in step ``first``."""
    stored = StoredClip(speaker, clip, 0, 75, 75, "", ())
    return SalientWord(stored, WordSpan("x", first, first + 2), (4.0, 9.0), place, score)


def test_the_next_word_is_of_another_place_then_in_time_then_of_another_speaker_then_sure() -> None:
    chosen = [word("s1", "a", 0)]
    best = word("s2", "b", 1, -0.2)
    others = [
        word("s2", "c", 0, 0.0),  # of the same place
        word("s2", "d", 1, 0.0, first=40),  # spelled long after it is said
        word("s1", "e", 1, 0.0),  # of the same speaker
        word("s2", "f", 1, -0.3),  # less sure
    ]
    for number in range(len(others), 0, -1):
        assert next_word([*others[:number], best], chosen, [], 1) == best
    assert next_word(others[:2], chosen, [], 1) == others[1]
    failed = [word("s2", "g", 1)]
    assert next_word([*others, best], chosen, failed, 1) == others[2]


def test_a_path_is_in_time_near_the_word() -> None:
    assert [word("s", "a", 0, first=first).is_in_time(1) for first in (1, 2, 8, 9)] == [
        False,
        True,
        True,
        False,
    ]
    assert word("s", "a", 0, first=16).is_in_time(2)
