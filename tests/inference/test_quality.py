"""Quality warnings, and the path-score gap behind one of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made_up_emissions import emissions_of, sentence, shown

from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.landmarks import IBUG_68
from lipnet.decoding.base import Hypothesis
from lipnet.decoding.forced_alignment import align
from lipnet.grid import WORD_CLASS
from lipnet.inference.quality import path_score_gap, quality_warnings, worst_word_gap
from lipnet.inference.timestamps import word_timestamps
from lipnet.inference.transcript import Sentence
from lipnet.tokenizer import DEFAULT_TOKENIZER


def face(frames: int = 75, unit: float = 50.0, turn: float = 0.0, opening: float = 0.12) -> FaceTrack:
    """A speaking face: ``unit`` px between the eyes, nose and lips in face units."""
    points = np.zeros((frames, 68, 2))
    points[:, IBUG_68.stable] = IBUG_68.stable_face
    points[:, 30] = turn, 0.57
    phase = np.sin(np.arange(frames))
    points[:, 51], points[:, 57] = (0, 0.9), (0, 1.1)
    points[:, 57, 1] += opening / 2 * phase
    landmarks = (unit * points + 200).astype(np.float32)
    to_crop = np.tile(np.eye(3), (frames, 1, 1))
    return FaceTrack(IBUG_68, (100, 50), landmarks, np.ones(frames, dtype=bool), to_crop)


GOOD = sentence("bin blue at f two now")


def test_path_score_gap_by_hand() -> None:
    words = shown(("", 4), ("at", 2), ("f", 3), ("", 3))
    emissions = emissions_of(words, 12, rate=1)
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


def test_worst_word_gap_by_hand() -> None:
    emissions = emissions_of(shown(("", 4), ("at", 2), ("f", 3), ("", 3)), 12, rate=1)
    times = [(4.0, 6.0), (6.0, 9.0)]
    assert worst_word_gap(times, ["at", "f"], emissions) == pytest.approx(0, abs=1e-6)
    frames = emissions.word_log_probs
    assert frames is not None
    seen = float(frames[6:9].max(axis=1).mean() - frames[6:9, WORD_CLASS["x"]].mean())
    assert worst_word_gap(times, ["at", "x"], emissions) == pytest.approx(seen, rel=1e-5) and seen > 1
    assert worst_word_gap(times, ["at", "xx"], emissions) == pytest.approx(0, abs=1e-6)
    assert worst_word_gap(times, ["at", "x"], emissions._replace(word_log_probs=None)) == 0


def with_gap(good: Sentence, gap: float) -> Sentence:
    return replace(good, path_score_gap=gap)


def test_words_of_another_corpus_are_no_reason_to_warn() -> None:
    assert quality_warnings([sentence("turn lights on")], face(), grid_only=False) == []


def test_a_good_clip_has_no_warnings() -> None:
    assert quality_warnings([with_gap(GOOD, 0.3)], face(), grid_only=True) == []


GRID_WARNING = "speech that does not fit a GRID sentence"


@pytest.mark.parametrize(
    ("sentences", "changes", "warning"),
    [
        ([GOOD], {"unit": 12}, "the face is small, 12 px between the eyes: record it from closer"),
        ([GOOD], {"turn": -0.3}, "the face is turned to the side: record it from the front"),
        ([GOOD], {"opening": 0.02}, "the mouth hardly moves"),
        ([], {}, "no speech detected"),
        ([sentence("bin", 0.4)], {}, "low confidence (0.40)"),
        ([GOOD, sentence("bin", 0.5)], {}, "low confidence in 1 of 2 sentences (0.50)"),
        ([with_gap(GOOD, 9.0)], {}, f"{GRID_WARNING}: these weights know 51 words"),
        (
            [GOOD, sentence("bun blu at")],
            {},
            f"{GRID_WARNING} in 1 of 2 sentences: these weights know 51 words",
        ),
        ([sentence("green white")], {}, f"{GRID_WARNING}: these weights know 51 words"),
        ([replace(GOOD, word_gap=2.0)], {}, f"{GRID_WARNING}: these weights know 51 words"),
        ([replace(GOOD, confidence=0.7)], {}, f"{GRID_WARNING}: these weights know 51 words"),
    ],
)
def test_each_warning_names_its_reason(
    sentences: list[Sentence], changes: dict[str, float], warning: str
) -> None:
    assert quality_warnings(sentences, face(**changes), grid_only=True) == [warning]  # type: ignore[arg-type]


def test_frames_without_a_face() -> None:
    seldom = face()
    seldom.found[::2] = False
    assert quality_warnings([GOOD], seldom, grid_only=True) == ["a face is found in only 49 % of the frames"]
    assert quality_warnings([], FaceTrack.missing(10, IBUG_68, (100, 50)), grid_only=True) == [
        "a face is found in only 0 % of the frames",
        "no speech detected",
    ]


def test_without_a_track_only_the_text_is_judged() -> None:
    assert quality_warnings([sentence("bin", 0.4)], None, grid_only=True) == ["low confidence (0.40)"]
