"""Posteriorgrams of made-up emissions: their rows, their place in the picture, any width."""

from __future__ import annotations

import numpy as np
import pytest

from lipnet.drawing import LABELS, LINE, MARGIN, MAX_SYMBOLS, ORANGE, ROW, posteriorgram, probable_symbols


def emissions(path: list[int], symbols: int, certainty: float = 0.9) -> np.ndarray:
    """(S, V) log-probabilities whose greedy path is ``path``."""
    probabilities = np.full((len(path), symbols), (1 - certainty) / (symbols - 1))
    probabilities[np.arange(len(path)), path] = certainty
    return np.log(probabilities).astype(np.float32)


@pytest.mark.parametrize("width", [120, 400, 1000])
def test_the_field_of_a_posteriorgram_is_where_it_says(width: int) -> None:
    path = [0, 2, 2, 0, 3]
    drawn = posteriorgram(emissions(path, 4), ["", " ", "a", "b"], 25.0, width)
    assert drawn.picture.dtype == np.uint8
    assert drawn.picture.shape == (MARGIN + 4 * ROW + LINE + MARGIN, width, 3)
    assert (drawn.left, drawn.width, drawn.height) == (LABELS, width - LABELS - MARGIN, 4 * ROW)
    middles = [drawn.top + row * ROW + ROW // 2 for row in path]
    columns = [drawn.left + round((step + 0.5) * drawn.width / 5) for step in range(5)]
    for x, y in zip(columns, middles, strict=True):
        assert (drawn.picture[y, x] == ORANGE).all()
    assert (drawn.picture[:, : drawn.left] != ORANGE).any(axis=-1).all()


def test_a_path_that_is_given_is_drawn_with_a_row_for_each_of_its_symbols() -> None:
    log_probs = emissions([0, 0, 0, 0], 4, certainty=0.999)
    assert posteriorgram(log_probs, ["", " ", "a", "b"], 25.0, 400, 0.05).height == ROW
    drawn = posteriorgram(log_probs, ["", " ", "a", "b"], 25.0, 400, 0.05, np.array([0, 3, 3, 0]))
    assert drawn.height == 2 * ROW
    middle = drawn.left + drawn.width // 2
    assert (drawn.picture[drawn.top + ROW + ROW // 2, middle] == ORANGE).all()


def test_only_symbols_that_become_probable_have_a_row() -> None:
    log_probs = np.log(np.array([[0.6, 0.3, 0.09, 0.01], [0.4, 0.59, 0.005, 0.005]]))
    assert probable_symbols(log_probs) == [0, 1, 2, 3]
    assert probable_symbols(log_probs, 0.05) == [0, 1, 2]
    assert probable_symbols(log_probs, 0.5) == [0, 1]
    uniform = np.full((1, 28), -np.log(28.0))
    assert probable_symbols(uniform, 0.05) == [0]
    many = emissions([60, 99], 100)
    assert len(probable_symbols(many)) == MAX_SYMBOLS and {60, 99} <= set(probable_symbols(many))
