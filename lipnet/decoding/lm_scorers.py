"""Scorers for beam search: character and word n-gram models, and closed word lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np

from lipnet.decoding.base import DecodeError, Floats, Integers
from lipnet.decoding.beam_search import LMScorer
from lipnet.decoding.ngram import END, START, UNKNOWN, NGram, is_character_model
from lipnet.decoding.text_files import check_length
from lipnet.errors import LipnetError
from lipnet.tokenizer import Tokenizer

# score = weight * log-probability of the language model + bonus * number of tokens. The bonus compensates for
# the preference of language models for short texts. The values for characters were chosen from 0.2 to 1.2 on
# GRID's two dev lists; those for words are the same and were not tuned.
CHARACTER_WEIGHT, CHARACTER_BONUS = 0.3, 0.3
WORD_WEIGHT, WORD_BONUS = 0.3, 0.3
MAX_STATES = 200_000  # kept from clip to clip; with 28 symbols they take 90 MB
FORBIDDEN = -np.inf
UNVISITED = -1
MAX_CHARACTERS = 10_000_000  # of a word list: a million words

Key = TypeVar("Key")


class _LazyScorer(ABC, Generic[Key]):
    """An automaton whose states are computed when they are first reached, and kept for later clips.

    A subclass describes a state by a hashable key. ``len(scorer)`` is the number of states kept.
    """

    def __init__(self, tokenizer: Tokenizer, start: Key) -> None:
        """``start``: key of the empty text."""
        self.symbols = tokenizer.alphabet
        self._start = start
        self._clear()

    @abstractmethod
    def _scores(self, key: Key) -> Sequence[float]:
        """Scores of appending each symbol of the alphabet, then that of ending the text."""

    @abstractmethod
    def _next_key(self, key: Key, symbol: str) -> Key:
        """The key after appending a symbol that is not forbidden."""

    def __len__(self) -> int:
        return len(self._keys)

    def reset(self) -> None:
        """Drop all states if there are more than ``MAX_STATES``, which bounds the memory."""
        if len(self) > MAX_STATES:
            self._clear()

    def extend_scores(self, states: Integers) -> Floats:
        return self._table[states, :-1]

    def next_states(self, states: Integers, symbols: Integers) -> Integers:
        for i in np.flatnonzero(self._next[states, symbols] == UNVISITED):
            state, symbol = int(states[i]), int(symbols[i])
            if self._next[state, symbol] == UNVISITED:  # a pair may occur twice
                key = self._next_key(self._keys[state], self.symbols[symbol - 1])
                self._next[state, symbol] = self._state(key)
        return self._next[states, symbols]

    def end_scores(self, states: Integers) -> Floats:
        return self._table[states, -1]

    def _clear(self) -> None:
        self._keys: list[Key] = []  # by state
        self._states: dict[Key, int] = {}
        vocab_size = len(self.symbols) + 1
        self._table = np.zeros((1024, vocab_size + 1))  # scores by state: blank (unused), symbols, end
        self._next = np.full((1024, vocab_size), UNVISITED, dtype=np.int64)  # next state by state and symbol
        self._state(self._start)

    def _state(self, key: Key) -> int:
        """The state with this key, created if it is new."""
        if key not in self._states:
            state = self._states[key] = len(self._keys)
            self._keys.append(key)
            if state == len(self._table):
                self._table = np.concatenate([self._table, np.zeros_like(self._table)])
                self._next = np.concatenate([self._next, np.full_like(self._next, UNVISITED)])
            self._table[state, 1:] = self._scores(key)
        return self._states[key]


class CharacterLMScorer(_LazyScorer[tuple[str, ...]]):
    """Scores by a character n-gram model. A state is the shortest context that determines what follows."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        model: NGram,
        weight: float = CHARACTER_WEIGHT,
        bonus: float = CHARACTER_BONUS,
    ) -> None:
        """``weight``: factor of the log-probabilities. ``bonus``: added for each character."""
        self.model, self.weight, self.bonus = model, weight, bonus
        super().__init__(tokenizer, (START,))

    def _scores(self, key: tuple[str, ...]) -> list[float]:
        extend = [self.weight * self.model.log_prob(key, symbol) + self.bonus for symbol in self.symbols]
        return [*extend, self.weight * self.model.log_prob(key, END)]

    def _next_key(self, key: tuple[str, ...], symbol: str) -> tuple[str, ...]:
        return self.model.context((*key, symbol))


