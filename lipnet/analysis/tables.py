"""The numbers of the report as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from lipnet.analysis.confusion import Confusion
from lipnet.analysis.rates import Interval, Rates
from lipnet.analysis.words import ReadWord
from lipnet.utils.files import as_bytes, write_atomically

RATE_COLUMNS = ("wer", "wer_low", "wer_high", "cer", "cer_low", "cer_high", "word_errors", "words", "clips")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file atomically; floats have six digits behind the point."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in row])
    write_atomically(path, as_bytes(text.getvalue()))


def rate_row(rates: Rates) -> list[object]:
    """The values of RATE_COLUMNS."""
    counts = rates.counts
    return [
        counts.wer,
        *rates.wer,
        counts.cer,
        *rates.cer,
        counts.word_errors,
        counts.words,
        counts.sentences,
    ]


def write_confusion(path: Path, confusion: Confusion) -> None:
    """A row for each symbol that was said, a column for each that was read."""
    rows = ([symbol, *row] for symbol, row in zip(confusion.symbols, confusion.counts.tolist(), strict=True))
    write_table(path, ["said", *confusion.symbols], rows)


def write_words(path: Path, words: Sequence[ReadWord]) -> None:
    """A row for each word of the predictions; times in frames at 25 a second."""
    write_table(path, ReadWord._fields, words)


def percent(rate: float) -> str:
    return f"{100 * rate:.1f}"


def percent_range(interval: Interval) -> str:
    """``1.2 to 3.4``."""
    return f"{percent(interval[0])} to {percent(interval[1])}"
