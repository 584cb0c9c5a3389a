"""The words of the predictions: their confidences and times against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lipnet.data.crop_store import StoredClip
from lipnet.decoding.base import Floats, Hypothesis
from lipnet.grid import FRAME_RATE
from lipnet.inference.confidence import BINS, confidences, word_features
from lipnet.inference.emissions import Emissions
from lipnet.inference.timestamps import word_timestamps
from lipnet.metrics import bootstrap_interval, matched_words
from lipnet.tokenizer import Tokenizer


class ReadWord(NamedTuple):
    """One word of a prediction. Times are in frames at 25 a second."""

    clip: str
    word: str
    confidence: float
    right: bool
    start: float
    end: float
    said_start: float | None = None  # of the same word in the clip's alignment; None: wrong, or not known
    said_end: float | None = None


def read_words(
    clips: Sequence[StoredClip],
    hypotheses: Sequence[Hypothesis],
    emissions: Mapping[str, Emissions],
    tokenizer: Tokenizer,
    calibration: Sequence[float] | None,
) -> list[ReadWord]:
    """All words of the best hypotheses, each aligned with the emissions of its clip.

    ``calibration``: the decoder's weights, as of `confidences`.
    """
    words = []
    for clip, best in zip(clips, hypotheses, strict=True):
        own = emissions[clip.name]
        times = word_timestamps(best, own)
        if not times:
            continue
        probabilities = confidences(word_features(best, times, own, tokenizer), calibration)
        said = matched_words(clip.sentence, best.text)
        is_timed = [word.text for word in clip.words] == clip.sentence.split()
        for span, (start, end), confidence, place in zip(best.words, times, probabilities, said, strict=True):
            true = clip.words[place] if is_timed and place is not None else None
            found = ReadWord(clip.name, span.word, float(confidence), place is not None, start, end)
            if true is not None:
                found = found._replace(said_start=true.start, said_end=true.end)
            words.append(found)
    return words


class Bin(NamedTuple):
    """Words of similar confidence."""

    confidence: float  # mean
    accuracy: float  # fraction that is right
    words: int


def calibration_bins(words: Sequence[ReadWord]) -> list[Bin]:
    """At most BINS bins of equal count, as of `calibration_error`; the least confident words first."""
    confidence = np.array([word.confidence for word in words])
    right = np.array([word.right for word in words], dtype=np.float64)
    parts = np.array_split(np.argsort(confidence, kind="stable"), BINS)
    return [
        Bin(float(confidence[part].mean()), float(right[part].mean()), len(part))
        for part in parts
        if len(part)
    ]


def time_errors(words: Sequence[ReadWord]) -> Floats:
    """(N, 2) ms: start and end of each right word with known times, minus those of the alignment."""
    known = [
        (word.start - word.said_start, word.end - word.said_end)
        for word in words
        if word.said_start is not None and word.said_end is not None
    ]
    return np.array(known, dtype=np.float64).reshape(-1, 2) * 1000 / FRAME_RATE


def time_summary(errors: Floats) -> list[tuple[str, float, float, float]]:
    """Of start and end, in ms: median, median of the absolute errors, and their 90 % quantile.

    ``errors``: as of `time_errors`, of one or more words.
    """
    rows = []
    for name, column in zip(("start", "end"), errors.T, strict=True):
        strengths = np.abs(column)
        median, absolute, high = np.median(column), np.median(strengths), np.quantile(strengths, 0.9)
        rows.append((name, float(median), float(absolute), float(high)))
    return rows


class Spoken(NamedTuple):
    """How long a clip is, and how fast its sentence is said."""

    seconds: float
    speed: float | None  # words a second from the first word's start to the last one's end; None: not known


def spoken(clip: StoredClip) -> Spoken:
    speed = None
    if clip.words and clip.words[-1].end > clip.words[0].start:
        speed = len(clip.words) * FRAME_RATE / (clip.words[-1].end - clip.words[0].start)
    return Spoken(clip.frames / FRAME_RATE, speed)


class Band(NamedTuple):
    """Clips of similar length or speed."""

    low: float
    high: float
    clips: int
    errors: int  # of words
    words: int
    interval: tuple[float, float]  # 95 % bootstrap interval of the error rate, by draws of clips

    @property
    def range(self) -> str:
        """``2.50 to 3.00``, or one number if both are the same."""
        low, high = f"{self.low:.2f}", f"{self.high:.2f}"
        return low if low == high else f"{low} to {high}"


def bands(values: Sequence[float], errors: Sequence[int], words: Sequence[int], count: int = 4) -> list[Band]:
    """The word errors of clips by a number that each has, such as its length.

    Bands have about as many clips each, and clips of one value are in one band; so there may be fewer.
    """
    table = np.array([values, errors, words], dtype=np.float64).T.reshape(-1, 3)
    if not len(table):
        return []
    edges = np.unique(np.quantile(table[:, 0], np.linspace(0, 1, count + 1)[1:-1]))
    places = np.searchsorted(edges, table[:, 0], side="right")
    result = []
    for place in np.unique(places):
        own = table[places == place]
        wrong, said = own[:, 1:].T.astype(np.int64).tolist()
        interval = bootstrap_interval(wrong, said)
        result.append(Band(own[:, 0].min(), own[:, 0].max(), len(own), sum(wrong), sum(said), interval))
    return result
