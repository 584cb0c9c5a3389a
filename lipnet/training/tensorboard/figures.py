"""Figures of an evaluation: (H, W, 3) uint8 RGB, 400 px wide, dark on white."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lipnet.metrics import words_right

WIDTH = 400  # px: TensorBoard shows a picture so wide without making it smaller
FONT = 11.0  # px
LINE = 15  # px, of a line of text
MARGIN = 4  # px
ROW = 12  # px, of a symbol of a posteriorgram
LABELS = 36  # px, left of a posteriorgram and of a matrix: their symbols
MAX_SYMBOLS = 40  # of a large alphabet, those that become most probable are shown
MAX_TICKS = 8  # of the time axis
TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)  # s between two
BAR, BAR_LABELS, BAR_WIDTH = 20, 80, 190  # px: height of a bar, room for its label, width of 100 %
WHITE, BLACK, GREY = (255, 255, 255), (0, 0, 0), (120, 120, 120)
BLUE, RED, ORANGE = (24, 54, 130), (200, 20, 20), (250, 130, 0)
NAMES = {" ": "space", "": "blank"}
Colour = tuple[int, int, int]


@lru_cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


def _sheet(height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (WIDTH, height), WHITE)
    return sheet, ImageDraw.Draw(sheet)


def _shade(values: np.ndarray, colour: Colour) -> np.ndarray:
    """Values from 0, white, to 1, ``colour``: (H, W) -> (H, W, 3) uint8. Small ones are raised."""
    depth = np.sqrt(np.clip(values, 0, 1))[..., None]
    return np.round(255 + depth * (np.array(colour) - 255)).astype(np.uint8)


def posteriorgram(
    log_probs: np.ndarray, symbols: Sequence[str], rate: float, name: str, target: str, text: str
) -> np.ndarray:
    """Symbols x time: the probability of each symbol in each step, and the greedy path in orange.

    Above it are the clip's name, the target, and what was read, with wrong words in red.

    Args:
        log_probs: (S, V), natural log-probabilities of a clip.
        symbols: the V symbols; "" is the blank.
        rate: steps a second.
        name, target, text: the clip's name, its sentence, and what was read.
    """
    rows = _most_probable(log_probs, MAX_SYMBOLS)
    top, room = MARGIN + 3 * LINE + MARGIN, WIDTH - LABELS - MARGIN
    sheet, draw = _sheet(top + len(rows) * ROW + LINE + MARGIN)
    _header(draw, name, target, text)
    steps = len(log_probs)
    shades = _shade(np.exp(log_probs[:, rows]).T, BLUE)
    how = cv2.INTER_AREA if steps > room else cv2.INTER_NEAREST
    sheet.paste(
        Image.fromarray(cv2.resize(shades, (room, len(rows) * ROW), interpolation=how)), (LABELS, top)
    )
    for row, symbol in enumerate(rows):
        label = NAMES.get(symbols[symbol], symbols[symbol])
        middle = top + row * ROW + ROW // 2
        draw.text((LABELS - MARGIN, middle), label, BLACK, _font(FONT), anchor="rm")
    places = {symbol: row for row, symbol in enumerate(rows)}
    for step, symbol in enumerate(log_probs.argmax(axis=1).tolist()):
        if symbol in places:
            middle = top + places[symbol] * ROW + ROW // 2
            left, right = (LABELS + round(at * room / steps) for at in (step, step + 1))
            draw.rectangle((left, middle - 1, max(left, right - 1), middle + 1), ORANGE)
    draw.rectangle((LABELS, top, LABELS + room - 1, top + len(rows) * ROW), outline=GREY)
    _time_axis(draw, top + len(rows) * ROW, room, steps / rate)
    return np.asarray(sheet)


def _header(draw: ImageDraw.ImageDraw, name: str, target: str, text: str) -> None:
    """The three lines above a posteriorgram."""
    draw.text((MARGIN, MARGIN), name, BLACK, _font(FONT))
    _words(draw, MARGIN + LINE, "said", [(word, BLACK) for word in target.split()])
    is_right = words_right(target, text)
    marked = [(word, BLACK if right else RED) for word, right in zip(text.split(), is_right, strict=True)]
    _words(draw, MARGIN + 2 * LINE, "read", marked)


def _most_probable(log_probs: np.ndarray, count: int) -> list[int]:
    """The ``count`` symbols that become most probable, in the order of the alphabet."""
    return sorted(np.argsort(-log_probs.max(axis=0), kind="stable")[:count].tolist())


def _words(draw: ImageDraw.ImageDraw, y: int, label: str, words: Sequence[tuple[str, Colour]]) -> None:
    """A line of words, each in its colour, as far as there is room."""
    draw.text((MARGIN, y), label, GREY, _font(FONT))
    x = float(LABELS)
    for word, colour in words:
        draw.text((x, y), word, colour, _font(FONT))
        x += _font(FONT).getlength(word) + 2 * MARGIN


def _time_axis(draw: ImageDraw.ImageDraw, y: int, room: int, seconds: float) -> None:
    """Ticks and their times below a posteriorgram; ``y``: its lower edge, px."""
    every = next((tick for tick in TICKS if seconds / tick <= MAX_TICKS), seconds)
    for number in range(int(seconds / every) + 1):
        x = LABELS + number * every / seconds * (room - 1)
        draw.line((x, y, x, y + 3), GREY)
        label = f"{number * every:g}{'' if number else ' s'}"
        anchor = "rt" if x > LABELS + room - 2 * MARGIN else "mt"
        draw.text((x, y + MARGIN), label, BLACK, _font(FONT - 1), anchor=anchor)


def confusion_matrix(counts: np.ndarray, labels: Sequence[str], title: str) -> np.ndarray:
    """What was said (rows) and what was read (columns), each cell with its count, shaded by the row's share.

    Args:
        counts: (N, N + 1) int; the last column counts what was read as none of the N.
        labels: of the N rows, a character each.
        title: above the matrix.
    """
    size = (WIDTH - LABELS - MARGIN) // counts.shape[1]
    size = min(size, 2 * ROW)
    top = MARGIN + 3 * LINE
    sheet, draw = _sheet(top + size * len(labels) + MARGIN)
    draw.text((MARGIN, MARGIN), title, BLACK, _font(FONT))
    draw.text(
        (MARGIN, MARGIN + LINE), "rows: said, columns: read (last: other or nothing)", GREY, _font(FONT)
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shades = _shade(shares, RED)
    np.fill_diagonal(correct := np.zeros(counts.shape, bool), True)
    shades[correct] = _shade(shares, BLUE)[correct]
    picture = cv2.resize(shades, None, fx=size, fy=size, interpolation=cv2.INTER_NEAREST)
    sheet.paste(Image.fromarray(picture), (LABELS, top))
    for place, label in enumerate([*labels, "-"]):
        middle = place * size + size // 2
        name = "_" if label == " " else label
        draw.text((LABELS + middle, top - 2), name, BLACK, _font(FONT), anchor="ms")
        if place < len(labels):
            draw.text((LABELS - MARGIN, top + middle), name, BLACK, _font(FONT), anchor="rm")
    for row, column in zip(*np.nonzero(counts), strict=True):
        x, y = (LABELS + column * size + size // 2, top + row * size + size // 2)
        colour = WHITE if shares[row, column] > 0.25 else BLACK
        text = str(counts[row, column])
        if _font(FONT - 2).getlength(text) <= size:
            draw.text((x, y), text, colour, _font(FONT - 2), anchor="mm")
    draw.rectangle((LABELS, top, LABELS + picture.shape[1], top + picture.shape[0]), outline=GREY)
    return np.asarray(sheet)


def error_bars(errors: Sequence[int], totals: Sequence[int], labels: Sequence[str], title: str) -> np.ndarray:
    """Error rates as horizontal bars, of one or more words each; the frame ends at 100 %."""
    top = MARGIN + LINE + MARGIN
    sheet, draw = _sheet(top + BAR * len(labels) + MARGIN)
    draw.text((MARGIN, MARGIN), title, BLACK, _font(FONT))
    for row, (wrong, total, label) in enumerate(zip(errors, totals, labels, strict=True)):
        y, rate = top + row * BAR, wrong / total
        draw.text((BAR_LABELS - MARGIN, y + BAR // 2), label, BLACK, _font(FONT), anchor="rm")
        end = BAR_LABELS + round(min(rate, 1) * BAR_WIDTH)
        draw.rectangle((BAR_LABELS, y + 3, end, y + BAR - 4), BLUE)
        draw.rectangle((BAR_LABELS, y + 3, BAR_LABELS + BAR_WIDTH, y + BAR - 4), outline=GREY)
        text = f"{100 * rate:.1f} % ({wrong}/{total})"
        draw.text((BAR_LABELS + BAR_WIDTH + 2 * MARGIN, y + BAR // 2), text, BLACK, _font(FONT), anchor="lm")
    return np.asarray(sheet)
