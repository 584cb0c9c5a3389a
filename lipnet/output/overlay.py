"""Captions drawn into the pictures of a video, and the face track for debugging."""

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

LINGER_S = 0.8  # for which a sentence stays after its last word
ROUNDING_S = 0.001  # precision of the words' times; without it a word could appear one picture late
FONT_HEIGHT, FONT_WIDTH = 1 / 14, 1 / 16  # font size / picture height, and its maximum / width
MIN_FONT_SIZE = 12.0  # px
MAX_LINES = 3  # shown at once, so that the text does not hide the face
LINE_SPACING = 1.25  # in font sizes
MARGIN = 1 / 24  # of the picture's height below the text, and of its width on each side
WHITE, HIGHLIGHT, BLACK = (255, 255, 255), (255, 235, 60), (0, 0, 0)
FOUND, FILLED_IN = (64, 255, 64), (255, 160, 32)
INSET = 0.35  # maximum size of the mouth crop, relative to the picture's width and height


class _Caption(NamedTuple):
    """What is shown at one time: a sentence up to the word that started last."""

    words: tuple[TranscribedWord, ...]
    shown: int  # how many of the words
    speaking: bool  # whether the last of these has not ended


class CaptionOverlay:
    """Draws a transcript's words into successive pictures, each from when it is spoken.

    Args:
        transcript: of the video.
        debug: also draw the transcript's track, if it has one: the face's box and landmarks, green where
            detected and orange where interpolated, and the mouth crop in the corner.
        inset: False leaves out that crop.
    """

    def __init__(self, transcript: Transcript, debug: bool, inset: bool = True) -> None:
        self._inset = inset
        self._sentences = sorted(transcript.sentences, key=lambda sentence: sentence.start)
        self._starts = [sentence.start for sentence in self._sentences]
        self._track, self._fps = transcript.track if debug else None, transcript.fps
        self._caption: _Caption | None = None
        self._text: _RenderedText | None = None

    def draw(self, rgb: np.ndarray, elapsed: float) -> None:
        """Draw into ``rgb``, (H, W, 3) uint8, in place; ``elapsed`` is in seconds since the first picture."""
        if self._track is not None and len(self._track.found):
            index = min(round(elapsed * self._fps), len(self._track.found) - 1)
            _draw_track(rgb, self._track, index, self._inset)
        caption = self._caption_at(elapsed + ROUNDING_S)
        if caption != self._caption:
            self._caption, self._text = caption, _render(caption, *rgb.shape[1::-1]) if caption else None
        if self._text is not None:
            self._text.blend_into(rgb)

    def _caption_at(self, elapsed: float) -> _Caption | None:
        """The last sentence that has started, if it is still shown."""
        latest = bisect_right(self._starts, elapsed) - 1
        if latest < 0 or elapsed >= self._sentences[latest].end + LINGER_S:
            return None
        words = self._sentences[latest].words
        shown = bisect_right([word.start for word in words], elapsed)
        return _Caption(tuple(words), shown, elapsed < words[shown - 1].end) if shown else None


