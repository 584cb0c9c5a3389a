"""Pictures of network outputs: dark on white, (H, W, 3) uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

MARGIN = 4  # px
LINE = 15  # px, of a line of text
FONT = 11.0  # px
ROW = 12  # px, of a symbol of a posteriorgram
LABELS = 36  # px, left of a posteriorgram: its symbols
MAX_SYMBOLS = 40  # of a large alphabet, those that become most probable are shown
MAX_TICKS = 8  # of the time axis
TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)  # s between two
WHITE, BLACK, GREY, PALE = (255, 255, 255), (0, 0, 0), (120, 120, 120), (228, 231, 236)
BLUE, ORANGE = (24, 54, 130), (250, 130, 0)
NAMES = {" ": "space", "": "blank"}
Colour = tuple[int, int, int]


class Posteriorgram(NamedTuple):
    """A picture of symbols x time, and where in it the field of probabilities is."""

    picture: np.ndarray  # (H, W, 3) uint8 RGB
    left: int  # px
    top: int  # px
    width: int  # px: the whole time
    height: int  # px


@lru_cache
def font(size: float) -> ImageFont.FreeTypeFont:
    """Pillow's own font; ``size`` is in px."""
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


def shade(values: np.ndarray, colour: Colour) -> np.ndarray:
    """Values from 0, white, to 1, ``colour``: (H, W) -> (H, W, 3) uint8. Small ones are raised."""
    depth = np.sqrt(np.clip(values, 0, 1))[..., None]
    return np.round(255 + depth * (np.array(colour) - 255)).astype(np.uint8)


def posteriorgram(
    log_probs: np.ndarray,
    symbols: Sequence[str],
    rate: float,
    width: int,
    shown: float = 0.0,
    path: np.ndarray | None = None,
) -> Posteriorgram:
    """Symbols x time: the probability of each symbol in each step, and a path through them in orange.

    Args:
        log_probs: (S, V), natural log-probabilities of a clip.
        symbols: the V symbols; "" is the blank.
        rate: steps a second.
        width: of the picture, px; its height follows from the number of rows.
        shown: symbols that are never so probable, and are not on the path, have no row.
        path: (S,) int, the symbol of each step, each with a row; None: the most probable ones.
    """
    rows = probable_symbols(log_probs, shown)
    if path is None:
        path = log_probs.argmax(axis=1)
    else:
        rows = sorted({*rows, *path.tolist()})
    room, height, steps = width - LABELS - MARGIN, len(rows) * ROW, len(log_probs)
    sheet = Image.new("RGB", (width, MARGIN + height + LINE + MARGIN), WHITE)
    draw = ImageDraw.Draw(sheet)
    shades = shade(np.exp(log_probs[:, rows]).T, BLUE)
    how = cv2.INTER_AREA if steps > room else cv2.INTER_NEAREST
    sheet.paste(Image.fromarray(cv2.resize(shades, (room, height), interpolation=how)), (LABELS, MARGIN))
    for y in range(MARGIN + ROW, MARGIN + height, ROW):
        draw.line((LABELS, y, LABELS + room - 1, y), PALE)
    middles = {symbol: MARGIN + place * ROW + ROW // 2 for place, symbol in enumerate(rows)}
    for symbol, middle in middles.items():
        label = NAMES.get(symbols[symbol], symbols[symbol])
        draw.text((LABELS - MARGIN, middle), label, BLACK, font(FONT), anchor="rm")
    _path(draw, [middles.get(symbol) for symbol in path.tolist()], room)
    draw.rectangle((LABELS, MARGIN, LABELS + room - 1, MARGIN + height), outline=GREY)
    _time_axis(draw, MARGIN + height, room, steps / rate)
    return Posteriorgram(np.asarray(sheet), LABELS, MARGIN, room, height)


def _path(draw: ImageDraw.ImageDraw, middles: Sequence[int | None], room: int) -> None:
    """Mark each step at its height, px; None: the symbol has no row."""
    for step, middle in enumerate(middles):
        if middle is not None:
            left, right = (LABELS + round(at * room / len(middles)) for at in (step, step + 1))
            draw.rectangle((left, middle - 1, max(left, right - 1), middle + 1), ORANGE)


def probable_symbols(log_probs: np.ndarray, shown: float = 0.0) -> list[int]:
    """The MAX_SYMBOLS symbols that become most probable, in the order of the alphabet.

    Args:
        log_probs: (S, V), natural log-probabilities.
        shown: symbols that are never so probable, nor the most probable one, are left out.
    """
    highest = log_probs.max(axis=0)
    rows = np.argsort(-highest, kind="stable")[:MAX_SYMBOLS]
    is_shown = np.exp(highest) >= shown
    is_shown[log_probs.argmax(axis=1)] = True
    return sorted(rows[is_shown[rows]].tolist())


def _time_axis(draw: ImageDraw.ImageDraw, y: int, room: int, seconds: float) -> None:
    """Ticks and their times below a posteriorgram; ``y``: its lower edge, px."""
    every = next((tick for tick in TICKS if seconds / tick <= MAX_TICKS), seconds)
    for number in range(int(seconds / every) + 1):
        x = LABELS + number * every / seconds * (room - 1)
        draw.line((x, y, x, y + 3), GREY)
        label = f"{number * every:g}{'' if number else ' s'}"
        anchor = "rt" if x > LABELS + room - 2 * MARGIN else "mt"
        draw.text((x, y + MARGIN), label, BLACK, font(FONT - 1), anchor=anchor)
