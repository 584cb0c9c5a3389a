"""What guides a beam search: n-gram models of characters or words, and lists of allowed words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np

from lipnet.decoding.base import Floats, Integers
from lipnet.decoding.beam_search import Language
from lipnet.decoding.ngram import END, START, UNKNOWN, NGram, is_character_model
from lipnet.errors import LipnetError
from lipnet.tokenizer import Tokenizer

# How much of a language model's log-probability counts beside CTC's, and what each further token is worth
# (it pays for the model's preference of short texts). Those of characters were chosen on GRID's two dev
# lists, from 0.2 to 1.2; those of words are the same, untried.
CHARACTER_WEIGHT, CHARACTER_BONUS = 0.3, 0.3
WORD_WEIGHT, WORD_BONUS = 0.3, 0.3
MAX_STATES = 200_000  # that are remembered; 28 symbols take 90 MB
FORBIDDEN = -np.inf
UNVISITED = -1

Key = TypeVar("Key")


class _Automaton(ABC, Generic[Key]):
    """States that are worked out when they are first met: a state is a number for a key."""

    def __init__(self, tokenizer: Tokenizer, start: Key) -> None:
        self.symbols = tokenizer.alphabet
        self._start = start
        self._forget()

    @abstractmethod
    def _weights(self, key: Key) -> Sequence[float]:
        """Of appending each symbol of the alphabet, and, last, of ending."""

    @abstractmethod
    def _after(self, key: Key, symbol: str) -> Key:
        """The key that an allowed symbol leads to."""

    def appending(self, states: Integers) -> Floats:
        return self._table[states, :-1]

    def ending(self, states: Integers) -> Floats:
        return self._table[states, -1]

    def following(self, states: Integers, symbols: Integers) -> Integers:
        for i in np.flatnonzero(self._next[states, symbols] == UNVISITED):
            state, symbol = int(states[i]), int(symbols[i])
            if self._next[state, symbol] == UNVISITED:
                reached = self._number(self._after(self._keys[state], self.symbols[symbol - 1]))
                self._next[state, symbol] = reached
        return self._next[states, symbols]

    def begin(self) -> None:
        """Called before each clip: what earlier ones have met must not fill the memory."""
        if len(self._keys) > MAX_STATES:
            self._forget()

    def _forget(self) -> None:
        self._keys: list[Key] = []
        self._numbers: dict[Key, int] = {}
        columns = len(self.symbols) + 1  # the blank's, which nothing reads, and the symbols'
        self._table = np.zeros((1024, columns + 1))
        self._next = np.full((1024, columns), UNVISITED, dtype=np.int64)
        self._number(self._start)

    def _number(self, key: Key) -> int:
        if key not in self._numbers:
            number = self._numbers[key] = len(self._keys)
            self._keys.append(key)
            if number == len(self._table):
                self._table = np.concatenate([self._table, np.zeros_like(self._table)])
                self._next = np.concatenate([self._next, np.full_like(self._next, UNVISITED)])
            self._table[number, 1:] = self._weights(key)
        return self._numbers[key]


class CharacterLMScorer(_Automaton[tuple[str, ...]]):
    """A character n-gram model; a state is the context that still matters."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        model: NGram,
        weight: float = CHARACTER_WEIGHT,
        bonus: float = CHARACTER_BONUS,
    ) -> None:
        self.model, self.weight, self.bonus = model, weight, bonus
        super().__init__(tokenizer, (START,))

    def _weights(self, key: tuple[str, ...]) -> list[float]:
        appending = [self.weight * self.model.log_prob(key, symbol) + self.bonus for symbol in self.symbols]
        return [*appending, self.weight * self.model.log_prob(key, END)]

    def _after(self, key: tuple[str, ...], symbol: str) -> tuple[str, ...]:
        return self.model.context((*key, symbol))


class WordLMScorer(_Automaton[tuple[tuple[str, ...], str]]):
    """A word n-gram model, asked when a word ends; a state is the context and the word so far.

    Where the model has no ``<unk>``, only its own words can be written.
    """

    def __init__(
        self, tokenizer: Tokenizer, model: NGram, weight: float = WORD_WEIGHT, bonus: float = WORD_BONUS
    ) -> None:
        self.model, self.weight, self.bonus = model, weight, bonus
        self.is_closed = UNKNOWN not in model.vocabulary
        self.beginnings = _beginnings(model.vocabulary)
        super().__init__(tokenizer, ((START,), ""))

    def _weights(self, key: tuple[tuple[str, ...], str]) -> list[float]:
        context, word = key
        if word:
            said = self.weight * self.model.log_prob(context, word) + self.bonus
            end = said + self.weight * self.model.log_prob(self.model.context((*context, word)), END)
        else:
            said = FORBIDDEN
            end = self.weight * self.model.log_prob(context, END) if context == (START,) else FORBIDDEN
        return [*(said if symbol == " " else self._spelling(word + symbol) for symbol in self.symbols), end]

    def _spelling(self, beginning: str) -> float:
        return FORBIDDEN if self.is_closed and beginning not in self.beginnings else 0.0

    def _after(self, key: tuple[tuple[str, ...], str], symbol: str) -> tuple[tuple[str, ...], str]:
        context, word = key
        return (self.model.context((*context, word)), "") if symbol == " " else (context, word + symbol)


class WordListScorer(_Automaton[str]):
    """Any sequence of the given words and nothing else; a state is the word so far."""

    def __init__(self, tokenizer: Tokenizer, words: Iterable[str]) -> None:
        """Raises TokenizerError where the alphabet lacks a word's character."""
        self.words = frozenset(words)
        for word in self.words:
            tokenizer.encode(word)
        self.beginnings = _beginnings(self.words)
        super().__init__(tokenizer, "")

    def _weights(self, key: str) -> list[float]:
        return [
            *(
                self._allowed(key in self.words if s == " " else key + s in self.beginnings)
                for s in self.symbols
            ),
            self._allowed(key in self.words),
        ]

    def _after(self, key: str, symbol: str) -> str:
        return "" if symbol == " " else key + symbol

    @staticmethod
    def _allowed(yes: bool) -> float:
        return 0.0 if yes else FORBIDDEN


def _beginnings(words: Iterable[str]) -> set[str]:
    return {word[:length] for word in words for length in range(len(word) + 1)}


def make_lm_scorer(model: NGram, tokenizer: Tokenizer) -> Language:
    """A character model or a word model, whichever the n-grams are of.

    Raises LipnetError on a model that is not of the alphabet's texts.
    """
    if is_character_model(model):
        missing = [symbol for symbol in tokenizer.alphabet if symbol not in model.vocabulary]
        if missing and UNKNOWN not in model.vocabulary:
            raise LipnetError(
                f"the language model lacks {missing[0]!r} of the alphabet {tokenizer.alphabet!r}: "
                "make one with scripts/build_lm.py --alphabet"
            )
        return CharacterLMScorer(tokenizer, model)
    if not any(set(word) <= set(tokenizer.alphabet) for word in model.vocabulary):
        raise LipnetError(
            f"not one word of the language model, such as {model.vocabulary[-1]!r}, can be written in the "
            f"alphabet {tokenizer.alphabet!r}: bring it into lower case, or take another"
        )
    return WordLMScorer(tokenizer, model)
