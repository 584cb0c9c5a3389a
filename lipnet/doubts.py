"""Reasons not to trust a transcript, in words for the person who reads it.

The limits lie between what real GRID clips show, of speakers seen and unseen, and what the same clips show
when they are held still, turned, shrunk, played backwards, or cut up and put together in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lipnet.decode import Floats
from lipnet.face import fit_pose, transform
from lipnet.grid import WORD_CLASS
from lipnet.mouth import FaceTrack
from lipnet.transcript import Sentence

LEAST_SEEN = 0.75  # part of the frames with a face
SMALLEST_EYES = 20.0  # px between the eyes: the network reads crops of 72
LARGEST_TURN = 0.18  # face units from between the eyes to the nose's tip, sideways: about 20 degrees
LEAST_MOVEMENT = 0.05  # face units, what the lips' height varies by; 0.08 or more in GRID, 0.02 held still
LEAST_CONFIDENCE = 0.65  # of a sentence; 0.74 or more for 95 % of GRID's sentences, unseen speakers' too
# Nats a character by which CTC's own best path is better than the sentence that the grammar allows: 1.5 or
# less for 95 % of unseen speakers' sentences, and the same for half of their sentences with words misplaced.
LARGEST_MISFIT = 1.5
MOST_UNKNOWN = 1 / 3  # part of the words that are not GRID's
NOSE_TIP, UPPER_LIP, LOWER_LIP = 30, 51, 57  # of iBUG's 68 landmarks


def doubts(sentences: Sequence[Sentence], misfits: Sequence[float], track: FaceTrack) -> list[str]:
    """One line for each reason.

    Args:
        sentences: what was read.
        misfits: for each sentence, nats a character by which CTC's own best path beats it.
        track: the face over the whole video.
    """
    seen = float(track.found.mean()) if len(track.found) else 0.0
    reasons = []
    if seen < LEAST_SEEN:
        reasons.append(f"a face is seen in only {100 * seen:.0f} % of the frames")
    if track.found.any():
        reasons += _doubts_of_face(FaceTrack(*(column[track.found] for column in vars(track).values())))
    if not sentences:
        reasons.append("nobody is seen to speak")
    return reasons + list(_doubts_of_text(sentences, misfits))


def _doubts_of_face(track: FaceTrack) -> Iterator[str]:
    """What is wrong with the face where it is seen."""
    poses = fit_pose(track.landmarks)
    points = transform(poses, track.landmarks.astype(np.float64))  # face units
    eyes = float(np.median(1 / np.hypot(poses[:, 0, 0], poses[:, 1, 0])))
    if eyes < SMALLEST_EYES:
        yield f"the face is tiny, {eyes:.0f} px between the eyes: film it from nearer"
    if abs(float(np.median(points[:, NOSE_TIP, 0]))) > LARGEST_TURN:
        yield "the face is turned to the side: film it from the front"
    if _spread(points[:, LOWER_LIP, 1] - points[:, UPPER_LIP, 1]) < LEAST_MOVEMENT:
        yield "the mouth hardly moves"


def _spread(values: Floats) -> float:
    low, high = np.percentile(values, (5, 95))
    return float(high - low)


def _doubts_of_text(sentences: Sequence[Sentence], misfits: Sequence[float]) -> Iterator[str]:
    """Sentences that are unsure, or that are none of GRID's."""
    unsure = [sentence for sentence in sentences if sentence.confidence < LEAST_CONFIDENCE]
    if unsure:
        which = "" if len(sentences) == 1 else f" in {len(unsure)} of {len(sentences)} sentences"
        mean = sum(sentence.confidence for sentence in unsure) / len(unsure)
        yield f"low confidence{which} ({mean:.2f})"
    strange = sum(map(_is_strange, sentences, misfits))
    if strange:
        which = "" if len(sentences) == 1 else f" in {strange} of {len(sentences)} sentences"
        yield f"speech that does not fit a GRID sentence{which}: the shipped model knows 51 words"


def _is_strange(sentence: Sentence, misfit: float) -> bool:
    unknown = sum(word.word not in WORD_CLASS for word in sentence.words)
    return misfit > LARGEST_MISFIT or unknown > MOST_UNKNOWN * len(sentence.words)