class _RenderedText(NamedTuple):
    """An image of h x w px to blend into pictures."""

    left: int  # px
    top: int  # px
    colour: np.ndarray  # (h, w, 3) uint8, premultiplied by opacity
    transparency: np.ndarray  # (h, w, 1) uint16, 0 to 255

    def blend_into(self, rgb: np.ndarray) -> None:
        height, width = self.colour.shape[:2]
        below = rgb[self.top : self.top + height, self.left : self.left + width]
        below[...] = self.colour + (below * self.transparency // 255).astype(np.uint8)


def _render(caption: _Caption, width: int, height: int) -> _RenderedText:
    """Render a caption for pictures of width x height px; words do not move while others are added."""
    words = [word.word for word in caption.words]
    font, size = _font(words, width, height)
    widths, space = [font.getlength(word) for word in words], font.getlength(" ")
    lines = _visible_lines(_wrap(widths, space, width * (1 - 2 * MARGIN)), caption.shown - 1)
    image = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        x = (width - sum(widths[index] + space for index in line) + space) / 2
        y = height * (1 - MARGIN) - size * (0.3 + LINE_SPACING * (len(lines) - 1 - row))  # the baseline
        for index in line:
            if index < caption.shown:
                colour = HIGHLIGHT if caption.speaking and index == caption.shown - 1 else WHITE
                stroke = max(1, round(size / 12))
                draw.text((x, y), words[index], colour, font, "ls", stroke_width=stroke, stroke_fill=BLACK)
            x += widths[index] + space
    left, top, right, bottom = image.getbbox() or (0, 0, 1, 1)
    pixels = np.asarray(image)[top:bottom, left:right]  # Pillow premultiplies colours over nothing
    return _RenderedText(left, top, pixels[..., :3], 255 - pixels[..., 3:].astype(np.uint16))


def _font(words: Sequence[str], width: int, height: int) -> tuple[ImageFont.FreeTypeFont, float]:
    """A font in which the longest word fits into the picture, and the font's size in px."""
    size = max(MIN_FONT_SIZE, min(height * FONT_HEIGHT, width * FONT_WIDTH))
    longest = max(ImageFont.load_default(size).getlength(word) for word in words)
    size *= min(1.0, width * (1 - 3 * MARGIN) / max(longest, 1.0))
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size)), size


def _wrap(widths: Sequence[float], space: float, room: float) -> list[list[int]]:
    """Break words into as few lines as fit into ``room`` px, of lengths as equal as possible.

    Returns the words' indices in each line. ``widths`` and ``space`` are in px.
    """
    fewest = len(_fill(widths, space, room))
    tries = (_fill(widths, space, room * share / 16) for share in range(4, 17))
    return next(lines for lines in tries if len(lines) == fewest)


def _fill(widths: Sequence[float], space: float, room: float) -> list[list[int]]:
    """Break words into lines, each as full as possible."""
    lines: list[list[int]] = []
    used = math.inf
    for index, width in enumerate(widths):
        if used + space + width > room:
            lines.append([])
            used = -space
        lines[-1].append(index)
        used += space + width
    return lines


def _visible_lines(lines: list[list[int]], word: int) -> list[list[int]]:
    """The lines shown with that of ``word``: lines are shown MAX_LINES at a time."""
    row = next(row for row, line in enumerate(lines) if word in line)
    first = row - row % MAX_LINES
    return lines[first : first + MAX_LINES]


def _draw_track(rgb: np.ndarray, track: FaceTrack, index: int, inset: bool) -> None:
    """Draw frame ``index`` of a track into ``rgb``, in place; ``inset``: with the mouth crop."""
    landmarks = track.landmarks[index]
    if np.isnan(landmarks).any():  # no face in this frame or near it
        return
    mouth = warp(rgb, track.to_crop[index], track.crop_size)  # before the landmarks are drawn
    colour = FOUND if track.found[index] else FILLED_IN
    line = max(2, round(min(rgb.shape[:2]) / 200))  # px; in YUV 4:2:0, colours have half the resolution
    left, top, right, bottom = np.rint(face_outline(landmarks, track.layout)).astype(int).tolist()
    cv2.rectangle(rgb, (left, top), (right, bottom), colour, line)
    for point in np.rint(landmarks * 16).astype(int).tolist():
        cv2.circle(rgb, point, 12 * line, colour, cv2.FILLED, cv2.LINE_AA, shift=4)  # in sixteenths of a px
    if inset:
        _draw_inset(rgb, mouth, line)


def _draw_inset(rgb: np.ndarray, mouth: np.ndarray, line: int) -> None:
    """Draw a mouth crop (h, w, 3) into the corner of ``rgb``, with an edge of ``line`` px."""
    height, width = mouth.shape[:2]
    enlarge = INSET * min(rgb.shape[0] / height, rgb.shape[1] / width)
    size = [max(1, round(side * enlarge)) for side in (width, height)]
    rgb[: size[1] + 2 * line, : size[0] + 2 * line] = WHITE
    rgb[line : line + size[1], line : line + size[0]] = cv2.resize(mouth, size, interpolation=cv2.INTER_CUBIC)
