"""The GRID corpus: its grammar, its files, its alignments and its splits.

A clip's id spells its sentence, one character a slot (``bbaf2n`` = bin blue at f two now). A corpus of
one's own works too: ids that spell nothing, with an ``ID.align`` or a plain ``ID.txt`` transcript each.
A clip is named ``SPEAKER/ID`` throughout, where SPEAKER is the clip's folder below the corpus' root.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

FRAME_RATE = 25.0  # frames/s of the corpus; alignments count in these frames whatever the video's own rate


@dataclass(frozen=True)
class Slot:
    """One position of a GRID sentence: the id's character -> the word."""

    name: str
    words: dict[str, str]


def _initials(*words: str) -> dict[str, str]:
    return {word[0]: word for word in words}


DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GRAMMAR = (
    Slot("command", _initials("bin", "lay", "place", "set")),
    Slot("colour", _initials("blue", "green", "red", "white")),
    Slot("preposition", _initials("at", "by", "in", "with")),
    Slot("letter", {letter: letter for letter in ascii_lowercase if letter != "w"}),
    Slot("digit", {"z" if value == 0 else str(value): word for value, word in enumerate(DIGITS)}),
    Slot("adverb", _initials("again", "now", "please", "soon")),
)
WORDS = tuple(word for slot in GRAMMAR for word in slot.words.values())  # the 51 words, by slot
WORD_CLASS = {word: index for index, word in enumerate(WORDS, start=1)}  # of the word heads; 0 is silence


def sentence_of(clip_id: str) -> str | None:
    """The sentence that a GRID id spells, or None where it spells none."""
    if len(clip_id) != len(GRAMMAR):
        return None
    words = [slot.words.get(char) for slot, char in zip(GRAMMAR, clip_id.lower(), strict=True)]
    return None if None in words else " ".join(word for word in words if word)


def is_grid_sentence(words: Sequence[str]) -> bool:
    """Whether ``words`` are one GRID sentence, a word a slot."""
    return len(words) == len(GRAMMAR) and all(
        word in slot.words.values() for slot, word in zip(GRAMMAR, words, strict=True)
    )


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key that puts s2 before s10."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", name)]
