"""Articulation of a GRID sentence: words -> timed phonemes -> channels of the mouth.

Each phoneme has a target for the seven channels of `lipnet.synthetic.face.Mouth`. Because of coarticulation,
the channels at any time are a weighted mean of the targets of the phonemes around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lipnet.data.alignments import Word
from lipnet.grid import FRAME_RATE
from lipnet.synthetic.face import Mouth

FRAMES = 75  # in a GRID clip
FRAME_MS = 1000 / FRAME_RATE

# ARPAbet, in British English like most of GRID's speakers: R only before a vowel, and the letter Z is "zed".
PRONUNCIATIONS = {
    **{"bin": "B IH N", "lay": "L EY", "place": "P L EY S", "set": "S EH T"},
    **{"blue": "B L UW", "green": "G R IY N", "red": "R EH D", "white": "W AY T"},
    **{"at": "AE T", "by": "B AY", "in": "IH N", "with": "W IH DH"},
    **{"a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY"},
    **{"h": "EY CH", "i": "AY", "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N"},
    **{"o": "OW", "p": "P IY", "q": "K Y UW", "r": "AA", "s": "EH S", "t": "T IY", "u": "Y UW"},
    **{"v": "V IY", "x": "EH K S", "y": "W AY", "z": "Z EH D"},
    **{"zero": "Z IH R OW", "one": "W AH N", "two": "T UW", "three": "TH R IY", "four": "F AO"},
    **{"five": "F AY V", "six": "S IH K S", "seven": "S EH V AH N", "eight": "EY T", "nine": "N AY N"},
    **{"again": "AH G EH N", "now": "N AW", "please": "P L IY Z", "soon": "S UW N"},
}
# Duration of the words in each slot relative to the sum of their phonemes: medians of the real alignments.
SLOT_PACE = (1.05, 1.0, 0.75, 0.95, 0.95, 1.25)


@dataclass(frozen=True)
class Phoneme:
    """A phoneme's target for the mouth, and how strongly it dominates its neighbours."""

    duration: float  # ms
    target: Mouth
    dominance: Mouth  # weight of each channel relative to the neighbours', 1 on average


@dataclass(frozen=True)
class Segment:
    """A phoneme, or half of a diphthong, with its times in ms from the start of the clip."""

    start: float
    end: float
    phoneme: Phoneme


def _vowel(duration: float, **target: float) -> Phoneme:
    return Phoneme(duration, Mouth(**{**_REST, **target}), Mouth(*[1.0] * 7))


def _consonant(duration: float, dominance: dict[str, float] | None = None, **target: float) -> Phoneme:
    """A consonant; by default, adjacent vowels determine the rounding and spreading of the lips."""
    weights = {"jaw": 1.2, "spread": 0.3, "round": 0.15, "teeth": 1.2, "tongue": 2.5, "press": 1, "tuck": 1}
    return Phoneme(duration, Mouth(**{**_REST, **target}), Mouth(**{**weights, **(dominance or {})}))


_REST = dict.fromkeys(Mouth._fields, 0.0)
_CLOSED = {"press": 25.0, "jaw": 6.0, "teeth": 6.0}
_TUCKED = {"tuck": 20.0, "jaw": 5.0, "teeth": 2.0}

# Lips closed in two thirds of the clips, slightly parted in the others.
SILENCES = [Phoneme(0, Mouth(**{**_REST, "jaw": jaw}), Mouth(*[0.7] * 7)) for jaw in (0.0, 0.02, 0.13)]

