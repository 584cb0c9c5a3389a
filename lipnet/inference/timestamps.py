"""When each word of a hypothesis is spoken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lipnet.decoding.base import DecodeError, Floats, Hypothesis
from lipnet.decoding.forced_alignment import align_spans
from lipnet.grid import WORD_CLASS
from lipnet.inference.emissions import Emissions

Span = tuple[float, float]  # frames: start, end
SILENCE_BONUS = 2.0  # nats a frame: lips begin to form the first word before it is heard
LEAST = 1e-6  # probability of a word that has no class, in any frame


def word_timestamps(hypothesis: Hypothesis, emissions: Emissions) -> list[Span]:
    """Start and end of each word, in frames from the emissions's first.

    CTC writes a word somewhere near where it is spoken, often early; the word heads were taught where. So
    the words are aligned with the heads' emissions where there is any, else with CTC's best path.
    """
    spans = hypothesis.words
    if emissions.word_log_probs is not None and spans:
        try:
            return _by_heads([span.word for span in spans], emissions.word_log_probs)
        except DecodeError:  # more words than frames
            pass
    return [(span.first / emissions.rate, (span.last + 1) / emissions.rate) for span in spans]


def _by_heads(words: Sequence[str], word_log_probs: np.ndarray) -> list[Span]:
    """The best alignment of words and silences with (T, K) log-probabilities of word classes.

    A word that has no class may be wherever neither silence nor one of the others is.
    """
    frames: Floats = word_log_probs.astype(np.float64)
    frames[:, 0] += SILENCE_BONUS
    other = int(frames.shape[1])
    known = [0, *{WORD_CLASS[word] for word in words if word in WORD_CLASS}]
    none_of_them = np.log(np.maximum(1 - np.exp(word_log_probs[:, known]).sum(axis=1, keepdims=True), LEAST))
    classes = [WORD_CLASS.get(word, other) for word in words]
    spans = align_spans(np.concatenate([frames, none_of_them], axis=1), classes)
    return [(float(first), float(last + 1)) for first, last in spans]
