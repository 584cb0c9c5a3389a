"""The alphabet: what the network can write, and which index stands for which character.

Index 0 is the blank of CTC (Graves et al. 2006); the characters follow from 1. The default alphabet is
the paper's, space and a to z, so that the network has 28 outputs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from lipnet.errors import LipnetError

BLANK = 0
APOSTROPHES = "'`\u2019\u02bc"  # typewriter, grave accent, typographic, modifier letter


class TokenizerError(LipnetError):
    """A text that the alphabet cannot write, or an alphabet that cannot be used."""


@dataclass(frozen=True)
class Tokenizer:
    """An ordered set of characters; ``alphabet[i]`` has index ``i + 1``, since 0 is the blank."""

    alphabet: str

    def __post_init__(self) -> None:
        if not self.alphabet or len(set(self.alphabet)) != len(self.alphabet):
            raise TokenizerError(
                f"alphabet {self.alphabet!r}: give one or more characters, each of them once"
            )

    @property
    def size(self) -> int:
        """Number of network outputs V: the characters and the blank."""
        return len(self.alphabet) + 1

    def encode(self, text: str) -> list[int]:
        """Indices of the characters of ``text``, each in 1 ... V - 1. Raises TokenizerError."""
        for character in text:
            if character not in self.alphabet:
                raise TokenizerError(self._complaint(character, text))
        return [self.alphabet.index(character) + 1 for character in text]

    def decode(self, indices: Iterable[int]) -> str:
        """The characters at ``indices``, the inverse of ``encode``: repeats stay, a blank is a ValueError."""
        characters = []
        for index in indices:
            if not BLANK < index < self.size:
                raise ValueError(f"index {index} is no character: expected 1 to {self.size - 1}")
            characters.append(self.alphabet[index - 1])
        return "".join(characters)

    def _complaint(self, character: str, text: str) -> str:
        cure = "spell numbers out" if character.isdigit() else "rewrite the text without it"
        return f"character {character!r} of {text!r} is not in the alphabet {self.alphabet!r}: {cure}"


DEFAULT_TOKENIZER = Tokenizer(" abcdefghijklmnopqrstuvwxyz")


def normalize(text: str, tokenizer: Tokenizer = DEFAULT_TOKENIZER) -> str:
    """Bring a transcript into the alphabet: lower case, no punctuation, single spaces.

    Apostrophes vanish ("don't" is "dont"), other punctuation parts words ("well-known" is "well known"),
    and what the alphabet itself holds is kept. Any other character is a TokenizerError that names it.
    """
    characters = []
    for character in text.lower():
        if character in tokenizer.alphabet:
            characters.append(character)
        elif character not in APOSTROPHES:
            is_punctuation = unicodedata.category(character).startswith("P")
            characters.append(" " if is_punctuation else character)
    normalized = " ".join("".join(characters).split())
    tokenizer.encode(normalized)  # a character that is left over is reported here
    return normalized
