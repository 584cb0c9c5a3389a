"""From emissions to words with times and confidences, quality_warnings, and files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.geometry import STABLE, STABLE_FACE
from lipnet.decoding.base import Alignment, Hypothesis
from lipnet.decoding.forced_alignment import align, align_spans
from lipnet.grid import WORD_CLASS
from lipnet.inference.confidence import (
    LEAST,
    calibration_error,
    confidences,
    cross_validated,
    fit,
    word_features,
)
from lipnet.inference.emissions import Emissions
from lipnet.inference.quality import path_score_gap, quality_warnings
from lipnet.inference.timestamps import word_timestamps
from lipnet.inference.transcript import Alternative, Sentence, TranscribedWord, Transcript
from lipnet.output.formats import FORMATS, summary_table
from lipnet.tokenizer import DEFAULT_TOKENIZER


def shown(*runs: tuple[str, int], sure: float = 0.9) -> np.ndarray:
    """(T, 52) word log-probabilities of words, "" being silence, each for so many frames."""
    classes = [WORD_CLASS[word] if word else 0 for word, frames in runs for _ in range(frames)]
    p = np.full((len(classes), 52), (1 - sure) / 51)
    p[np.arange(len(classes)), classes] = sure
    return np.log(p).astype(np.float32)


def evidence_of(words: np.ndarray | None, frames: int, rate: int = 2) -> Emissions:
    log_probs = np.full(
        (frames * rate, DEFAULT_TOKENIZER.vocab_size), -math.log(DEFAULT_TOKENIZER.vocab_size), np.float32
    )
    return Emissions(log_probs, words, rate)


def hypothesis(text: str, steps: Sequence[int]) -> Hypothesis:
    """A hypothesis whose characters start in ``steps``."""
    return Hypothesis(text, -1.0, Alignment(list(steps), -1.0))


# Times


def test_spans_of_labels_by_hand() -> None:
    best = [0, 1, 1, 0, 0, 2, 3, 3, 0, 3]
    log_probs = np.log(np.eye(4)[best] * 0.9 + 0.025)
    assert align_spans(log_probs, [1, 2, 3, 3]) == [(1, 2), (5, 5), (6, 7), (9, 9)]


def test_words_are_where_the_heads_see_them() -> None:
    words = shown(("", 12), ("bin", 5), ("blue", 6), ("", 3), ("at", 2), ("f", 4), ("", 9))
    early = hypothesis("bin blue at f", range(13))  # where CTC wrote them does not matter
    times = word_timestamps(early, evidence_of(words, len(words)))
    assert times == [(12, 17), (17, 23), (26, 28), (28, 32)]


def test_a_word_without_a_class_is_where_no_silence_is() -> None:
    words = shown(("", 10), ("bin", 5), ("green", 7), ("", 8))
    times = word_timestamps(hypothesis("bin grean", range(9)), evidence_of(words, len(words)))
    assert times == [(10, 15), (15, 22)]


def test_without_heads_words_are_where_ctc_writes_them() -> None:
    spelled = hypothesis("bin blue", [4, 6, 8, 10, 13, 14, 15, 20])
    assert word_timestamps(spelled, evidence_of(None, 15)) == [(2.0, 4.5), (6.5, 10.5)]
    more_words_than_frames = hypothesis("a b", [0, 1, 2])
    assert word_timestamps(more_words_than_frames, evidence_of(shown(("a", 1)), 1, 4)) == [
        (0, 0.25),
        (0.5, 0.75),
    ]
    assert word_timestamps(hypothesis("", []), evidence_of(shown(("", 9)), 9)) == []


# Confidences


def test_features_by_hand() -> None:
    words = shown(("", 2), ("at", 2), ("f", 2))
    emissions = evidence_of(words, 6)
    for step, symbol, p in ((4, "a", 0.5), (6, "t", 0.02), (7, " ", 0.9), (8, "f", 0.8)):
        emissions.log_probs[step, DEFAULT_TOKENIZER.encode(symbol)[0]] = math.log(p)
    times = [(2, 4), (4, 6)]
    features = word_features(hypothesis("at f", [4, 6, 7, 8]), times, emissions, DEFAULT_TOKENIZER)
    expected = [[math.log(0.1), math.log(0.9)], [math.log(0.8), math.log(0.9)]]
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    raw = confidences(features, None)
    np.testing.assert_allclose(raw, [0.1, 0.8], rtol=1e-5)
    unknown = word_features(hypothesis("ta f", [4, 6, 7, 8]), times, emissions, DEFAULT_TOKENIZER)
    assert unknown[0, 1] == LEAST


def test_a_fit_recovers_what_made_the_words_right() -> None:
    rng = np.random.default_rng(0)
    features = -rng.exponential(1.0, (20_000, 2))
    truth = [3.0, 1.5, 0.5]
    right = rng.random(20_000) < confidences(features, truth)
    np.testing.assert_allclose(fit(features, right), truth, atol=0.15)
    assert calibration_error(cross_validated(features, right), right) < 0.02
    assert calibration_error(confidences(features, None), right) > 0.2


def test_calibration_error_by_hand() -> None:
    confidence = np.repeat([0.2, 0.9], 50)
    # Ten bins of ten: every fifth word is right, and four of five of the others.
    right = np.concatenate([np.arange(50) % 5 == 0, np.arange(50) % 5 != 0])
    assert calibration_error(confidence, right) == pytest.approx(abs(0.9 - 0.8) / 2)
    assert calibration_error(np.repeat([0.2, 0.8], 50), right) == pytest.approx(0)
    assert calibration_error(np.ones(100), right) == pytest.approx(0.5)
    assert calibration_error(np.zeros(0), np.zeros(0, dtype=bool)) == 0


# Doubts


def face(frames: int = 75, unit: float = 50.0, turn: float = 0.0, opening: float = 0.12) -> FaceTrack:
    """A speaking face: ``unit`` px between the eyes, nose and lips in face units."""
    points = np.zeros((frames, 68, 2))
    points[:, STABLE] = STABLE_FACE
    points[:, 30] = turn, 0.57
    phase = np.sin(np.arange(frames))
    points[:, 51], points[:, 57] = (0, 0.9), (0, 1.1)
    points[:, 57, 1] += opening / 2 * phase
    landmarks = (unit * points + 200).astype(np.float32)
    return FaceTrack(landmarks, np.ones(frames, dtype=bool), np.tile(np.eye(3), (frames, 1, 1)))


def sentence(text: str, confidence: float = 0.9, start: float = 1.0) -> Sentence:
    words = [
        TranscribedWord(word, start + 0.2 * i, start + 0.2 * i + 0.2, confidence)
        for i, word in enumerate(text.split())
    ]
    alternatives = [Alternative(text, -1.5), Alternative("bin blue at f two soon", -4.25)]
    return Sentence(text, words[0].start, words[-1].end, confidence, words, alternatives)


GOOD = sentence("bin blue at f two now")


def test_misfit_by_hand() -> None:
    words = shown(("", 4), ("at", 2), ("f", 3), ("", 3))
    emissions = evidence_of(words, 12, rate=1)
    best = [0, 0, 0, 0, *DEFAULT_TOKENIZER.encode("at f"), 0, 0, 0, 0]
    emissions.log_probs[:] = np.log(0.1 / 27)
    emissions.log_probs[np.arange(12), best] = math.log(0.9)

    def aligned(text: str) -> Hypothesis:
        alignment = align(emissions.log_probs.astype(np.float64), DEFAULT_TOKENIZER.encode(text))
        return Hypothesis(text, -1.0, alignment)

    right, wrong, unknown = map(aligned, ("at f", "at x", "at xx"))
    assert path_score_gap(right, word_timestamps(right, emissions), emissions) == pytest.approx(0, abs=1e-6)
    spelled = math.log(0.9) - math.log(0.1 / 27)  # one character, and three frames of another word
    seen = 3 * (math.log(0.9) - math.log(0.1 / 51))
    times = [(4, 6), (6, 9)]
    assert path_score_gap(wrong, times, emissions) == pytest.approx((spelled + seen) / 4, rel=1e-5)
    assert path_score_gap(unknown, times, emissions) > 0


def test_own_words_are_not_doubted() -> None:
    assert quality_warnings([sentence("turn lights on")], None, face()) == []


def test_nothing_speaks_against_a_good_clip() -> None:
    assert quality_warnings([GOOD], [0.3], face()) == []


def test_each_doubt_names_its_reason() -> None:
    seldom = face()
    seldom.found[::2] = False
    never = FaceTrack.none(10)
    for given, reason in (
        (([GOOD], [0.3], seldom), "a face is seen in only 49 % of the frames"),
        (([GOOD], [0.3], face(unit=12)), "the face is tiny, 12 px between the eyes: film it from nearer"),
        (([GOOD], [0.3], face(turn=-0.3)), "the face is turned to the side: film it from the front"),
        (([GOOD], [0.3], face(opening=0.02)), "the mouth hardly moves"),
        (([], [], face()), "nobody is seen to speak"),
        (([sentence("bin", 0.4)], [0.3], face()), "low confidence (0.40)"),
        (([GOOD, sentence("bin", 0.5)], [0.3, 0], face()), "low confidence in 1 of 2 sentences (0.50)"),
        (
            ([GOOD], [9.0], face()),
            "speech that does not fit a GRID sentence: these weights know 51 words",
        ),
        (
            ([GOOD, sentence("bun blu at")], [0.3, 0.3], face()),
            "speech that does not fit a GRID sentence in 1 of 2 sentences: these weights know 51 words",
        ),
    ):
        assert quality_warnings(*given) == [reason]
    assert quality_warnings([], [], never) == [
        "a face is seen in only 0 % of the frames",
        "nobody is seen to speak",
    ]


# Files


TRANSCRIPT = Transcript(
    video='a "b".mp4',
    sentences=[GOOD, sentence("set red by q zero again", 0.75, start=3661.9996)],
    frames=100_000,
    fps=25.0,
    decoder="grammar",
    calibrated=True,
    warnings=["the mouth hardly moves"],
)
EMPTY = Transcript("e.mp4", [], 75, 25.0, "greedy", False, [])


def test_text() -> None:
    lines = FORMATS["txt"](TRANSCRIPT).splitlines()
    assert lines[0] == 'a "b".mp4: bin blue at f two now set red by q zero again  (confidence 0.82)'
    assert lines[1:3] == ["  bin blue at f two now", "    1.00 -  1.20 s  bin  (0.90)"]
    assert len(lines) == 1 + 2 * 7
    assert FORMATS["txt"](EMPTY) == "e.mp4: (nothing)  (confidence 0.00)\n"


def test_json_round_trip() -> None:
    said = json.loads(FORMATS["json"](TRANSCRIPT))
    assert said["text"].split() == [word["word"] for word in said["words"]]
    assert said["sentences"][0]["n_best"][1] == {"text": "bin blue at f two soon", "score": -4.25}
    assert said["warnings"] == TRANSCRIPT.warnings and said["calibrated"] is True
    assert [s["start"] for s in said["sentences"]] == [1.0, 3661.9996]
    assert "track" not in said and json.loads(FORMATS["json"](EMPTY))["sentences"] == []


def test_csv_rows() -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](TRANSCRIPT))))
    assert len(rows) == 12 and {row["video"] for row in rows} == {'a "b".mp4'}
    assert rows[7] == {
        "video": 'a "b".mp4', "sentence": "2", "start": "3662.200", "end": "3662.400", "word": "red",
        "confidence": "0.7500",
    }  # fmt: skip
    assert list(csv.DictReader(io.StringIO(FORMATS["csv"](EMPTY)))) == []
    rows = list(csv.DictReader(io.StringIO(summary_table([TRANSCRIPT, EMPTY]))))
    assert [row["confidence"] for row in rows] == ["0.8250", "0.0000"]
    assert rows[0]["warnings"] == "the mouth hardly moves"


def test_subtitles() -> None:
    assert FORMATS["srt"](TRANSCRIPT) == (
        "1\n00:00:01,000 --> 00:00:02,200\nbin blue at f two now\n\n"
        "2\n01:01:02,000 --> 01:01:03,200\nset red by q zero again\n"
    )
    assert FORMATS["vtt"](TRANSCRIPT) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.200\nbin blue at f two now\n\n"
        "01:01:02.000 --> 01:01:03.200\nset red by q zero again\n"
    )
    assert FORMATS["srt"](EMPTY) == "" and FORMATS["vtt"](EMPTY) == "WEBVTT\n"
