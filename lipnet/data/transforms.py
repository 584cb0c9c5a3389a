"""Augmentation in time: edits of frame-index lists.

Shapes: T frames. Word classes are those of ``grid.WORD_CLASS``, 0 for silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lipnet.data.crop_store import StoredClip
from lipnet.grid import WORD_CLASS, is_grid_sentence

IGNORE = -100  # word class of frames whose word is unknown: they are left out of the cross-entropy
EXCERPT_MARGIN = 2  # frames around an excerpt of some words, at most
MIN_WORD_FRAMES = 3  # of a single-word clip, as in the paper
# Words that are spliced together, by slot. Preposition and letter are one unit: both are so short (1 to 6
# frames) that a cut between them damages them.
SPLICE_UNITS = ((0,), (1,), (2, 3), (4,), (5,))
SPLICE_LEAD = 2  # frames by which a cut precedes the word's sound, since its mouth shape starts earlier


class Excerpt(NamedTuple):
    """A sequence of frames while it is edited."""

    indices: np.ndarray  # (T,) int64, into the speaker's array
    words: np.ndarray  # (T,) int64 word classes
    text: str


# Word timings


def word_span(start: float, end: float, frames: int) -> tuple[int, int]:
    """First and last + 1 whole frame of a word: at least one frame, inside the clip."""
    first = min(round(start), frames - 1)
    return first, min(max(round(end), first + 1), frames)


def frame_words(clip: StoredClip) -> np.ndarray:
    """(T,) int64: the word class of each frame; IGNORE for all frames of a clip without timings."""
    words = np.full(clip.frames, 0 if clip.words else IGNORE, np.int64)
    for word in clip.words:
        first, last = word_span(word.start, word.end, clip.frames)
        words[first:last] = WORD_CLASS.get(word.text, IGNORE)
    return words


def silence_at_ends(words: np.ndarray) -> tuple[int, int]:
    """Frames of silence at the start and the end of (T,) word classes; 0 without speech or timings."""
    spoken = np.flatnonzero(words)  # IGNORE counts as speech: of a word without a class
    return (int(spoken[0]), len(words) - 1 - int(spoken[-1])) if len(spoken) else (0, 0)


# Single words and splicing


def long_words(clip: StoredClip) -> list[int]:
    """Positions in the sentence of the timed words that can be single-word clips."""
    spans = [word_span(word.start, word.end, clip.frames) for word in clip.words]
    return [i for i, (first, last) in enumerate(spans) if last - first >= MIN_WORD_FRAMES]


def single_word(clip: StoredClip, words: np.ndarray, position: int) -> Excerpt:
    """The word at a position of the sentence by itself; ``words``: the clip's (T,) word classes."""
    word = clip.words[position]
    first, last = word_span(word.start, word.end, clip.frames)
    return Excerpt(np.arange(first, last) + clip.start, words[first:last], word.text)


def word_excerpt(clip: StoredClip, excerpt: Excerpt, rng: np.random.Generator) -> Excerpt:
    """From 2 to 4 consecutive words of a clip whose words are timed, with a margin of up to EXCERPT_MARGIN
    frames on both sides; the whole clip if it has fewer than 3 words.
    """
    if len(clip.words) < 3:
        return excerpt
    count = int(rng.integers(2, min(4, len(clip.words) - 1) + 1))
    first = int(rng.integers(len(clip.words) - count + 1))
    chosen = clip.words[first : first + count]
    start, _ = word_span(chosen[0].start, chosen[0].end, clip.frames)
    _, end = word_span(chosen[-1].start, chosen[-1].end, clip.frames)
    before, after = rng.integers(EXCERPT_MARGIN + 1, size=2)
    kept = slice(max(0, start - before), end + after)
    text = " ".join(word.text for word in chosen)
    return Excerpt(excerpt.indices[kept], excerpt.words[kept], text)


