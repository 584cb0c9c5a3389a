"""The alphabet: the characters that the network can write, and their indices.

Index 0 is the CTC blank (Graves et al. 2006); the characters have the indices from 1. The default alphabet is
the one of the LipNet paper, space and a to z, which makes 28 network outputs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from lipnet.errors import LipnetError

BLANK = 0
SHOWN_CHARACTERS = 200  # of a text in a message
APOSTROPHES = "'`\u2019\u02bc"  # typewriter, grave accent, typographic, modifier letter


class TokenizerError(LipnetError):
    """A text with a character outside the alphabet, or an unusable alphabet."""


@dataclass(frozen=True)
class Tokenizer:
    """Text to label indices and back.

    Attributes:
        alphabet: distinct characters; ``alphabet[i]`` has index ``i + 1``, because 0 is the blank.

    Raises:
        TokenizerError: the alphabet is empty or repeats a character.
    """

    alphabet: str

    def __post_init__(self) -> None:
        if not self.alphabet or len(set(self.alphabet)) != len(self.alphabet):
            raise TokenizerError(
                f"alphabet {self.alphabet!r}: give one or more characters, each of them once"
            )

    @property
    def vocab_size(self) -> int:
        """Number of network outputs V: the characters and the blank."""
        return len(self.alphabet) + 1

    def encode(self, text: str) -> list[int]:
        """Indices of the characters of ``text``, each from 1 to V - 1.

        Raises:
            TokenizerError: a character is not in the alphabet.
        """
        for character in text:
            if character not in self.alphabet:
                hint = "spell numbers out" if character.isdigit() else "rewrite the text without it"
                raise TokenizerError(
                    f"character {character!r} of {shortened(text)!r} is not in the alphabet "
                    f"{self.alphabet!r}: {hint}"
                )
        return [self.alphabet.index(character) + 1 for character in text]

    def decode(self, indices: Iterable[int]) -> str:
        """The characters at ``indices``, the inverse of ``encode``: repeated indices are not merged.

        Raises:
            ValueError: an index is the blank or out of range.
        """
        characters = []
        for index in indices:
            if not BLANK < index < self.vocab_size:
                raise ValueError(f"index {index} is not a character: expected 1 to {self.vocab_size - 1}")
            characters.append(self.alphabet[index - 1])
        return "".join(characters)


DEFAULT_TOKENIZER = Tokenizer(" abcdefghijklmnopqrstuvwxyz")


def shortened(text: str) -> str:
    """The text for a message: a long one is cut."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def normalize(text: str, tokenizer: Tokenizer = DEFAULT_TOKENIZER) -> str:
    """A transcript in the characters of the alphabet: no punctuation, single spaces.

    It is in lower case if the alphabet has no capitals. Otherwise a letter keeps its case, or gets the other
    one if the alphabet has only that.

    Apostrophes are removed ("don't" becomes "dont") and other punctuation separates words ("well-known"
    becomes "well known"), except for characters that the alphabet contains.

    Raises:
        TokenizerError: any other character is not in the alphabet.
    """
    characters = []
    for character in _in_case(text, tokenizer.alphabet):
        if character in tokenizer.alphabet:
            characters.append(character)
        elif character not in APOSTROPHES:
            is_punctuation = unicodedata.category(character).startswith("P")
            characters.append(" " if is_punctuation else character)
    normalized = " ".join("".join(characters).split())
    tokenizer.encode(normalized)  # raises on characters outside the alphabet
    return normalized


def _in_case(text: str, alphabet: str) -> str:
    """The text in the case of the alphabet's letters."""
    if alphabet == alphabet.lower():
        return text.lower()
    known = set(alphabet)
    cases = {character: character for character in set(text)}
    for character in cases.keys() - known:
        for other in (character.lower(), character.upper()):
            if other in known:
                cases[character] = other
    return "".join(cases[character] for character in text)
