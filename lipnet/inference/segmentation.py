"""Where somebody speaks: silences end a sentence."""

from __future__ import annotations

import numpy as np

from lipnet.inference.emissions import Emissions
from lipnet.tokenizer import BLANK

# Frames of silence that end a sentence, 0.48 s. Within GRID's sentences the longest pause in 994 clips has
# 4; a sentence's end and the next clip's beginning have 38 in the median.
PAUSE = 12
SHORTEST = 8  # frames of speech, 0.32 s: what is shorter is a twitch of the mouth
REACH = 8  # frames: without word heads, speech is what lies so near to a character


def is_speech(emissions: Emissions) -> np.ndarray:
    """(T,) bool: whether each frame shows speech rather than silence."""
    if emissions.word_log_probs is not None:
        return np.asarray(emissions.word_log_probs[:, 0] < np.log(0.5))
    characters = emissions.log_probs[:, BLANK] < np.log(0.5)
    written = characters.reshape(emissions.frames, emissions.rate).any(axis=1)
    return np.convolve(written, np.ones(2 * REACH + 1))[REACH:-REACH] > 0


def utterances(speech: np.ndarray, pause: int = PAUSE) -> list[tuple[int, int]]:
    """First frame and last + 1 of what is said between pauses, in (T,) bool of frames with speech."""
    padded = np.concatenate([[False], speech, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded)).reshape(-1, 2)  # starts and ends of runs
    joined: list[tuple[int, int]] = []
    for start, end in edges.tolist():
        if joined and start - joined[-1][1] < pause:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return [(start, end) for start, end in joined if end - start >= SHORTEST]


def best_cut(emissions: Emissions, first: int, last: int) -> int:
    """The frame, from ``first`` to before ``last``, before which a cut through speech harms least.

    That is where the word heads see silence, or one word on each side; without them, a blank.
    """
    if emissions.word_log_probs is None:
        blanks = np.exp(emissions.log_probs[:, BLANK]).reshape(emissions.frames, emissions.rate).mean(axis=1)
        smooth = np.convolve(blanks, np.ones(5) / 5)[2:-2]
        return first + int(smooth[first:last].argmax())
    words = np.exp(emissions.word_log_probs)
    same = (words[first:last] * words[first - 1 : last - 1])[:, 1:].sum(axis=1)  # spoken, and the same
    return first + int(same.argmin())