def is_spliceable(clip: StoredClip) -> bool:
    """Whether a clip is a GRID sentence with word timings, all of them inside the clip."""
    return is_grid_sentence([word.text for word in clip.words]) and clip.words[-1].end < clip.frames + 1


def splice_units(clip: StoredClip, words: np.ndarray) -> list[Excerpt]:
    """Cut a spliceable clip into the silence before, the units of SPLICE_UNITS, and the silence after.

    Args:
        words: (T,) word classes of the clip's frames.
    """
    spans = [word_span(word.start, word.end, clip.frames) for word in clip.words]
    starts = np.array([spans[unit[0]][0] for unit in SPLICE_UNITS])
    previous_starts = np.array([0, *(spans[unit[-1]][0] for unit in SPLICE_UNITS[:-1])])
    half = (starts - previous_starts) // 2  # a cut leaves at least half of the previous word
    cuts = [0, *(starts - np.minimum(SPLICE_LEAD, half)), spans[-1][1], clip.frames]
    texts = ["", *(" ".join(clip.words[i].text for i in unit) for unit in SPLICE_UNITS), ""]
    return [
        Excerpt(np.arange(first, last) + clip.start, words[first:last], text)
        for first, last, text in zip(cuts[:-1], cuts[1:], texts, strict=True)
    ]


def join_units(units: Sequence[Excerpt]) -> Excerpt:
    """One excerpt of several units, possibly of different clips.

    The frames before a unit's own sound show the end of the word before it. They get the class of the word
    that precedes them now, in place of that in their own clip.
    """
    words = [units[0].words]
    for before, unit in pairwise(units):
        own = WORD_CLASS[unit.text.split()[0]] if unit.text else 0
        own_frames = np.flatnonzero(unit.words == own)
        lead = np.arange(len(unit.words)) < (own_frames[0] if len(own_frames) else 0)
        previous = WORD_CLASS[before.text.split()[-1]] if before.text else 0
        words.append(np.where(lead & (unit.words != 0), previous, unit.words))
    return Excerpt(
        np.concatenate([unit.indices for unit in units]),
        np.concatenate(words),
        " ".join(unit.text for unit in units if unit.text),
    )


# Changes of length


def trim_silence(excerpt: Excerpt, part: float, rng: np.random.Generator) -> Excerpt:
    """Cut ``part`` of the silence off both ends, each less a random 0 to 15 %."""
    before, after = silence_at_ends(excerpt.words)
    first = min(round(before * part * rng.uniform(0.85, 1)), before)
    last = len(excerpt.words) - min(round(after * part * rng.uniform(0.85, 1)), after)
    return Excerpt(excerpt.indices[first:last], excerpt.words[first:last], excerpt.text)


def change_speed(excerpt: Excerpt, limit: float, rng: np.random.Generator) -> Excerpt:
    """Resample evenly to a length that differs by up to ``limit`` of the old one."""
    if not limit:
        return excerpt
    frames = len(excerpt.indices)
    length = max(round(frames * (1 + rng.uniform(-limit, limit))), 1)
    kept = ((np.arange(length) + 0.5) * frames // length).astype(np.int64)
    return Excerpt(excerpt.indices[kept], excerpt.words[kept], excerpt.text)


def resample_frames(
    excerpt: Excerpt, probability: float, keep_length: bool, rng: np.random.Generator
) -> Excerpt:
    """Delete and duplicate each frame with ``probability``; with ``keep_length``, as many of each."""
    frames = len(excerpt.indices)
    if keep_length:
        pairs = min(rng.binomial(frames, probability), frames // 2)
        repeats = np.repeat([0, 2, 1], [pairs, pairs, frames - 2 * pairs])[rng.permutation(frames)]
    else:
        chance = rng.random(frames)
        repeats = np.where(chance < probability, 0, np.where(chance > 1 - probability, 2, 1))
    if not repeats.any():
        return excerpt
    return Excerpt(np.repeat(excerpt.indices, repeats), np.repeat(excerpt.words, repeats), excerpt.text)
