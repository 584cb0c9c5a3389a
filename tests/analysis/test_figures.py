"""Figures of unusual numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from lipnet.analysis import figures
from lipnet.analysis.clip_figures import TimedWord, clip_figure, saliency_figure
from lipnet.analysis.confusion import letter_confusion, viseme_confusion

SYMBOLS = ["", *"abcdefghijklmnopqrstuvwxyz "]
CROPS = np.zeros((2, 4, 6, 3), np.uint8)


def test_a_clip_without_crops_words_or_a_probable_symbol() -> None:
    uniform = np.full((1, 28), -np.log(28.0))
    svg = clip_figure(np.zeros((0, 4, 6, 3), np.uint8), {"said": []}, uniform, SYMBOLS, 25.0, "a<b")
    assert svg.startswith("<svg") and "currentColor" in svg and "said" not in svg


def test_the_words_of_a_clip() -> None:
    log_probs = np.log(np.full((4, 28), 0.01))
    log_probs[:, [0, 27]] = np.log(0.4)  # blank and space
    words = {"said": [TimedWord("at", 0, 0.1)], "read": [TimedWord("by", 0, 0.1, right=False)]}
    svg = clip_figure(CROPS, words, log_probs, SYMBOLS, 50.0, "a")
    for text in ("said", "read", "at", "by", "blank", "space"):
        assert f">{text}</text>" in svg
    assert "fill: #d0463b" in svg and svg.count("<image") == 2


def test_saliency_of_few_frames() -> None:
    svg = saliency_figure(CROPS, np.zeros((2, 4, 6)), ["··", "a·"], "name")
    assert svg.count("<image") == 1 and ">a·</text>" in svg


def test_confusions_name_their_symbols_and_count_errors() -> None:
    svg = figures.confusion(letter_confusion(["ab"] * 3, ["ac"] * 3), "letters")
    assert ">3</text>" in svg and svg.count(">b</text>") == 3  # above, below and left of the matrix
    visemes = figures.confusion(viseme_confusion(["by"], ["by"]), "visemes", {"E": "E: P B M"})
    assert ">E: P B M</text>" in visemes


def test_a_large_alphabet_shows_what_is_confused() -> None:
    said = "".join(chr(0x4E00 + place) for place in range(3000))
    svg = figures.confusion(letter_confusion([said], [said[:-1] + "a"]), "letters")
    assert f">{said[-1]}</text>" in svg and svg.count("<text") < 200


def test_shades() -> None:
    cells = figures.shades(np.array([[0, 0.25, 1]]), "#ff0000")
    np.testing.assert_allclose(cells, [[[1, 0, 0, 0], [1, 0, 0, 0.5], [1, 0, 0, 1]]])
