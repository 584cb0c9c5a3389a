"""Encoding, decoding and normalising transcripts."""

import pytest

from lipnet.errors import LipnetError
from lipnet.tokenizer import BLANK, DEFAULT_TOKENIZER, Tokenizer, TokenizerError, normalize

DIGITS = Tokenizer("0123456789")


def test_default_alphabet_is_that_of_the_paper():
    assert BLANK == 0
    assert DEFAULT_TOKENIZER.vocab_size == 28
    assert DEFAULT_TOKENIZER.encode(" az") == [1, 2, 27]
    assert DEFAULT_TOKENIZER.decode([1, 2, 27]) == " az"


@pytest.mark.parametrize(
    ("tokenizer", "text"),
    [
        (DEFAULT_TOKENIZER, "bin blue at f two now"),
        (DEFAULT_TOKENIZER, "aa  bb"),
        (DEFAULT_TOKENIZER, ""),
        (DIGITS, "1202"),
    ],
)
def test_encode_and_decode_are_inverse(tokenizer, text):
    indices = tokenizer.encode(text)
    assert len(indices) == len(text)
    assert BLANK not in indices
    assert tokenizer.decode(indices) == text


@pytest.mark.parametrize("index", [BLANK, -1, 28])
def test_decode_rejects_an_index_that_is_not_a_character(index):
    with pytest.raises(ValueError, match=str(index)):
        DEFAULT_TOKENIZER.decode([2, index])


def test_encode_error_names_the_unknown_character():
    with pytest.raises(TokenizerError, match="'B' of 'aB'"):
        DEFAULT_TOKENIZER.encode("aB")


@pytest.mark.parametrize("symbols", ["", "abca"])
def test_an_empty_alphabet_or_repeated_characters_are_errors(symbols):
    with pytest.raises(TokenizerError, match="alphabet"):
        Tokenizer(symbols)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bin Blue", "bin blue"),
        ("don't  stop", "dont stop"),
        ("don\u2019t", "dont"),
        ("\tlay, red. At\r\n", "lay red at"),
        ("well-known fact,really", "well known fact really"),
        ("... !", ""),
        ("", ""),
    ],
)
def test_normalize(text, expected):
    assert normalize(text) == expected


def test_normalize_keeps_punctuation_of_the_alphabet():
    with_apostrophe = Tokenizer(DEFAULT_TOKENIZER.alphabet + "'")
    assert normalize("Don't!", with_apostrophe) == "don't"


def test_normalize_error_names_the_character_and_gives_a_hint():
    with pytest.raises(LipnetError, match=r"'7' of 'at f 7 now'.*spell numbers out"):
        normalize("at f 7 now")
    with pytest.raises(TokenizerError, match=r"'é'.*without it"):
        normalize("café")


@pytest.mark.parametrize(
    ("alphabet", "text", "expected"),
    [
        (" ABCDEFGHIJKLMNOPQRSTUVWXYZ", "Hello, World", "HELLO WORLD"),
        (" HWdelor", "Hello World", "Hello World"),
        (" Hdelorw", "hello World", "Hello world"),
        (" abcI", "I AC", "I ac"),
        (" \u03c3\u03c2\u03b1", "\u03a3\u0391\u03a3", "\u03c3\u03b1\u03c2"),  # a sigma at the end of a word
    ],
)
def test_capitals_of_the_alphabet_are_kept(alphabet, text, expected):
    assert normalize(text, Tokenizer(alphabet)) == expected


def test_a_long_text_is_cut_in_a_message():
    with pytest.raises(TokenizerError, match=r"character '9'") as error:
        normalize("9" * 1_000_000)
    assert len(str(error.value)) < 500
