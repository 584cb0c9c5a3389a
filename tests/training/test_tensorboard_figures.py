"""The figures and tables of an evaluation, from made-up emissions and texts."""

from __future__ import annotations

import numpy as np
import pytest

from lipnet.config import Config
from lipnet.drawing import BLUE, LABELS, LINE, MARGIN, ORANGE, ROW
from lipnet.training.tensorboard.errors import letter_confusions, slot_errors
from lipnet.training.tensorboard.figures import (
    BAR,
    BAR_LABELS,
    BAR_WIDTH,
    CELL_LABELS,
    RED,
    WIDTH,
    confusion_matrix,
    error_bars,
    posteriorgram,
)
from lipnet.training.tensorboard.tables import charts_of, prediction_table, settings_of

TEXTS = [
    ("bin blue at b two now", "bin blue at p two now"),
    ("bin blue at b two now", "bin blue at b two soon"),
    ("lay red in p one again", "lay red in one again"),
]


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(H, W) bool: the pixels of a colour."""
    return np.asarray((picture == colour).all(axis=-1))


def emissions(path: list[int], symbols: int, certainty: float = 0.9) -> np.ndarray:
    """(S, V) log-probabilities whose greedy path is ``path``."""
    probabilities = np.full((len(path), symbols), (1 - certainty) / (symbols - 1))
    probabilities[np.arange(len(path)), path] = certainty
    return np.log(probabilities).astype(np.float32)


def test_a_posteriorgram_shows_the_greedy_path() -> None:
    path = [0, 2, 2, 0, 3, 1, 0, 0, 3, 0]
    picture = posteriorgram(emissions(path, 4), ["", " ", "a", "b"], 25.0, "clip", "ab b", "ab a")
    top = MARGIN + 3 * LINE + MARGIN
    assert picture.shape == (top + 4 * ROW + LINE + MARGIN, WIDTH, 3) and picture.dtype == np.uint8
    room = WIDTH - LABELS - MARGIN
    for step, symbol in enumerate(path):
        middle = LABELS + round((step + 0.5) * room / len(path))
        rows = np.flatnonzero(has(picture[:, middle : middle + 1], ORANGE)[:, 0])
        assert rows.tolist() == [top + symbol * ROW + ROW // 2 + offset for offset in (-1, 0, 1)]
        above = picture[top + symbol * ROW + 2, middle].astype(int)  # the shade of the most probable symbol
        assert np.abs(above - (255 + 0.9**0.5 * (np.array(BLUE) - 255))).max() <= 1


def test_wrong_words_are_red() -> None:
    options = (["", " ", "a", "b"], 25.0, "clip", "ab b")
    wrong = posteriorgram(emissions([2, 3], 4), *options, "ab a")
    right = posteriorgram(emissions([2, 3], 4), *options, "ab b")
    reddest = [
        (picture[..., 0].astype(int) - picture[..., 2])[: MARGIN + 3 * LINE].max()
        for picture in (wrong, right)
    ]
    assert reddest[0] > 100 and reddest[1] == 0


@pytest.mark.parametrize(("steps", "symbols"), [(1, 2), (3, 28), (75, 28), (3000, 28), (75, 3000)])
def test_posteriorgrams_of_any_size(steps: int, symbols: int) -> None:
    path = np.random.default_rng(0).integers(symbols, size=steps).tolist()
    names = ["", *(chr(0x4E00 + place) for place in range(symbols - 1))]
    picture = posteriorgram(emissions(path, symbols), names, 25.0, "clip", "", "")
    assert picture.shape[1] == WIDTH and picture.shape[0] <= 41 * ROW + 5 * LINE
    assert has(picture, ORANGE).any()


def test_letter_confusions_of_grid_sentences() -> None:
    labels, counts = letter_confusions(TEXTS)
    assert "".join(labels) == "abcdefghijklmnopqrstuvxyz"
    b, p, other = 1, 15, 25  # the last column: not read
    assert np.argwhere(counts).tolist() == [[b, b], [b, p], [p, other]]
    assert counts.shape == (25, 26) and counts.max() == 1


def test_letter_confusions_of_other_texts() -> None:
    labels, counts = letter_confusions([("abc a", "abd a"), ("b", "")])
    assert labels == [" ", "a", "b", "c"]
    assert counts.tolist() == [[1, 0, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1]]


def test_slot_errors() -> None:
    names, errors, words = slot_errors(TEXTS)
    assert names == ["command", "colour", "preposition", "letter", "digit", "adverb"]
    assert (errors, words) == ([0, 0, 0, 2, 0, 1], [3] * 6)
    names, errors, words = slot_errors([("hello", "hello"), ("hello there", "hello")])
    assert (names, errors, words) == (["word 1", "word 2"], [0, 1], [2, 1])
    assert slot_errors([]) == ([], [], [])


def test_a_confusion_matrix() -> None:
    picture = confusion_matrix(np.array([[1, 1, 0], [0, 0, 1]]), ["b", "p"], "letters")
    size, top = 2 * ROW, MARGIN + 3 * LINE
    assert picture.shape == (top + 2 * size + MARGIN, WIDTH, 3)
    corners = picture[top + 3 :: size, CELL_LABELS + 3 :: size][:2, :3].astype(int)  # of each cell
    half = [255 + 0.5**0.5 * (np.array(colour) - 255) for colour in (BLUE, RED)]
    assert np.abs(corners[0, :2] - half).max() <= 1
    assert (corners[0, 2] == 255).all() and (corners[1, :2] == 255).all() and (corners[1, 2] == RED).all()


def test_error_bars() -> None:
    picture = error_bars([1, 0, 6], [2, 3, 3], ["a", "b", "c"], "title")
    assert picture.shape[1] == WIDTH
    for row, part in enumerate((0.5, 0.0, 1.0)):  # more than 100 % is shown as 100 %
        line = picture[MARGIN + LINE + MARGIN + row * BAR + BAR // 2]
        blue = np.flatnonzero((line == BLUE).all(axis=-1))
        assert abs(len(blue) - part * BAR_WIDTH) <= 2
        assert not len(blue) or blue[0] in (BAR_LABELS, BAR_LABELS + 1)


def test_wrong_words_in_the_table_are_bold() -> None:
    table = prediction_table(["s1/a_b", "s1/c"], [("bin blue now", "bin red now"), ("lay red", "")])
    assert table.splitlines()[2:] == [
        "| s1/a\\_b | bin **blue** now | bin **red** now |",
        "| s1/c | **lay** **red** | *nothing* |",
    ]
    assert len(prediction_table([""] * 100, [("a", "a")] * 100).splitlines()) == 2 + 8


def test_charts_of_lists_with_signs_in_their_names() -> None:
    assert charts_of(["a.b"])["Error rates"]["CER and WER of the dev lists"][1][0] == r"^a\.b/cer$"
    assert "Error rates" not in charts_of([])
    assert [len(charts_of([], with_gpu)["Training"]) for with_gpu in (False, True)] == [5, 6]


def test_settings() -> None:
    settings = settings_of(Config())
    assert settings["train.ema"] == 0.995 and settings["pretrained"] == "" and settings["run.seed"] == 0
    assert settings["run.compile"] == "False" and "model.block_dropout" not in settings
