"""The transcript of one video: sentences and words with times and confidences, and warnings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lipnet.cropping.cropper import FaceTrack
from lipnet.inference.emissions import Emissions


@dataclass(frozen=True)
class TranscribedWord:
    """A word, its times in seconds from the video's first frame, and the probability that it is right."""

    word: str
    start: float
    end: float
    confidence: float  # 0 ... 1


@dataclass(frozen=True)
class Alternative:
    """One of the n-best texts of a sentence."""

    text: str
    score: float  # the decoder's, a natural logarithm


@dataclass(frozen=True)
class Sentence:
    """The words between two pauses."""

    text: str
    start: float  # s, of the first word
    end: float  # s, of the last word
    confidence: float  # the mean of its words'
    words: list[TranscribedWord]
    n_best: list[Alternative]  # best first; the first one is ``text``
    # See `quality.py`: nats a character, and nats a frame.
    path_score_gap: float = field(default=0.0, repr=False, compare=False)
    word_gap: float = field(default=0.0, repr=False, compare=False)
    # What was decoded, from the video's frame ``first_frame`` on; None where it is not kept.
    emissions: Emissions | None = field(default=None, repr=False, compare=False)
    first_frame: int = field(default=0, repr=False, compare=False)


@dataclass(frozen=True)
class Transcript:
    """The transcript of one video."""

    video: str  # its path or name
    sentences: list[Sentence]
    frames: int  # at ``fps``, whatever the video's own frame rate
    fps: float
    decoder: str  # its name
    calibrated: bool  # whether confidences were fitted to how often words are right
    warnings: list[str]  # one line for each reason why the text may be wrong
    track: FaceTrack | None = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        """All sentences, separated by spaces."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def words(self) -> list[TranscribedWord]:
        """The words of all sentences."""
        return [word for sentence in self.sentences for word in sentence.words]

    @property
    def confidence(self) -> float:
        """The mean of the words' confidences; 0 without words."""
        words = self.words
        return round(sum(word.confidence for word in words) / len(words), 4) if words else 0.0

    def texts_only(self) -> Transcript:
        """The transcript without face track and emissions, which take megabytes for a long video."""
        sentences = [replace(sentence, emissions=None) for sentence in self.sentences]
        return replace(self, sentences=sentences, track=None)

    def as_json(self) -> dict[str, Any]:
        """The transcript as JSON types; times in seconds. Face track and emissions are left out."""
        return {
            "video": self.video,
            "text": self.text,
            "confidence": self.confidence,
            "words": [asdict(word) for word in self.words],
            "sentences": [_sentence_as_json(sentence) for sentence in self.sentences],
            "frames": self.frames,
            "fps": self.fps,
            "decoder": self.decoder,
            "calibrated": self.calibrated,
            "warnings": self.warnings,
        }


def _sentence_as_json(sentence: Sentence) -> dict[str, Any]:
    return {
        "text": sentence.text,
        "start": sentence.start,
        "end": sentence.end,
        "confidence": sentence.confidence,
        "words": [asdict(word) for word in sentence.words],
        "n_best": [asdict(alternative) for alternative in sentence.n_best],
    }
