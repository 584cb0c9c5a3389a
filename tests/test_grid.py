"""The GRID corpus: clip ids and the grammar of its sentences."""

from __future__ import annotations

from itertools import product

import pytest

from lipnet.grid import GRAMMAR, WORDS, is_grid_sentence, natural_key, sentence_of


@pytest.mark.parametrize(
    ("clip_id", "sentence"),
    [
        ("bbaf2n", "bin blue at f two now"),
        ("swwzzs", "set white with z zero soon"),
        ("PRBX9A", "place red by x nine again"),
        ("lgiv7p", "lay green in v seven please"),
        ("bbaw2n", None),  # the letter w does not occur in GRID
        ("bbaf2", None),
        ("bbaf2nn", None),
        ("xbaf2n", None),
        ("", None),
        ("interview", None),
    ],
)
def test_sentence_of_an_id(clip_id: str, sentence: str | None) -> None:
    assert sentence_of(clip_id) == sentence


def test_the_grammar_has_51_words_and_64000_sentences() -> None:
    assert [len(slot.words) for slot in GRAMMAR] == [4, 4, 4, 25, 10, 4]
    assert len(WORDS) == len(set(WORDS)) == 51
    sentences = {sentence_of("".join(id_)) for id_ in product(*(slot.words for slot in GRAMMAR))}
    assert len(sentences) == 64_000 and None not in sentences
    assert all(sentence is not None and is_grid_sentence(sentence.split()) for sentence in sentences)


@pytest.mark.parametrize(
    "text",
    [
        "bin blue at f two",
        "bin blue at f two now now",
        "blue bin at f two now",
        "bin blue at w two now",
    ],
)
def test_not_a_grid_sentence(text: str) -> None:
    assert not is_grid_sentence(text.split())


def test_natural_order_of_speakers() -> None:
    assert sorted(["s33", "s4", "s11"], key=natural_key) == ["s4", "s11", "s33"]
