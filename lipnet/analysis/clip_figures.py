"""Figures of single clips: mouth crops, words and posteriorgram on one time axis; saliency of a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipnet.analysis.figures import BLUE, INK, ORANGE, STYLE, axes_of, shades, svg_of
from lipnet.drawing import NAMES, probable_symbols

WIDTH = 10.2  # inches, of the figure of a clip
LABELS = 0.6  # inches, left of its axes
CROPS = 15  # of a clip
CROP_WIDTH = 1.0  # inches, at most, of a salient frame
SHOWN = 0.05  # symbols that are never so probable, nor the most probable one, have no row
GAP = 0.01  # s, between two words
RED = "#d0463b"  # seen on white and on black
HEAT = np.array([255, 60, 0])  # RGB of what moved the output most
BLUR = 1.0  # px, standard deviation: single pixels cannot be seen


class TimedWord(NamedTuple):
    """A word and its times in seconds."""

    text: str
    start: float
    end: float
    right: bool = True


@matplotlib.rc_context(STYLE)
def clip_figure(
    frames: np.ndarray,
    words: Mapping[str, Sequence[TimedWord]],
    log_probs: np.ndarray,
    symbols: Sequence[str],
    rate: float,
    name: str,
) -> str:
    """Crops, words and the probability of each symbol by time, with the greedy path; SVG.

    Args:
        frames: (T, H, W, 3) uint8 RGB; without pixels there is no strip of crops.
        words: lines of words, by the label of the line.
        log_probs: (S, V), natural log-probabilities.
        symbols: the V symbols; "" is the blank.
        rate: steps a second.
        name: differs between the figures of a page.
    """
    seconds = len(log_probs) / rate
    lines = {label: line for label, line in words.items() if line}
    rows = probable_symbols(log_probs, SHOWN)
    crop_height = (WIDTH - LABELS) / CROPS * frames.shape[1] / frames.shape[2] if frames.size else 0
    heights = [height for height in (crop_height, 0.22 * len(lines)) if height] + [0.15 * len(rows)]
    figure = Figure((WIDTH, sum(heights) + 0.5 + 0.1 * len(heights)), layout="constrained")
    every = list(figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    remaining = iter(every)
    if crop_height:
        _draw_crops(next(remaining), frames, seconds)
    if lines:
        _draw_words(next(remaining), lines)
    _draw_probabilities(every[-1], log_probs[:, rows], rate)
    every[-1].set_yticks(
        range(len(rows)), [NAMES.get(symbols[row], symbols[row]) for row in rows], fontsize=8
    )
    every[-1].set(xlabel="s", xlim=(0, seconds))
    return svg_of(every[-1], name)


def _draw_crops(axes: Axes, frames: np.ndarray, seconds: float) -> None:
    middles = ((np.arange(CROPS) + 0.5) / CROPS * len(frames)).astype(int)
    strip = np.concatenate(list(frames[middles]), axis=1)
    axes.imshow(strip, extent=(0, seconds, 0, 1), aspect="auto")
    axes.axis("off")


def _draw_words(axes: Axes, lines: dict[str, Sequence[TimedWord]]) -> None:
    for place, line in enumerate(lines.values()):
        for text, start, end, right in line:
            width = max(end - start - GAP, GAP)
            axes.barh(place, width, left=start, height=0.8, color=BLUE if right else RED, alpha=0.25)
            colour = INK if right else RED
            axes.text((start + end) / 2, place, text, ha="center", va="center", color=colour, clip_on=True)
    axes.set_yticks(range(len(lines)), list(lines), fontsize=8)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.tick_params(length=0, labelbottom=False)
    axes.spines[:].set_visible(False)


def _draw_probabilities(axes: Axes, log_probs: np.ndarray, rate: float) -> None:
    """(S, R) natural log-probabilities of the R symbols that have a row."""
    extent = (0.0, len(log_probs) / rate, log_probs.shape[1] - 0.5, -0.5)
    cells = shades(np.exp(log_probs.T.astype(np.float64)), BLUE)
    axes.imshow(cells, aspect="auto", extent=extent, interpolation="nearest")
    times = (np.arange(len(log_probs)) + 0.5) / rate
    axes.plot(times, log_probs.argmax(axis=1), ".", color=ORANGE, markersize=3)


@matplotlib.rc_context(STYLE)
def saliency_figure(frames: np.ndarray, saliency: np.ndarray, labels: Sequence[str], name: str) -> str:
    """Crops, below them the same in grey with their saliency, and a label for each frame; SVG.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        saliency: (T, H, W), from 0 to 1.
        labels: T texts.
        name: differs between the figures of a page.
    """
    grey = frames.mean(axis=3, keepdims=True).repeat(3, axis=3) * 0.6
    smooth = np.stack([cv2.GaussianBlur(one, (0, 0), BLUR) for one in saliency.astype(np.float32)])
    heat = (smooth / max(float(smooth.max()), 1e-12))[..., None]
    marked = (grey * (1 - heat) + HEAT * heat).astype(np.uint8)
    count, height, width, _ = frames.shape
    shown = np.concatenate([np.concatenate(list(part), axis=1) for part in (frames, marked)], axis=0)
    each = min(CROP_WIDTH, WIDTH / count)
    axes = axes_of(each * count + 0.1, 2 * each * height / width + 0.3)
    axes.imshow(shown, aspect="auto")
    axes.set_xticks(width * (np.arange(count) + 0.5), labels)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return svg_of(axes, name)
