"""Made-up emissions, hypotheses and sentences for tests of inference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lipnet.decoding.base import Alignment, Hypothesis
from lipnet.grid import WORD_CLASS
from lipnet.inference.emissions import Emissions
from lipnet.inference.transcript import Alternative, Sentence, TranscribedWord
from lipnet.tokenizer import DEFAULT_TOKENIZER


def shown(*runs: tuple[str, int], sure: float = 0.9) -> np.ndarray:
    """(T, 52) word log-probabilities of words, "" being silence, each for so many frames."""
    classes = [WORD_CLASS[word] if word else 0 for word, frames in runs for _ in range(frames)]
    p = np.full((len(classes), 52), (1 - sure) / 51)
    p[np.arange(len(classes)), classes] = sure
    return np.log(p).astype(np.float32)


def emissions_of(words: np.ndarray | None, frames: int, rate: int = 2) -> Emissions:
    log_probs = np.full(
        (frames * rate, DEFAULT_TOKENIZER.vocab_size), -math.log(DEFAULT_TOKENIZER.vocab_size), np.float32
    )
    return Emissions(log_probs, words, rate)


def hypothesis(text: str, steps: Sequence[int]) -> Hypothesis:
    """A hypothesis whose characters start in ``steps``."""
    return Hypothesis(text, -1.0, Alignment(list(steps), -1.0))


def sentence(text: str, confidence: float = 0.9, start: float = 1.0) -> Sentence:
    words = [
        TranscribedWord(word, start + 0.2 * i, start + 0.2 * i + 0.2, confidence)
        for i, word in enumerate(text.split())
    ]
    alternatives = [Alternative(text, -1.5), Alternative("bin blue at f two soon", -4.25)]
    return Sentence(text, words[0].start, words[-1].end, confidence, words, alternatives)
