"""Word confidence and its calibration, by hand and on simulated words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_up_emissions import emissions_of, hypothesis, shown

from lipnet.inference.confidence import (
    MIN_LOG_PROB,
    calibration_error,
    confidences,
    cross_validated,
    fit,
    word_features,
)
from lipnet.tokenizer import DEFAULT_TOKENIZER


def test_features_by_hand() -> None:
    words = shown(("", 2), ("at", 2), ("f", 2))
    emissions = emissions_of(words, 6)
    for step, symbol, p in ((4, "a", 0.5), (6, "t", 0.02), (7, " ", 0.9), (8, "f", 0.8)):
        emissions.log_probs[step, DEFAULT_TOKENIZER.encode(symbol)[0]] = math.log(p)
    times = [(2, 4), (4, 6)]
    features = word_features(hypothesis("at f", [4, 6, 7, 8]), times, emissions, DEFAULT_TOKENIZER)
    expected = [[math.log(0.1), math.log(0.9)], [math.log(0.8), math.log(0.9)]]
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    raw = confidences(features, None)
    np.testing.assert_allclose(raw, [0.1, 0.8], rtol=1e-5)
    unknown = word_features(hypothesis("ta f", [4, 6, 7, 8]), times, emissions, DEFAULT_TOKENIZER)
    assert unknown[0, 1] == MIN_LOG_PROB


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
