"""Files of the decoders that are larger, deeper or longer than any useful one."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from lipnet.decoding import lm_scorers, text_files
from lipnet.decoding.arpa import load_arpa
from lipnet.decoding.base import DecodeError
from lipnet.decoding.grammar import GrammarDecoder, read_grammar
from lipnet.decoding.lexicon import read_dictionary
from lipnet.decoding.lm_scorers import WordListScorer
from lipnet.decoding.ngram import NGramError
from lipnet.tokenizer import DEFAULT_TOKENIZER

READERS: dict[str, Callable[[Path], object]] = {
    "arpa": load_arpa,
    "grammar": lambda path: read_grammar(path, DEFAULT_TOKENIZER),
    "dictionary": lambda path: read_dictionary(path, DEFAULT_TOKENIZER),
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


@every_reader
def test_a_gzip_bomb_is_not_unpacked(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    monkeypatch.setattr(text_files, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(text_files.read_bytes, "__defaults__", (1_000_000,))
    monkeypatch.setattr("lipnet.decoding.grammar.MAX_BYTES", 1_000_000)
    tracemalloc.start()
    with pytest.raises((DecodeError, NGramError), match=r"bomb\.gz: more than 1 MB of text"):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@every_reader
@pytest.mark.parametrize(
    "content", [b"\x1f\x8b\x08 and so on", gzip.compress(b"words" * 99, mtime=0)[:-9]], ids=["header", "cut"]
)
def test_a_damaged_gzip_file_is_named(content: bytes, read: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "damaged.gz"
    path.write_bytes(content)
    with pytest.raises((DecodeError, NGramError), match=r"damaged\.gz: a damaged gzip file"):
        read(path)


@every_reader
def test_nul_in_a_path(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises((DecodeError, NGramError), match=r"nul|not a path|no such"):
        read(tmp_path / "nul\0.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"\\data\\\nngram 1={'1' * 5000}\n", "expected 'ngram 1=COUNT', found"),
        (f"\\data\\\nngram 1=1\n\n\\1-grams:\n{'9' * 5000}\ta\n", "is not a logarithm"),
        (f"\\data\\\nngram 1=1\n\n\\1-grams:\n{'9' * 5000}\n", "is not a 1-gram"),
    ],
)
def test_long_numbers_in_a_language_model(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "long.arpa"
    path.write_text(content)
    with pytest.raises(NGramError, match=message) as error:
        load_arpa(path)
    assert len(str(error.value)) < 500


def test_a_long_count_in_a_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(f"fine 3\nword {'1' * 5000}\n")
    with pytest.raises(DecodeError, match=r"words\.txt:2: .* is not a word with an optional count") as error:
        read_dictionary(path, DEFAULT_TOKENIZER)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "content", ["[" * 3000 + "]" * 3000, "a: " * 1 + "{b: " * 3000 + "}" * 3000], ids=["lists", "maps"]
)
def test_a_grammar_that_is_nested_deep(content: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(content)
    with pytest.raises(DecodeError, match=r"deep\.yaml: nested too deep; list the words of each slot"):
        read_grammar(path, DEFAULT_TOKENIZER)


def test_a_grammar_of_very_many_slots_or_sentences() -> None:
    with pytest.raises(DecodeError, match="100000 slots: give at most 100"):
        GrammarDecoder(DEFAULT_TOKENIZER, [["a", "b"]] * 100_000)
    with pytest.raises(DecodeError, match=r"more than 10\*\*15 sentences, too many"):
        GrammarDecoder(DEFAULT_TOKENIZER, [["a", "b", "c"]] * 100)


@pytest.mark.parametrize("name", ["words.txt", "slots.yaml"])
def test_a_word_that_no_language_has(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(f"- [{'x' * 100_000}]\n" if path.suffix == ".yaml" else f"on\n{'x' * 100_000}\n")
    with pytest.raises(DecodeError, match=rf"{name}: 'x.*': a word of 100000 characters; give at most 200"):
        read_grammar(path, DEFAULT_TOKENIZER)


def test_words_of_many_characters_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm_scorers, "MAX_CHARACTERS", 10)
    assert len(WordListScorer(DEFAULT_TOKENIZER, ["abcde", "fghij"]).prefixes) == 11
    with pytest.raises(DecodeError, match="words of 11 characters in all: give at most 10"):
        WordListScorer(DEFAULT_TOKENIZER, ["abcde", "fghijk"])
