"""Charts of the report: SVG, in which lines and texts have the page's text colour."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lipnet.analysis.confusion import Confusion
from lipnet.analysis.words import Bin
from lipnet.decoding.base import Floats

INK = "#123456"  # in the SVG replaced by the page's text colour
BLUE, ORANGE = "#3b82c4", "#e08a1e"  # seen on white and on black
COLOURS = (BLUE, ORANGE, "#3f9d5a", "#c0504d", "#8a6fc0")
MAX_SYMBOLS = 45  # of a confusion matrix
TIME_LIMIT = 420  # ms: larger errors are in the outermost bars of their histogram
WIDTH = 4.6  # inches: two figures are beside each other
RASTER = 144  # dots an inch, of pictures within a figure
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


def axes_of(width: float, height: float) -> Axes:
    """Axes that fill a figure; ``width`` and ``height`` in inches."""
    axes: Axes = Figure((width, height), layout="constrained").subplots()
    return axes


def svg_of(axes: Axes, name: str) -> str:
    """``name`` must differ between the figures of a page: the ids of clip paths are made of it."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    file = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # Texts are drawn by the browser, which has more fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        metadata = {"Date": None, "Creator": None}
        figure.savefig(file, format="svg", transparent=True, metadata=metadata, dpi=RASTER)
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r'<g id="[^"]*"', "<g", text)


def shades(values: Floats, colour: str) -> Floats:
    """(H, W) from 0 to 1 -> (H, W, 4) RGBA: the more opaque, the larger; small values are raised."""
    opacity = np.sqrt(np.clip(values, 0, 1))[..., None]
    return np.concatenate([np.broadcast_to(to_rgb(colour), (*values.shape, 3)), opacity], axis=2)


@matplotlib.rc_context(STYLE)
def bars(
    labels: Sequence[str], rates: Sequence[float], intervals: Sequence[tuple[float, float]], name: str
) -> str:
    """Word error rates with their intervals, as fractions."""
    axes = axes_of(WIDTH, 0.6 + 0.28 * len(labels))
    values = 100 * np.array(rates)
    ends = 100 * np.array(intervals).reshape(-1, 2)
    errors = np.maximum(np.abs(ends.T - values), 0) if len(ends) else None
    axes.barh(range(len(labels)), values, color=BLUE, xerr=errors, ecolor=INK, height=0.7)
    for row, (value, high) in enumerate(zip(values, ends[:, 1], strict=True)):
        axes.annotate(
            f"{value:.1f}", (high, row), (5, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.margins(x=0.1)
    axes.set_xlabel("word error rate (%), 95 % interval")
    return svg_of(axes, name)


@matplotlib.rc_context(STYLE)
def confusion(table: Confusion, name: str, rows: Mapping[str, str] | None = None) -> str:
    """Counts of errors, on shares of each row: blue what was right, orange the errors.

    Of large alphabets, the MAX_SYMBOLS symbols in most errors. ``rows``: longer labels of some rows.
    """
    shown = table.most_confused(MAX_SYMBOLS)
    symbols, counts = [table.symbols[i] for i in shown], table.counts[np.ix_(shown, shown)]
    shares, count = table.shares[np.ix_(shown, shown)], len(shown)
    room = 0.06 * max((len(label) for label in (rows or {}).values()), default=0)  # inches, of their labels
    axes = axes_of(0.9 + room + 0.22 * count, 0.7 + 0.22 * count)
    is_right = np.eye(count, dtype=bool)
    cells = np.where(is_right[..., None], shades(shares, BLUE), shades(shares, ORANGE))
    axes.imshow(cells, interpolation="nearest", aspect="auto")
    for row, column in np.argwhere((counts > 0) & ~is_right).tolist():
        number = str(counts[row, column])
        axes.text(column, row, number, ha="center", va="center", fontsize=7 if len(number) < 3 else 5)
    axes.set_xticks(range(count), symbols, fontsize=8)
    axes.set_yticks(range(count), [(rows or {}).get(symbol, symbol) for symbol in symbols], fontsize=8)
    axes.tick_params(top=True, labeltop=True, length=0)
    for ticks in (axes.set_xticks, axes.set_yticks):
        ticks(np.arange(count + 1) - 0.5, minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(which="minor", color=INK, alpha=0.15, linewidth=0.5)
    axes.set(xlabel="read", ylabel="said")
    return svg_of(axes, name)


@matplotlib.rc_context(STYLE)
def calibration(bins: Sequence[Bin], name: str) -> str:
    """Fraction of right words against confidence."""
    axes = axes_of(4, 3.8)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    axes.plot([one.confidence for one in bins], [one.accuracy for one in bins], marker="o", clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean confidence", ylabel="fraction of words right")
    return svg_of(axes, name)


@matplotlib.rc_context(STYLE)
def time_errors(errors: Floats, name: str) -> str:
    """Histogram of (N, 2) ms."""
    axes = axes_of(WIDTH, 2.6)
    edges = np.arange(-TIME_LIMIT, TIME_LIMIT + 1, 40)
    shown = np.clip(errors, edges[0], edges[-1])
    axes.hist([shown[:, 0], shown[:, 1]], edges.tolist(), label=["start", "end"])
    axes.set(xlabel="time found minus time in the alignment (ms)", ylabel="words")
    axes.legend()
    return svg_of(axes, name)


@matplotlib.rc_context(STYLE)
def curves(lines: Mapping[str, Sequence[tuple[int, float]]], label: str, name: str) -> str:
    """Curves by epoch."""
    axes = axes_of(WIDTH, 2.8)
    for title, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 50 else None, label=title)
    axes.set(xlabel="epoch", ylabel=label)
    axes.set_ylim(bottom=0)
    axes.legend()
    return svg_of(axes, name)