# Phonemes of the same viseme (b m p, f v, s z) have nearly the same target.
PHONEMES = {
    "B": _consonant(75, _CLOSED, jaw=0.05, press=1),
    "P": _consonant(90, _CLOSED, jaw=0.05, press=1),
    "M": _consonant(85, _CLOSED, jaw=0.08, press=1),
    "F": _consonant(105, _TUCKED, jaw=0.12, teeth=0.4, tuck=1),
    "V": _consonant(75, _TUCKED, jaw=0.12, teeth=0.4, tuck=1),
    "TH": _consonant(105, {"tongue": 8}, jaw=0.22, teeth=0.5, tongue=1),
    "DH": _consonant(70, {"tongue": 6}, jaw=0.22, teeth=0.5, tongue=1),
    "T": _consonant(85, jaw=0.14, teeth=0.7, tongue=0.45, spread=0.1),
    "D": _consonant(70, jaw=0.16, teeth=0.65, tongue=0.5, spread=0.1),
    "N": _consonant(75, jaw=0.22, teeth=0.4, tongue=0.6),
    "L": _consonant(65, jaw=0.32, teeth=0.35, tongue=0.8),
    "S": _consonant(110, {"jaw": 3, "teeth": 3}, jaw=0.05, teeth=1, spread=0.25),
    "Z": _consonant(95, {"jaw": 3, "teeth": 3}, jaw=0.05, teeth=1, spread=0.25),
    "CH": _consonant(115, {"jaw": 2, "teeth": 2, "round": 2.5}, jaw=0.12, round=0.6, teeth=0.8),
    "JH": _consonant(95, {"jaw": 2, "teeth": 2, "round": 2.5}, jaw=0.12, round=0.6, teeth=0.8),
    "K": _consonant(80, {"tongue": 0.8}, jaw=0.28, teeth=0.3),
    "G": _consonant(70, {"tongue": 0.8}, jaw=0.28, teeth=0.3),
    "R": _consonant(65, {"round": 1.2}, jaw=0.18, round=0.5, teeth=0.2, tongue=0.2),
    "W": _consonant(75, {"round": 6, "jaw": 3}, jaw=0.13, round=1),
    "Y": _consonant(60, {"spread": 1}, jaw=0.15, spread=0.5, teeth=0.5),
    "IY": _vowel(125, jaw=0.20, spread=0.9, teeth=0.8),
    "IH": _vowel(80, jaw=0.32, spread=0.45, teeth=0.5),
    "EH": _vowel(105, jaw=0.52, spread=0.3, teeth=0.35),
    "AE": _vowel(95, jaw=0.78, spread=0.3, teeth=0.35),
    "AH": _vowel(75, jaw=0.48, teeth=0.2),
    "AA": _vowel(150, jaw=1.0, teeth=0.15),
    "AO": _vowel(150, jaw=0.55, round=0.7),
    "UH": _vowel(80, jaw=0.20, round=0.75),
    "UW": _vowel(130, jaw=0.2, round=1),
}
DIPHTHONGS = {"EY": ("EH", "IY"), "AY": ("AA", "IH"), "AW": ("AA", "UH"), "OW": ("AO", "UW")}
DIPHTHONG_MS = 160


def phonemes_of(word: str) -> list[tuple[Phoneme, float]]:
    """The phonemes of a GRID word with their inherent durations in ms; a diphthong gives two halves."""
    parts = []
    for name in PRONUNCIATIONS[word].split():
        if name in DIPHTHONGS:
            parts += [(PHONEMES[half], DIPHTHONG_MS / 2) for half in DIPHTHONGS[name]]
        else:
            parts.append((PHONEMES[name], PHONEMES[name].duration))
    return parts


def time_sentence(words: Sequence[str], rng: np.random.Generator) -> tuple[list[Word], list[Segment]]:
    """Sample the times of a sentence, similar to GRID's: it starts after 12-22 frames and lasts 30-48.

    Returns:
        The words with their times in frames, multiples of a quarter as in GRID, and the segments of the whole
        clip, silences included.
    """
    parts = [phonemes_of(word) for word in words]
    pace = rng.uniform(0.9, 1.2) * np.array(SLOT_PACE) * np.exp(rng.normal(0, 0.10, len(words)))
    lengths = np.array([sum(ms for _, ms in part) for part in parts]) * pace / FRAME_MS  # frames
    lengths *= np.clip(lengths.sum(), 30, 48) / lengths.sum()
    borders = np.round((rng.uniform(12, 22) + np.concatenate([[0], np.cumsum(lengths)])) * 4) / 4
    silence = SILENCES[rng.integers(len(SILENCES))]
    spoken, segments = [], [Segment(0, borders[0] * FRAME_MS, silence)]
    for word, part, start, end in zip(words, parts, borders[:-1], borders[1:], strict=True):
        spoken.append(Word(word, float(start), float(end)))
        shares = np.array([ms for _, ms in part]) * np.exp(rng.normal(0, 0.08, len(part)))
        edges = start + (end - start) * np.concatenate([[0], np.cumsum(shares) / shares.sum()])
        for (phoneme, _), left, right in zip(part, edges[:-1], edges[1:], strict=True):
            segments.append(Segment(left * FRAME_MS, right * FRAME_MS, phoneme))
    segments.append(Segment(borders[-1] * FRAME_MS, FRAMES * FRAME_MS, silence))
    return spoken, segments


def coarticulate(segments: Sequence[Segment], times: np.ndarray) -> np.ndarray:
    """The channels of ``Mouth`` at ``times`` ((T,) ms): (T, 7).

    Each channel is the mean of all phonemes' targets, weighted by dominance and by a Gaussian of the distance
    to the phoneme, wider for longer ones: the model of Cohen and Massaro (1993), simplified. The Gaussian is
    narrower where dominance is high, so that the lips part within a frame after a b.
    """
    start = np.array([segment.start for segment in segments])
    end = np.array([segment.end for segment in segments])
    targets = np.array([segment.phoneme.target for segment in segments])  # (S, 7)
    dominance = np.array([segment.phoneme.dominance for segment in segments])
    outside = np.maximum(np.maximum(start - times[:, None], times[:, None] - end), 0)  # (T, S)
    # A silence is far longer than any phoneme; its width is limited to that of a long one.
    width = 28 + 0.18 * np.minimum(end - start, 200)  # ms
    width = width[:, None] / np.sqrt(np.maximum(dominance, 1))
    weights = dominance * np.exp(-0.5 * (outside[..., None] / width) ** 2)  # (T, S, 7)
    return (weights * targets).sum(1) / weights.sum(1)
