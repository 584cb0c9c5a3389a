"""Greedy text corrected by a dictionary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipnet.decoding.base import DecodeError
from lipnet.decoding.lexicon import DictionaryDecoder, read_dictionary
from lipnet.tokenizer import BLANK, DEFAULT_TOKENIZER, Tokenizer, TokenizerError


def spelling(text: str, blanks: int = 1) -> np.ndarray:
    """(1, S, V) log-probabilities whose greedy text is ``text``, with blanks between the characters."""
    path = [step for symbol in DEFAULT_TOKENIZER.encode(text) for step in (symbol, *[BLANK] * blanks)]
    p = np.full((1, len(path), DEFAULT_TOKENIZER.vocab_size), 0.1 / (DEFAULT_TOKENIZER.vocab_size - 1))
    p[0, np.arange(len(path)), path] = 0.9
    return np.log(p)


def read(decoder: DictionaryDecoder, text: str, blanks: int = 1) -> str:
    log_probs = spelling(text, blanks)
    [[hypothesis]] = decoder(log_probs, [log_probs.shape[1]])
    assert len(hypothesis.steps) == len(hypothesis.text)
    return hypothesis.text


@pytest.mark.parametrize(
    ("greedy", "corrected"),
    [
        ("bin blue at f two now", "bin blue at f two now"),
        ("bn blu att f to noww", "bin blue at f two now"),
        ("plese", "please"),
        ("seveen agin", "seven again"),
        ("", ""),
    ],
)
def test_words_are_replaced_by_the_nearest_grid_word(greedy: str, corrected: str) -> None:
    assert read(DictionaryDecoder(DEFAULT_TOKENIZER), greedy, blanks=2) == corrected


def test_the_more_frequent_of_equally_near_words_is_chosen() -> None:
    assert DictionaryDecoder(DEFAULT_TOKENIZER, {"cat": 1, "bat": 5, "rat": 2}).nearest("mat") == "bat"
    # Equal counts and lengths: the first in alphabetical order.
    assert DictionaryDecoder(DEFAULT_TOKENIZER, {"cat": 5, "bat": 5}).nearest("mat") == "bat"
    # The distance counts before the frequency.
    assert DictionaryDecoder(DEFAULT_TOKENIZER, {"cat": 1, "bat": 99}).nearest("cut") == "cat"


def test_steps_are_those_of_the_corrected_text() -> None:
    log_probs = spelling("re", blanks=2)
    [[hypothesis]] = DictionaryDecoder(DEFAULT_TOKENIZER)(log_probs, [6])
    assert hypothesis.text == "red" and hypothesis.steps[:2] == [0, 3] and hypothesis.steps[2] in (4, 5)


def test_a_clip_too_short_for_the_corrected_text_keeps_the_greedy_text() -> None:
    assert read(DictionaryDecoder(DEFAULT_TOKENIZER, {"seventeen": 1}), "svn", blanks=0) == "svn"


def test_words_outside_the_alphabet_are_an_error() -> None:
    with pytest.raises(TokenizerError, match="character 'b'"):
        DictionaryDecoder(Tokenizer("0123456789 "))


def test_dictionary_files(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# mine\nHello 3\nworld\n\nwell-known 2  # two words\nhello\n")
    assert read_dictionary(path, DEFAULT_TOKENIZER) == {"hello": 4, "world": 1, "well": 2, "known": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b c\n", r"words\.txt:1: 'a b c' is not a word with an optional count"),
        ("fine\n1st\n", r"words\.txt:2: character '1'"),
        ("# nothing\n", r"words\.txt: no words"),
    ],
)
def test_invalid_dictionary_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(content)
    with pytest.raises(DecodeError, match=message):
        read_dictionary(path, DEFAULT_TOKENIZER)
    with pytest.raises(DecodeError, match="cannot read the dictionary"):
        read_dictionary(tmp_path, DEFAULT_TOKENIZER)
