"""The GRID corpus (Cooke et al. 2006): grammar, clip ids and word classes.

The id of a GRID clip encodes its sentence with one character a word: ``bbaf2n`` is "bin blue at f two now".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

FRAME_RATE = 25.0  # frames/s of the corpus, of crops and of alignment times, whatever the rate of a video


@dataclass(frozen=True)
class Slot:
    """One position of a GRID sentence."""

    name: str
    words: dict[str, str]  # character in the clip id -> word


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
WORDS = tuple(
    word for slot in GRAMMAR for word in slot.words.values()
)  # the 51 words, in the order of the slots
WORD_CLASS = {
    word: index for index, word in enumerate(WORDS, start=1)
}  # word -> class of the word heads; 0 is silence


def sentence_of(clip_id: str) -> str | None:
    """The sentence that a clip id encodes, or None if it is not a GRID id."""
    if len(clip_id) != len(GRAMMAR):
        return None
    words = [slot.words.get(char) for slot, char in zip(GRAMMAR, clip_id.lower(), strict=True)]
    return None if None in words else " ".join(word for word in words if word)


def is_grid_sentence(words: Sequence[str]) -> bool:
    """Whether ``words`` are a GRID sentence: one word from each slot."""
    return len(words) == len(GRAMMAR) and all(
        word in slot.words.values() for slot, word in zip(GRAMMAR, words, strict=True)
    )


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key that compares numbers in names by value, so that s2 comes before s10."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", name)]
