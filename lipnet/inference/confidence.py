"""How probably each word is right, from what the network says at the frames where it is spoken.

Two features of a word: the mean log-probability of its characters where CTC writes them, and that of its
class by the word heads over its frames. A logistic regression turns them into a probability; it is fitted
for each decoder on a dev split by ``scripts/calibrate.py`` and lives in the weights file's header. Without
one, the confidence is the first feature's exponential, and the transcript says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lipnet.decoding.base import Floats, Hypothesis
from lipnet.grid import WORD_CLASS
from lipnet.inference.emissions import Emissions
from lipnet.inference.timestamps import Span
from lipnet.tokenizer import Tokenizer

FEATURES = 2  # beside the constant
RIDGE = 1e-2  # penalty on the regression's weights, which are few for hundreds of words
LEAST = -12.0  # log-probabilities below it say no more
BINS = 10  # of the expected calibration error
FOLDS = 5  # of the cross-validation


def word_features(
    hypothesis: Hypothesis, times: Sequence[Span], emissions: Emissions, tokenizer: Tokenizer
) -> Floats:
    """(words, FEATURES) of a hypothesis whose words have ``times`` in frames: log-probabilities."""
    symbols = np.array(tokenizer.encode(hypothesis.text), dtype=np.int64)
    written = np.maximum(emissions.log_probs[hypothesis.steps, symbols].astype(np.float64), LEAST)
    rows = []
    position = 0
    for span, (start, end) in zip(hypothesis.words, times, strict=True):
        position = hypothesis.text.index(span.word, position)
        characters = written[position : position + len(span.word)].mean()
        position += len(span.word)
        rows.append((characters, _spoken(span.word, int(start), max(int(end), int(start) + 1), emissions)))
    return np.array(rows, dtype=np.float64).reshape(-1, FEATURES)


def _spoken(word: str, first: int, last: int, emissions: Emissions) -> float:
    """The word heads' mean log-probability of the word; 0 without heads, LEAST of a word without a class."""
    if emissions.word_log_probs is None:
        return 0.0
    if word not in WORD_CLASS:
        return LEAST
    frames = emissions.word_log_probs[first:last, WORD_CLASS[word]].astype(np.float64)
    return float(np.maximum(frames, LEAST).mean()) if len(frames) else LEAST


def confidences(features: Floats, weights: Sequence[float] | None) -> Floats:
    """(words, FEATURES) -> (words,) probabilities of being right; ``weights``: constant, then features'."""
    if weights is None:
        return np.exp(features[:, 0])
    return _sigmoid(_with_constant(features) @ np.array(weights))


def fit(features: Floats, right: np.ndarray) -> list[float]:
    """The regression's weights, from (words, FEATURES) and (words,) bool, by Newton's method."""
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
    """(words,) confidences, each from a regression that was fitted to the other folds' words."""
    fold = np.random.default_rng(seed).permutation(len(right)) % FOLDS
    result = np.zeros(len(right))
    for k in range(FOLDS):
        weights = fit(features[fold != k], right[fold != k])
        result[fold == k] = confidences(features[fold == k], weights)
    return result


def calibration_error(confidence: Floats, right: np.ndarray) -> float:
    """Expected calibration error (Guo et al. 2017), |mean confidence - part right| in bins of equal count."""
    order = np.argsort(confidence, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    gaps = [abs(confidence[part].mean() - right[part].mean()) * len(part) for part in bins]
    return float(sum(gaps) / max(len(order), 1))


def _with_constant(features: Floats) -> Floats:
    return np.concatenate([np.ones((len(features), 1)), features], axis=1)


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(x / 2))
