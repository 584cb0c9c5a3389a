"""Word timestamps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lipnet.decoding.base import DecodeError, Floats, Hypothesis
from lipnet.decoding.forced_alignment import align_spans
from lipnet.grid import WORD_CLASS
from lipnet.inference.emissions import Emissions

Span = tuple[float, float]  # frames: start, end
SILENCE_BONUS = 2.0  # nats a frame: lips begin to form the first word before it is heard
MIN_PROBABILITY = 1e-6  # of a word without a class, in any frame


def word_timestamps(hypothesis: Hypothesis, emissions: Emissions) -> list[Span]:
    """Start and end of each word, in frames from the first one of the emissions.

    CTC emits a word somewhere near the frames in which it is spoken, often earlier; the word heads are
    trained on its true frames. So the words are aligned with the word heads where there are any, else they
    have the times of their characters on the best CTC path.
    """
    words = hypothesis.words
    if emissions.word_log_probs is not None and words:
        try:
            return _align_with_heads([span.word for span in words], emissions.word_log_probs)
        except DecodeError:  # more words than frames
            pass
    rate = emissions.steps_per_frame
    return [(span.first / rate, (span.last + 1) / rate) for span in words]


def _align_with_heads(words: Sequence[str], word_log_probs: np.ndarray) -> list[Span]:
    """The best alignment of words, with silences between them, with (T, K) log-probabilities of word classes.

    A word without a class matches the frames that are likely neither silence nor any of the other words.
    """
    frames: Floats = word_log_probs.astype(np.float64)
    frames[:, 0] += SILENCE_BONUS
    other = int(frames.shape[1])
    known = [0, *{WORD_CLASS[word] for word in words if word in WORD_CLASS}]
    remaining = 1 - np.exp(word_log_probs[:, known]).sum(axis=1, keepdims=True)
    none_of_them = np.log(np.maximum(remaining, MIN_PROBABILITY))
    classes = [WORD_CLASS.get(word, other) for word in words]
    spans = align_spans(np.concatenate([frames, none_of_them], axis=1), classes)
    return [(float(first), float(last + 1)) for first, last in spans]
