"""Reasons not to trust a transcript, in words for the person who reads it.

The limits lie between what real GRID clips show, of speakers seen and unseen, and what the same clips show
when they are held still, turned, shrunk, played backwards, or cut up and put together in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.geometry import LANDMARK_LAYOUTS, fit_pose, transform
from lipnet.decoding.base import Floats, Hypothesis
from lipnet.grid import WORD_CLASS
from lipnet.inference.emissions import Emissions
from lipnet.inference.timestamps import Span
from lipnet.inference.transcript import Sentence

MIN_FACE_FRACTION = 0.75  # part of the frames with a face
MIN_EYE_DISTANCE = 20.0  # px between the eyes: the network reads crops of 72
MAX_TURN = 0.18  # face units from between the eyes to the nose's tip, sideways: about 20 degrees
MIN_LIP_MOVEMENT = 0.05  # face units, what the lips' height varies by; 0.08 or more in GRID, 0.02 held still
MIN_CONFIDENCE = 0.65  # of a sentence; 0.69 or more for 95 % of unseen speakers' sentences
# Nats a character, see `path_score_gap`: 1.06 or less for 95 % of unseen speakers' sentences, 0.57 for seen;
# with their words in another order half of them have more than 1.6 and 0.87.
MAX_PATH_SCORE_GAP = 1.1
MAX_UNKNOWN_FRACTION = 1 / 3  # part of the words that are not GRID's
UNKNOWN = -1  # class of a word that is not GRID's


def path_score_gap(hypothesis: Hypothesis, times: Sequence[Span], emissions: Emissions) -> float:
    """By how much what the network sees beats what was read, in nats a character of the hypothesis.

    That is the best path of CTC over the best one that spells the text, and the likeliest class of every
    frame over the classes of the words at their ``times``, as far as these have one.
    """
    lost = emissions.log_probs.astype(np.float64).max(axis=1).sum() - hypothesis.path_score
    if emissions.word_log_probs is not None:
        frames = emissions.word_log_probs.astype(np.float64)
        classes = np.zeros(len(frames), dtype=np.int64)
        for span, (start, end) in zip(hypothesis.words, times, strict=True):
            classes[int(start) : int(end)] = WORD_CLASS.get(span.word, UNKNOWN)
        known = np.flatnonzero(classes != UNKNOWN)
        lost += (frames[known].max(axis=1) - frames[known, classes[known]]).sum()
    return float(lost / max(len(hypothesis.text), 1))


def quality_warnings(
    sentences: Sequence[Sentence], path_score_gaps: Sequence[float] | None, track: FaceTrack
) -> list[str]:
    """One line for each reason.

    Args:
        sentences: what was read.
        path_score_gaps: of each sentence; None where none need be one of GRID's.
        track: the face over the whole video.
    """
    seen = float(track.found.mean()) if len(track.found) else 0.0
    reasons = []
    if seen < MIN_FACE_FRACTION:
        reasons.append(f"a face is seen in only {100 * seen:.0f} % of the frames")
    if track.found.any():
        reasons += _doubts_of_face(FaceTrack(*(column[track.found] for column in vars(track).values())))
    if not sentences:
        reasons.append("nobody is seen to speak")
    return reasons + list(_doubts_of_text(sentences, path_score_gaps))


def _doubts_of_face(track: FaceTrack) -> Iterator[str]:
    """What is wrong with the face where it is seen, as far as its landmarks tell."""
    scheme = LANDMARK_LAYOUTS.get(track.landmarks.shape[1])
    if scheme is None:
        return  # a fixed box: nobody has looked for a face
    poses = fit_pose(track.landmarks)
    points = transform(poses, track.landmarks.astype(np.float64))  # face units
    eyes = float(np.median(1 / np.hypot(poses[:, 0, 0], poses[:, 1, 0])))
    if eyes < MIN_EYE_DISTANCE:
        yield f"the face is tiny, {eyes:.0f} px between the eyes: film it from nearer"
    if abs(float(np.median(points[:, scheme.nose_tip, 0]))) > MAX_TURN:
        yield "the face is turned to the side: film it from the front"
    if scheme.lips and _spread(np.diff(points[:, scheme.lips, 1])) < MIN_LIP_MOVEMENT:
        yield "the mouth hardly moves"


def _spread(values: Floats) -> float:
    low, high = np.percentile(values, (5, 95))
    return float(high - low)


def _doubts_of_text(sentences: Sequence[Sentence], path_score_gaps: Sequence[float] | None) -> Iterator[str]:
    """Sentences that are unsure, or that are none of GRID's."""
    unsure = [sentence for sentence in sentences if sentence.confidence < MIN_CONFIDENCE]
    if unsure:
        which = "" if len(sentences) == 1 else f" in {len(unsure)} of {len(sentences)} sentences"
        mean = sum(sentence.confidence for sentence in unsure) / len(unsure)
        yield f"low confidence{which} ({mean:.2f})"
    strange = sum(map(_is_strange, sentences, path_score_gaps)) if path_score_gaps is not None else 0
    if strange:
        which = "" if len(sentences) == 1 else f" in {strange} of {len(sentences)} sentences"
        yield f"speech that does not fit a GRID sentence{which}: these weights know 51 words"


def _is_strange(sentence: Sentence, path_score_gap: float) -> bool:
    unknown = sum(word.word not in WORD_CLASS for word in sentence.words)
    return path_score_gap > MAX_PATH_SCORE_GAP or unknown > MAX_UNKNOWN_FRACTION * len(sentence.words)
