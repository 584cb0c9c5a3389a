"""Figures of the report: SVG, in which lines and texts have the page's text colour, and strips of crops."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lipnet.analysis.confusion import Confusion
from lipnet.analysis.words import Band, Bin
from lipnet.decoding.base import Floats
from lipnet.drawing import probable_symbols

INK = "#123456"  # in the SVG replaced by the page's text colour
BLUE, ORANGE = "#3b82c4", "#e08a1e"  # seen on white and on black
COLOURS = (BLUE, ORANGE, "#3f9d5a", "#c0504d", "#8a6fc0")
SHOWN = 0.05  # symbols that are never so probable, nor the most probable one, have no row
CROPS = 15  # of a clip
HEAT = np.array([255, 60, 0])  # RGB of what moved the output most
STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=COLOURS),
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}


def _axes(width: float, height: float) -> Axes:
    """``width`` and ``height`` of the figure in inches."""
    axes: Axes = Figure((width, height), layout="constrained").subplots()
    return axes


def _svg(axes: Axes, name: str) -> str:
    """``name`` must differ between the figures of a page: the ids of clip paths are made of it."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    file = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r'<g id="[^"]*"', "<g", text)


@matplotlib.rc_context(STYLE)
def bars(
    labels: Sequence[str], rates: Sequence[float], intervals: Sequence[tuple[float, float]], name: str
) -> str:
    """Word error rates with their intervals, as fractions."""
    axes = _axes(6, 0.6 + 0.28 * len(labels))
    values = 100 * np.array(rates)
    ends = 100 * np.array(intervals).reshape(-1, 2)
    errors = np.maximum(np.abs(ends.T - values), 0) if len(ends) else None
    axes.barh(range(len(labels)), values, color=BLUE, xerr=errors, ecolor=INK, height=0.7)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("word error rate (%)")
    return _svg(axes, name)


@matplotlib.rc_context(STYLE)
def confusion(table: Confusion, name: str) -> str:
    """Shares of each row; the sums of rows are 1."""
    size = 1.2 + 0.2 * len(table.symbols)
    axes = _axes(size + 0.8, size)
    picture = axes.imshow(np.sqrt(table.shares), vmin=0, vmax=1)
    for ticks in (axes.set_xticks, axes.set_yticks):
        ticks(range(len(table.symbols)), table.symbols, fontsize=7)
    axes.set_xlabel("read")
    axes.set_ylabel("said")
    bar = axes.figure.colorbar(picture, ax=axes, shrink=0.6, ticks=np.sqrt([0, 0.01, 0.1, 0.5, 1]))
    bar.ax.set_yticklabels(["0", "1 %", "10 %", "50 %", "100 %"])
    return _svg(axes, name)


@matplotlib.rc_context(STYLE)
def calibration(bins: Sequence[Bin], name: str) -> str:
    """Fraction of right words against confidence."""
    axes = _axes(3.6, 3.4)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    axes.plot([one.confidence for one in bins], [one.accuracy for one in bins], marker="o")
    axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="mean confidence", ylabel="fraction of words right")
    return _svg(axes, name)


@matplotlib.rc_context(STYLE)
def time_errors(errors: Floats, name: str) -> str:
    """Histogram of (N, 2) ms."""
    axes = _axes(5, 2.6)
    edges = np.arange(-420, 421, 40) - 20
    shown = np.clip(errors, edges[0], edges[-1])
    axes.hist([shown[:, 0], shown[:, 1]], edges.tolist(), label=["start", "end"])
    axes.set(xlabel="time found minus time in the alignment (ms)", ylabel="words")
    axes.legend()
    return _svg(axes, name)


@matplotlib.rc_context(STYLE)
def rates_by_band(bands: Sequence[Band], unit: str, name: str) -> str:
    """Word error rate of clips by length or speed."""
    axes = _axes(4, 2.4)
    axes.bar(range(len(bands)), [100 * band.errors / max(band.words, 1) for band in bands], color=BLUE)
    axes.set_xticks(range(len(bands)), [f"{band.low:.2g} to {band.high:.2g}" for band in bands])
    axes.set(xlabel=unit, ylabel="word error rate (%)")
    return _svg(axes, name)


@matplotlib.rc_context(STYLE)
def posteriorgram(log_probs: np.ndarray, symbols: Sequence[str], rate: float, name: str) -> str:
    """(S, V) natural log-probabilities, ``rate`` steps a second, with the greedy path."""
    rows = probable_symbols(log_probs, SHOWN)
    axes = _axes(7, 0.6 + 0.15 * len(rows))
    extent = (0.0, len(log_probs) / rate, len(rows) - 0.5, -0.5)
    axes.imshow(np.exp(log_probs[:, rows].T / 2), vmin=0, vmax=1, aspect="auto", extent=extent)
    place = {row: i for i, row in enumerate(rows)}
    path = [
        (step, place[symbol])
        for step, symbol in enumerate(log_probs.argmax(axis=1).tolist())
        if symbol in place
    ]
    axes.plot(
        [(step + 0.5) / rate for step, _ in path], [i for _, i in path], ".", color=ORANGE, markersize=3
    )
    axes.set_yticks(range(len(rows)), [symbols[row] for row in rows], fontsize=7)
    axes.set_xlabel("s")
    return _svg(axes, name)


@matplotlib.rc_context(STYLE)
def curves(lines: Mapping[str, Sequence[tuple[int, float]]], label: str, name: str) -> str:
    """Curves by epoch."""
    axes = _axes(5, 2.8)
    for title, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 50 else None, label=title)
    axes.set(xlabel="epoch", ylabel=label)
    axes.set_ylim(bottom=0)
    axes.legend()
    return _svg(axes, name)


def crop_strip(frames: np.ndarray) -> str:
    """CROPS crops, evenly from (T, H, W, 3) uint8 RGB, side by side; a data URI."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, CROPS).round().astype(int))
    return data_uri(np.concatenate(list(frames[chosen]), axis=1))


def saliency_strip(frames: np.ndarray, saliency: np.ndarray) -> str:
    """Crops above the same in grey with their saliency; a data URI.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        saliency: (T, H, W), from 0 to 1.
    """
    grey = frames.mean(axis=3, keepdims=True).repeat(3, axis=3) * 0.6
    heat = saliency[..., None]
    marked = (grey * (1 - heat) + HEAT * heat).astype(np.uint8)
    rows = [np.concatenate(list(part), axis=1) for part in (frames, marked)]
    return data_uri(np.concatenate(rows, axis=0))


def data_uri(picture: np.ndarray) -> str:
    """(H, W, 3) uint8 RGB -> ``data:image/png;base64,...``."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return f"data:image/png;base64,{base64.b64encode(encoded.tobytes()).decode()}"
