"""A transcript -> its words, and what the face finder saw, drawn into the pictures that it was read off."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.geometry import face_outline, warp
from lipnet.inference.transcript import TranscribedWord, Transcript

LINGER_S = 0.8  # how long a sentence stays after its last word
ROUNDING_S = 0.001  # of the words' times: without it a word could come one picture late
FONT_HEIGHT, FONT_WIDTH = 1 / 14, 1 / 16  # the font's size: of the picture's height, but at most of its width
MIN_FONT_SIZE = 12.0  # px
MAX_LINES = 3  # at once: a longer sentence turns the page, so that the face stays in sight
LINE = 1.25  # from one line to the next, in the font's size
MARGIN = 1 / 24  # of the picture's height below the text, of its width beside it
WHITE, HIGHLIGHT, BLACK = (255, 255, 255), (255, 235, 60), (0, 0, 0)
FOUND, FILLED_IN = (64, 255, 64), (255, 160, 32)
INSET = 0.35  # the mouth crop's largest share of the picture's width and height


class _State(NamedTuple):
    """A sentence, how many of its words have begun, and whether the last of these is being spoken."""

    words: tuple[TranscribedWord, ...]
    said: int
    speaking: bool


class CaptionOverlay:
    """A transcript's words, drawn into one picture after the other as they are spoken.

    Args:
        transcript: what was read off the pictures.
        debug: draw also the transcript's track, if it has one: the face's box and landmarks, green where
            they were found and orange where filled in, and the mouth crop in the corner.
    """

    def __init__(self, transcript: Transcript, debug: bool) -> None:
        self._sentences = sorted(transcript.sentences, key=lambda sentence: sentence.start)
        self._starts = [sentence.start for sentence in self._sentences]
        self._track, self._fps = transcript.track if debug else None, transcript.fps
        self._state: _State | None = None
        self._strip: _Strip | None = None

    def draw(self, rgb: np.ndarray, moment: float) -> None:
        """Draw into ``rgb``, (H, W, 3) uint8, shown ``moment`` seconds after the first picture."""
        if self._track is not None and len(self._track.found):
            index = min(round(moment * self._fps), len(self._track.found) - 1)
            _draw_track(rgb, self._track, index)
        state = self._due(moment + ROUNDING_S)
        if state != self._state:
            self._state, self._strip = state, _render(state, *rgb.shape[1::-1]) if state else None
        if self._strip is not None:
            self._strip.lay_on(rgb)

    def _due(self, moment: float) -> _State | None:
        """What is to be read: the latest sentence, until its time is over."""
        latest = bisect_right(self._starts, moment) - 1
        if latest < 0 or moment >= self._sentences[latest].end + LINGER_S:
            return None
        words = self._sentences[latest].words
        said = bisect_right([word.start for word in words], moment)
        return _State(tuple(words), said, moment < words[said - 1].end) if said else None


class _Strip(NamedTuple):
    """Text, ready to be laid on pictures."""

    left: int  # px
    top: int  # px
    ink: np.ndarray  # (h, w, 3) uint8, weighed by its opacity
    through: np.ndarray  # (h, w, 1) uint16, 0 ... 255: how much of the picture is seen through it

    def lay_on(self, rgb: np.ndarray) -> None:
        height, width = self.ink.shape[:2]
        below = rgb[self.top : self.top + height, self.left : self.left + width]
        below[...] = self.ink + (below * self.through // 255).astype(np.uint8)


def _render(state: _State, width: int, height: int) -> _Strip:
    """The words said so far, each where it will stand among all, for pictures of width x height px."""
    words = [word.word for word in state.words]
    font, size = _font(words, width, height)
    widths, space = [font.getlength(word) for word in words], font.getlength(" ")
    lines = _page(_wrap(widths, space, width * (1 - 2 * MARGIN)), state.said - 1)
    image = Image.new("RGBA", (width, height))
    pen = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        x = (width - sum(widths[index] + space for index in line) + space) / 2
        y = height * (1 - MARGIN) - size * (0.3 + LINE * (len(lines) - 1 - row))  # where letters stand
        for index in line:
            if index < state.said:
                colour = HIGHLIGHT if state.speaking and index == state.said - 1 else WHITE
                outline = max(1, round(size / 12))
                pen.text((x, y), words[index], colour, font, "ls", stroke_width=outline, stroke_fill=BLACK)
            x += widths[index] + space
    left, top, right, bottom = image.getbbox() or (0, 0, 1, 1)
    pixels = np.asarray(image)[top:bottom, left:right]  # on empty ground Pillow weighs colours by opacity
    return _Strip(left, top, pixels[..., :3], 255 - pixels[..., 3:].astype(np.uint16))


def _font(words: Sequence[str], width: int, height: int) -> tuple[ImageFont.FreeTypeFont, float]:
    """A font in which the longest word fits into the picture, and its size in px."""
    size = max(MIN_FONT_SIZE, min(height * FONT_HEIGHT, width * FONT_WIDTH))
    longest = max(ImageFont.load_default(size).getlength(word) for word in words)
    size *= min(1.0, width * (1 - 3 * MARGIN) / max(longest, 1.0))
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size)), size


def _wrap(widths: Sequence[float], space: float, room: float) -> list[list[int]]:
    """The words, by index, in as few lines as the room allows, and these as even as can be."""
    fewest = len(_fill(widths, space, room))
    tries = (_fill(widths, space, room * share / 16) for share in range(4, 17))
    return next(lines for lines in tries if len(lines) == fewest)


def _fill(widths: Sequence[float], space: float, room: float) -> list[list[int]]:
    lines: list[list[int]] = []
    used = math.inf
    for index, width in enumerate(widths):
        if used + space + width > room:
            lines.append([])
            used = -space
        lines[-1].append(index)
        used += space + width
    return lines


def _page(lines: list[list[int]], word: int) -> list[list[int]]:
    """The lines that are shown together with that word's."""
    row = next(row for row, line in enumerate(lines) if word in line)
    first = row - row % MAX_LINES
    return lines[first : first + MAX_LINES]


def _draw_track(rgb: np.ndarray, track: FaceTrack, index: int) -> None:
    landmarks, crop_size = track.landmarks[index], track.crop_size
    if np.isnan(landmarks).any():  # no face anywhere near
        return
    mouth = warp(rgb, track.to_crop[index], crop_size)  # before anything is drawn on it
    colour = FOUND if track.found[index] else FILLED_IN
    line = max(2, round(min(rgb.shape[:2]) / 200))  # px wide: colour is stored for every other px only
    left, top, right, bottom = np.rint(face_outline(landmarks, track.layout)).astype(int).tolist()
    cv2.rectangle(rgb, (left, top), (right, bottom), colour, line)
    for point in np.rint(landmarks * 16).astype(int).tolist():
        cv2.circle(rgb, point, 12 * line, colour, cv2.FILLED, cv2.LINE_AA, shift=4)  # in sixteenths of a px
    enlarge = INSET * min(rgb.shape[0] / crop_size[1], rgb.shape[1] / crop_size[0])
    size = [max(1, round(side * enlarge)) for side in crop_size]
    inset = cv2.resize(mouth, size, interpolation=cv2.INTER_CUBIC)
    rgb[: size[1] + 2 * line, : size[0] + 2 * line] = WHITE
    rgb[line : line + size[1], line : line + size[0]] = inset