class WordLMScorer(_LazyScorer[tuple[tuple[str, ...], str]]):
    """Scores by a word n-gram model, applied at the end of each word.

    A state is the context and the characters of the unfinished word. If the model has no ``<unk>``, only the
    words of its vocabulary are allowed.
    """

    def __init__(
        self, tokenizer: Tokenizer, model: NGram, weight: float = WORD_WEIGHT, bonus: float = WORD_BONUS
    ) -> None:
        """``weight``: factor of the log-probabilities. ``bonus``: added for each word."""
        self.model, self.weight, self.bonus = model, weight, bonus
        self.is_closed = UNKNOWN not in model.vocabulary
        self.prefixes = _prefixes(model.vocabulary)
        super().__init__(tokenizer, ((START,), ""))

    def _scores(self, key: tuple[tuple[str, ...], str]) -> list[float]:
        context, word = key
        if word:
            space = self.weight * self.model.log_prob(context, word) + self.bonus
            end = space + self.weight * self.model.log_prob(self.model.context((*context, word)), END)
        else:  # no space at the start or after a space, and no end after a space
            space = FORBIDDEN
            end = self.weight * self.model.log_prob(context, END) if context == (START,) else FORBIDDEN
        extend = [space if symbol == " " else self._spelling_score(word + symbol) for symbol in self.symbols]
        return [*extend, end]

    def _spelling_score(self, prefix: str) -> float:
        return FORBIDDEN if self.is_closed and prefix not in self.prefixes else 0.0

    def _next_key(self, key: tuple[tuple[str, ...], str], symbol: str) -> tuple[tuple[str, ...], str]:
        context, word = key
        return (self.model.context((*context, word)), "") if symbol == " " else (context, word + symbol)


class WordListScorer(_LazyScorer[str]):
    """Allows any sequence of the given words, with a score of 0, and forbids all other texts.

    A state is the characters of the unfinished word.
    """

    def __init__(self, tokenizer: Tokenizer, words: Iterable[str]) -> None:
        """Raises TokenizerError if a word has a character outside the alphabet."""
        self.words = frozenset(words)
        for word in self.words:
            tokenizer.encode(word)
        self.prefixes = _prefixes(self.words)
        super().__init__(tokenizer, "")

    def _scores(self, key: str) -> list[float]:
        end = 0.0 if key in self.words else FORBIDDEN
        extend = [end if symbol == " " else self._spelling_score(key + symbol) for symbol in self.symbols]
        return [*extend, end]

    def _spelling_score(self, prefix: str) -> float:
        return 0.0 if prefix in self.prefixes else FORBIDDEN

    def _next_key(self, key: str, symbol: str) -> str:
        return "" if symbol == " " else key + symbol


def _prefixes(words: Iterable[str]) -> set[str]:
    """The starts of all words. Raises DecodeError where they would take gigabytes."""
    words = list(words)
    check_length(max(words, key=len, default=""))
    if (count := sum(map(len, words))) > MAX_CHARACTERS:
        raise DecodeError(f"words of {count} characters in all: give at most {MAX_CHARACTERS}")
    return {word[:length] for word in words for length in range(len(word) + 1)}


def make_lm_scorer(model: NGram, tokenizer: Tokenizer) -> LMScorer:
    """A scorer for a character model or a word model, depending on the tokens of the model.

    Raises:
        LipnetError: the model does not fit the alphabet.
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
            f"no word of the language model, such as {model.vocabulary[-1]!r}, can be spelled in the "
            f"alphabet {tokenizer.alphabet!r}: convert the model to lower case, or use another one"
        )
    return WordLMScorer(tokenizer, model)
