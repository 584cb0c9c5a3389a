"""Figures of an evaluation: (H, W, 3) uint8 RGB, 350 px wide, dark on white."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from lipnet import drawing
from lipnet.drawing import BLACK, BLUE, FONT, GREY, LABELS, LINE, MARGIN, ROW, WHITE, Colour, font, shade
from lipnet.metrics import words_right

WIDTH = 350  # px: as wide as TensorBoard shows pictures; others are resized without interpolation
BAR, BAR_LABELS, BAR_WIDTH = 20, 80, 150  # px: height of a bar, room for its label, width of 100 %
CELL_LABELS = 20  # px, left of a matrix
RED, GRID = (200, 20, 20), (225, 225, 225)


def _sheet(height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (WIDTH, height), WHITE)
    return sheet, ImageDraw.Draw(sheet)


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
    sheet, draw = _sheet(MARGIN + 3 * LINE)
    _header(draw, name, target, text)
    below = drawing.posteriorgram(log_probs, symbols, rate, WIDTH).picture
    return np.concatenate([np.asarray(sheet), below])


def _header(draw: ImageDraw.ImageDraw, name: str, target: str, text: str) -> None:
    """The three lines above a posteriorgram."""
    draw.text((MARGIN, MARGIN), name, BLACK, font(FONT))
    _words(draw, MARGIN + LINE, "said", [(word, BLACK) for word in target.split()])
    is_right = words_right(target, text)
    marked = [(word, BLACK if right else RED) for word, right in zip(text.split(), is_right, strict=True)]
    _words(draw, MARGIN + 2 * LINE, "read", marked)


def _words(draw: ImageDraw.ImageDraw, y: int, label: str, words: Sequence[tuple[str, Colour]]) -> None:
    """A line of words, each in its colour, as far as there is room."""
    draw.text((MARGIN, y), label, GREY, font(FONT))
    x = float(LABELS)
    for word, colour in words:
        draw.text((x, y), word, colour, font(FONT))
        x += font(FONT).getlength(word) + 2 * MARGIN


def confusion_matrix(counts: np.ndarray, labels: Sequence[str], title: str) -> np.ndarray:
    """What was said (rows) and what was read (columns), each cell with its count, shaded by the row's share.

    Args:
        counts: (N, N + 1) int; the last column counts what was read as none of the N.
        labels: of the N rows, a character each.
        title: above the matrix.
    """
    size = (WIDTH - CELL_LABELS - MARGIN) // counts.shape[1]
    size = min(size, 2 * ROW)
    top = MARGIN + 3 * LINE
    sheet, draw = _sheet(top + size * len(labels) + MARGIN)
    draw.text((MARGIN, MARGIN), title, BLACK, font(FONT))
    draw.text((MARGIN, MARGIN + LINE), "rows: said, columns: read (last: other or nothing)", GREY, font(FONT))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shades = shade(shares, RED)
    np.fill_diagonal(correct := np.zeros(counts.shape, bool), True)
    shades[correct] = shade(shares, BLUE)[correct]
    picture = cv2.resize(shades, None, fx=size, fy=size, interpolation=cv2.INTER_NEAREST)
    sheet.paste(Image.fromarray(picture), (CELL_LABELS, top))
    for place, label in enumerate([*labels, "-"]):
        draw.line((CELL_LABELS, top + place * size, CELL_LABELS + picture.shape[1], top + place * size), GRID)
        draw.line((CELL_LABELS + place * size, top, CELL_LABELS + place * size, top + picture.shape[0]), GRID)
        middle = place * size + size // 2
        name = "_" if label == " " else label
        draw.text((CELL_LABELS + middle, top - 2), name, BLACK, font(FONT), anchor="ms")
        if place < len(labels):
            draw.text((CELL_LABELS - MARGIN, top + middle), name, BLACK, font(FONT), anchor="rm")
    for row, column in zip(*np.nonzero(counts), strict=True):
        x, y = (CELL_LABELS + column * size + size // 2, top + row * size + size // 2)
        colour = WHITE if shares[row, column] > 0.25 else BLACK
        text = str(counts[row, column])
        if font(FONT - 2).getlength(text) <= size:
            draw.text((x, y), text, colour, font(FONT - 2), anchor="mm")
    draw.rectangle((CELL_LABELS, top, CELL_LABELS + picture.shape[1], top + picture.shape[0]), outline=GREY)
    return np.asarray(sheet)


def error_bars(errors: Sequence[int], totals: Sequence[int], labels: Sequence[str], title: str) -> np.ndarray:
    """Error rates as horizontal bars, of one or more words each; the frame ends at 100 %."""
    top = MARGIN + LINE + MARGIN
    sheet, draw = _sheet(top + BAR * len(labels) + MARGIN)
    draw.text((MARGIN, MARGIN), title, BLACK, font(FONT))
    for row, (wrong, total, label) in enumerate(zip(errors, totals, labels, strict=True)):
        y, rate = top + row * BAR, wrong / total
        draw.text((BAR_LABELS - MARGIN, y + BAR // 2), label, BLACK, font(FONT), anchor="rm")
        end = BAR_LABELS + round(min(rate, 1) * BAR_WIDTH)
        draw.rectangle((BAR_LABELS, y + 3, end, y + BAR - 4), BLUE)
        draw.rectangle((BAR_LABELS, y + 3, BAR_LABELS + BAR_WIDTH, y + BAR - 4), outline=GREY)
        text = f"{100 * rate:.1f} % ({wrong}/{total})"
        draw.text((BAR_LABELS + BAR_WIDTH + 2 * MARGIN, y + BAR // 2), text, BLACK, font(FONT), anchor="lm")
    return np.asarray(sheet)
