"""Quality warnings: reasons why a transcript may be wrong.

The limits were set between what real GRID clips show, of seen and unseen speakers, and what the same clips
show when they are held still, turned, shrunk, played backwards, or cut up and put together in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.geometry import fit_pose, transform
from lipnet.cropping.landmarks import FaceLayout
from lipnet.decoding.base import Floats, Hypothesis
from lipnet.grid import WORD_CLASS, is_grid_sentence
from lipnet.inference.emissions import Emissions
from lipnet.inference.timestamps import Span
from lipnet.inference.transcript import Sentence

MIN_FACE_FRACTION = 0.75  # of the frames
MIN_EYE_DISTANCE = 20.0  # px between the eyes in the frame; crops have 72
MAX_TURN = 0.18  # face units from the middle of the eyes to the nose's tip, sideways: about 20 degrees
MIN_LIP_MOVEMENT = 0.05  # face units, range of the lips' distance; 0.08 or more in GRID, 0.02 in still images
MIN_CONFIDENCE = 0.65  # of a sentence; 0.69 or more for 95 % of unseen speakers' sentences
# Nats a character, see `path_score_gap`: 1.06 or less for 95 % of unseen speakers' sentences, 0.57 for seen;
# with their words in another order half of them have more than 1.6 and 0.87.
MAX_PATH_SCORE_GAP = 1.1
MAX_UNKNOWN_FRACTION = 1 / 3  # of the words that are not GRID's
# For weights that know GRID alone. With the grammar decoder, 125 of 148 clips of other speech have a warning
# (GRID's words in another order or alone, and other words; half real, half synthetic), and 1 of the 69
# sentences of the dev lists that are read right. By the two limits above alone it was 96, and 1.
MIN_GRID_CONFIDENCE = 0.75
MAX_WORD_GAP = 0.75  # nats a frame, see `worst_word_gap`; below 0.5 for all sentences that are read right
UNKNOWN = -1  # class of a word that is not GRID's


def path_score_gap(hypothesis: Hypothesis, times: Sequence[Span], emissions: Emissions) -> float:
    """How much more probable the network's best path is than the hypothesis, in nats a character.

    The gap is the log-probability of the best CTC path less that of the best one that spells the text, plus,
    with word heads, that of each frame's most probable class less that of the word at its ``times`` (frames).
    """
    gap = emissions.log_probs.astype(np.float64).max(axis=1).sum() - hypothesis.path_score
    if emissions.word_log_probs is not None:
        frames = emissions.word_log_probs.astype(np.float64)
        classes = np.zeros(len(frames), dtype=np.int64)
        for span, (start, end) in zip(hypothesis.words, times, strict=True):
            classes[int(start) : int(end)] = WORD_CLASS.get(span.word, UNKNOWN)
        known = np.flatnonzero(classes != UNKNOWN)
        gap += (frames[known].max(axis=1) - frames[known, classes[known]]).sum()
    return float(gap / max(len(hypothesis.text), 1))


def worst_word_gap(times: Sequence[Span], words: Sequence[str], emissions: Emissions) -> float:
    """The largest mean log-probability by which a frame's most probable class exceeds its word's, in nats.

    The mean is over the frames of one word. 0 without word heads; words without a class are left out.
    """
    if emissions.word_log_probs is None:
        return 0.0
    gaps = [0.0]
    for word, (start, end) in zip(words, times, strict=True):
        frames = emissions.word_log_probs[int(start) : int(end)].astype(np.float64)
        if word in WORD_CLASS and len(frames):
            gaps.append(float((frames.max(axis=1) - frames[:, WORD_CLASS[word]]).mean()))
    return max(gaps)


def quality_warnings(sentences: Sequence[Sentence], track: FaceTrack | None, grid_only: bool) -> list[str]:
    """One line for each reason why the sentences may be wrong.

    Args:
        sentences: the transcript's.
        track: the face over the whole video; None: not kept, as in live transcription.
        grid_only: whether the network knows GRID's sentences only.
    """
    warnings = list(_face_warnings(track)) if track is not None else []
    if not sentences:
        warnings.append("no speech detected")
    warnings += _confidence_warnings(sentences)
    return warnings + list(_grid_warnings(sentences)) if grid_only else warnings


def _face_warnings(track: FaceTrack) -> Iterator[str]:
    fraction = float(track.found.mean()) if len(track.found) else 0.0
    if fraction < MIN_FACE_FRACTION:
        yield f"a face is found in only {100 * fraction:.0f} % of the frames"
    if track.faces > 1:
        yield f"{track.faces} faces are seen, one is read: see --face"
    track = track[track.found]
    if not isinstance(track.layout, FaceLayout) or not len(track.found):
        return
    poses = fit_pose(track.landmarks, track.layout)
    points = transform(poses, track.landmarks.astype(np.float64))  # face units
    eyes = float(np.median(1 / np.hypot(poses[:, 0, 0], poses[:, 1, 0])))
    if eyes < MIN_EYE_DISTANCE:
        yield f"the face is small, {eyes:.0f} px between the eyes: record it from closer"
    if abs(float(np.median(points[:, track.layout.nose_tip, 0]))) > MAX_TURN:
        yield "the face is turned to the side: record it from the front"
    if track.layout.lips and _range(np.diff(points[:, track.layout.lips, 1])) < MIN_LIP_MOVEMENT:
        yield "the mouth hardly moves"


def _range(values: Floats) -> float:
    """From the 5th to the 95th percentile."""
    low, high = np.percentile(values, (5, 95))
    return float(high - low)


def _confidence_warnings(sentences: Sequence[Sentence]) -> Iterator[str]:
    low = [sentence for sentence in sentences if sentence.confidence < MIN_CONFIDENCE]
    if low:
        mean = sum(sentence.confidence for sentence in low) / len(low)
        yield f"low confidence{_how_many(low, sentences)} ({mean:.2f})"


def _grid_warnings(sentences: Sequence[Sentence]) -> Iterator[str]:
    unlikely = [sentence for sentence in sentences if _is_unlikely_grid(sentence)]
    if unlikely:
        which = _how_many(unlikely, sentences)
        yield f"speech that does not fit a GRID sentence{which}: these weights know 51 words"


def _is_unlikely_grid(sentence: Sentence) -> bool:
    """Whether the words are no GRID sentence, or the emissions do not support one."""
    unknown = sum(word.word not in WORD_CLASS for word in sentence.words)
    if unknown > MAX_UNKNOWN_FRACTION * len(sentence.words):
        return True
    if sentence.path_score_gap > MAX_PATH_SCORE_GAP or sentence.word_gap > MAX_WORD_GAP:
        return True
    if sentence.confidence < MIN_CONFIDENCE:
        return False  # which has its own warning
    return sentence.confidence < MIN_GRID_CONFIDENCE or not is_grid_sentence(sentence.text.split())


def _how_many(some: Sequence[Sentence], sentences: Sequence[Sentence]) -> str:
    return "" if len(sentences) == 1 else f" in {len(some)} of {len(sentences)} sentences"
