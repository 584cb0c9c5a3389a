"""Utterance segmentation: pauses separate sentences."""

from __future__ import annotations

import numpy as np

from lipnet.inference.emissions import Emissions
from lipnet.tokenizer import BLANK

# In frames, at 25 a second. Within GRID's sentences the longest pause of 994 clips has 4 frames; between the
# end of a sentence and the beginning of the next clip's there are 38 in the median.
MIN_PAUSE = 12  # a pause that ends a sentence, 0.48 s
MIN_SPEECH = 8  # shorter movements, below 0.32 s, are too short to be speech
CHARACTER_REACH = 8  # without word heads, frames so near to a character count as speech


def is_speech(emissions: Emissions) -> np.ndarray:
    """(T,) bool: whether each frame shows speech rather than silence."""
    if emissions.word_log_probs is not None:
        return np.asarray(emissions.word_log_probs[:, 0] < np.log(0.5))
    characters = emissions.log_probs[:, BLANK] < np.log(0.5)
    written = characters.reshape(emissions.frames, emissions.steps_per_frame).any(axis=1)
    return np.convolve(written, np.ones(2 * CHARACTER_REACH + 1))[CHARACTER_REACH:-CHARACTER_REACH] > 0


def find_utterances(speech: np.ndarray, min_pause: int = MIN_PAUSE) -> list[tuple[int, int]]:
    """First frame and last + 1 of each utterance, in (T,) bool of frames with speech."""
    padded = np.concatenate([[False], speech, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(padded)).reshape(-1, 2)  # starts and ends of runs
    joined: list[tuple[int, int]] = []
    for start, end in edges.tolist():
        if joined and start - joined[-1][1] < min_pause:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return [(start, end) for start, end in joined if end - start >= MIN_SPEECH]


def best_cut(emissions: Emissions, first: int, last: int) -> int:
    """The frame, from ``first`` to before ``last``, before which a cut through speech does the least damage.

    That is where the word heads see silence, or different words on both sides; without them, where CTC's
    blank is most probable.
    """
    if emissions.word_log_probs is None:
        blanks = np.exp(emissions.log_probs[:, BLANK])
        per_frame = blanks.reshape(emissions.frames, emissions.steps_per_frame).mean(axis=1)
        smooth = np.convolve(per_frame, np.ones(5) / 5)[2:-2]
        return first + int(smooth[first:last].argmax())
    words = np.exp(emissions.word_log_probs)
    same_word = (words[first:last] * words[first - 1 : last - 1])[:, 1:].sum(axis=1)  # spoken across the cut
    return first + int(same_word.argmin())
