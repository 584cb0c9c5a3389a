"""Word confidence and its calibration.

The features of a word are the mean log-probability of its characters at the steps where CTC emits them, and
the mean log-probability of its class by the word heads over its frames. A logistic regression turns them into
the probability that the word is right. It is fitted for each decoder on a dev split by
``scripts/calibrate.py`` and kept in the checkpoint's metadata. Without one, the confidence is the exponential
of the first feature, and the transcript has ``calibrated=False``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lipnet.decoding.base import Floats, Hypothesis
from lipnet.grid import WORD_CLASS
from lipnet.inference.emissions import Emissions
from lipnet.inference.timestamps import Span
from lipnet.models.metadata import COEFFICIENTS
from lipnet.tokenizer import Tokenizer

FEATURES = COEFFICIENTS - 1  # of a word, without the constant
RIDGE = 1e-2  # L2 penalty on the regression's weights
MIN_LOG_PROB = -12.0  # lower log-probabilities are clipped
BINS = 10  # of the expected calibration error
FOLDS = 5  # of the cross-validation


def word_features(
    hypothesis: Hypothesis, times: Sequence[Span], emissions: Emissions, tokenizer: Tokenizer
) -> Floats:
    """The features (words, FEATURES) of a hypothesis whose words have ``times`` in frames:

    log-probabilities.
    """
    symbols = np.array(tokenizer.encode(hypothesis.text), dtype=np.int64)
    log_probs = emissions.log_probs[hypothesis.steps, symbols].astype(np.float64)
    log_probs = np.maximum(log_probs, MIN_LOG_PROB)
    rows = []
    position = 0
    for span, (start, end) in zip(hypothesis.words, times, strict=True):
        position = hypothesis.text.index(span.word, position)
        characters = log_probs[position : position + len(span.word)].mean()
        position += len(span.word)
        first, last = int(start), max(int(end), int(start) + 1)
        rows.append((characters, _class_log_prob(span.word, first, last, emissions)))
    return np.array(rows, dtype=np.float64).reshape(-1, FEATURES)


def _class_log_prob(word: str, first: int, last: int, emissions: Emissions) -> float:
    """The word heads' mean log-probability of a word; without heads 0, without a class MIN_LOG_PROB."""
    if emissions.word_log_probs is None:
        return 0.0
    if word not in WORD_CLASS:
        return MIN_LOG_PROB
    frames = emissions.word_log_probs[first:last, WORD_CLASS[word]].astype(np.float64)
    return float(np.maximum(frames, MIN_LOG_PROB).mean()) if len(frames) else MIN_LOG_PROB


def confidences(features: Floats, weights: Sequence[float] | None) -> Floats:
    """Probabilities (words,) of being right from features (words, FEATURES).

    ``weights`` are the regression's: the constant's, then the features'. None: not calibrated.
    """
    if weights is None:
        return np.exp(features[:, 0])
    return _sigmoid(_with_constant(features) @ np.array(weights))


def fit(features: Floats, right: np.ndarray) -> list[float]:
    """The regression's weights, from features (words, FEATURES) and (words,) bool, by Newton's method."""
    x, y = _with_constant(features), right.astype(np.float64)
    weights = np.zeros(x.shape[1])
    for _ in range(100):
        p = _sigmoid(x @ weights)
        curvature = (x.T * (p * (1 - p))) @ x + RIDGE * np.eye(x.shape[1])
        step = np.linalg.solve(curvature, x.T @ (y - p) - RIDGE * weights)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return [round(float(weight), 5) for weight in weights]


def cross_validated(features: Floats, right: np.ndarray, seed: int = 0) -> Floats:
    """Confidences (words,), each from a regression that was fitted to the words of the other folds."""
    fold = np.random.default_rng(seed).permutation(len(right)) % FOLDS
    result = np.zeros(len(right))
    for k in range(FOLDS):
        weights = fit(features[fold != k], right[fold != k])
        result[fold == k] = confidences(features[fold == k], weights)
    return result


def calibration_error(confidence: Floats, right: np.ndarray) -> float:
    """Expected calibration error (Guo et al. 2017): |mean confidence - accuracy| over bins of equal count."""
    order = np.argsort(confidence, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    gaps = [abs(confidence[part].mean() - right[part].mean()) * len(part) for part in bins]
    return float(sum(gaps) / max(len(order), 1))


def _with_constant(features: Floats) -> Floats:
    return np.concatenate([np.ones((len(features), 1)), features], axis=1)


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(x / 2))
