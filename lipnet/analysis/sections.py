"""The sections of the report: what is said above them, their parts, and their numbers as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipnet.analysis.confusion import Confusion
from lipnet.analysis.rates import Interval, Rates
from lipnet.analysis.reading import Reading
from lipnet.analysis.words import ReadWord
from lipnet.grid import natural_key
from lipnet.metrics import RESAMPLES
from lipnet.training.pretrained import origin
from lipnet.utils.files import as_bytes, write_atomically

RATE_COLUMNS = ("wer", "wer_low", "wer_high", "cer", "cer_low", "cer_high", "word_errors", "words", "clips")
PAGE = "report.html"
TABLES = (
    *("rates", "comparison", "places", "words", "calibration", "times", "clips"),
    *("spoken_letters", "letters", "phonemes", "visemes"),
)
ABOUT = {
    "rates": "Errors (substitutions, deletions and insertions) over words of the reference texts "
    "(WER), and over characters with spaces (CER), summed over all clips. Intervals: "
    f"percentile bootstrap, {RESAMPLES} resamples of clips; where there are several speakers also "
    "of whole speakers, which says how far the rate holds for other people. A rate of 0 "
    "has no interval: its resamples have no errors either.",
    "comparison": "Word error rate of B minus that of A, each by its first decoder above, on the same "
    "clips. Paired bootstrap: each resample draws the same clips, or speakers, for both; "
    "the last column is the share of resamples in which B has the lower rate. The result "
    "is decided if the 95 % interval does not hold 0.",
    "speakers": "Intervals by resamples of the speaker's clips.",
    "places": "Where in the sentence the errors are: GRID's six slots, or the position of the word."
    " An inserted word counts at the place of the next one.",
    "curves": "Loss on the training clips, and error rates on the run's dev lists by greedy search.",
    "spoken letters": "The word of GRID's letter slot: {0} of {1} wrong ({2} %). Each row is a letter that "
    "was said, with the counts of its errors; blue is what was right, orange the errors, "
    "deeper by their share of the row. ∅: read as something else, or not at all.",
    "letters": "Characters of the texts: {0} errors in {1} ({2} %), which is the CER above. ␣: "
    "space; row ∅: inserted; column ∅: left out.",
    "phonemes": "Texts as phonemes (ARPAbet), those that look alike beside each other: {0} errors in "
    "{1} ({2} %). Row ∅: inserted; column ∅: left out.",
    "visemes": "Classes of phonemes that look alike on the lips (Neti et al. 2000): {0} errors in "
    "{1} ({2} %). Errors within a class do not count here: the lips do not show them.",
    "confidence": "Each point is a tenth of the words that were read, by their confidence. On the "
    "dotted line a confidence of 0.8 means that 80 % of the words are right. Expected "
    "calibration error, the mean distance from it: {0} %.",
    "times": "Start and end of the {0} words that were read right and whose times are in the "
    "alignments. Errors above {1} ms are in the outermost bars.",
    "length": "Clips by their length, in bands of about as many clips each.",
    "speed": "Clips by words a second, from the start of the first word to the end of the last one.",
    "saliency": "In orange the pixels that moved the output: the gradient of the word's greedy CTC "
    "path, by guided backpropagation (figure 3 of the LipNet paper). Words of different "
    "places in the sentence and different speakers, with {0} frames before and after "
    "them. Below each frame are its greedy symbols: · is the blank, ␣ a space. CTC may "
    "emit a letter some frames before or after it is said.",
    "worst clips": "Those with the highest word error rate. Score: log-probability by which the decoder "
    "ranks the texts. Figure: mouth crops, words with their times, and the probability of"
    " each symbol by time, deeper blue for more; orange dots are the most probable symbol"
    " of each step. Wrong words are red.",
}


@dataclass
class Section:
    """A heading, a text, and parts as the template has them: tables and figures."""

    title: str
    text: str = ""
    parts: list[dict[str, Any]] = field(default_factory=list)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], texts: int = 1) -> None:
        """``texts``: number of columns, from the left, that hold texts; the others hold numbers."""
        self.parts.append({"columns": columns, "rows": rows, "texts": texts})

    def figure(self, svg: str, caption: str = "", is_wide: bool = False) -> None:
        """``is_wide``: on a narrow screen it is scrolled, since its texts would be too small."""
        self.parts.append({"svg": svg, "caption": caption, "is_wide": is_wide})


def delete_report(folder: Path) -> None:
    """Delete the files of a report, of which another one may not have all."""
    for name in (PAGE, *(f"{table}.csv" for table in TABLES)):
        (folder / name).unlink(missing_ok=True)


def about(reading: Reading, speakers: Iterable[str]) -> str:
    """What the weights read, and which speakers they were trained with; ``speakers``: those of the split."""
    metadata = reading.network.metadata
    trained = origin(metadata.info)["train_speakers"]
    known = f"trained with speakers {', '.join(trained)}" if trained else "training speakers not known"
    text = f"{reading.name} reads {' and '.join(metadata.model.streams)}; {known}."
    seen = sorted(set(trained) & set(speakers), key=natural_key)
    if seen:
        text += f" Clips of {', '.join(seen)} are in this split, too: it has seen these people."
    return text


def verdict(low: float, high: float) -> str:
    """What the 95 % interval of B's rate minus A's says."""
    if low > 0:
        return "B is worse"
    return "B is better" if high < 0 else "not decided"


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


def rate_texts(rates: Rates) -> list[str]:
    """WER, CER and their intervals, as the page shows them."""
    counts = rates.counts
    return [
        percent(counts.wer),
        percent_range(rates.wer),
        percent(counts.cer),
        percent_range(rates.cer),
    ]
