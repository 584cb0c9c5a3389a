"""What was read off a video: words with times and confidences, in sentences, and what to think of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from lipnet.cropping.cropper import FaceTrack


@dataclass(frozen=True)
class TranscribedWord:
    """A word, when it is spoken (seconds from the video's first picture) and how probably it is right."""

    word: str
    start: float
    end: float
    confidence: float  # 0 ... 1


@dataclass(frozen=True)
class Alternative:
    """Another reading of a sentence. ``score`` is the decoder's, a natural logarithm."""

    text: str
    score: float


@dataclass(frozen=True)
class Sentence:
    """Words between two silences; ``start`` and ``end`` are those of the first and the last word."""

    text: str
    start: float
    end: float
    confidence: float  # the mean of its words': which part of them is right, as far as can be told
    words: list[TranscribedWord]
    n_best: list[Alternative]  # best first, the first one being ``text``


@dataclass(frozen=True)
class Transcript:
    """What was read off one video.

    ``warnings`` name the reasons, one line each, why the text may be wrong; none is an error.
    """

    video: str
    sentences: list[Sentence]
    frames: int  # at ``fps``, whatever the video's own rate
    fps: float
    decoder: str
    calibrated: bool  # whether confidences were fitted to how often words are right
    warnings: list[str]
    track: FaceTrack | None = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        """All sentences, a space between them."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def words(self) -> list[TranscribedWord]:
        return [word for sentence in self.sentences for word in sentence.words]

    @property
    def confidence(self) -> float:
        """The mean of the words' confidences, 0 where nothing was read."""
        words = self.words
        return round(sum(word.confidence for word in words) / len(words), 4) if words else 0.0

    def as_json(self) -> dict[str, Any]:
        """Everything but the track, with the text and the words of all sentences in front."""
        whole = {name: value for name, value in vars(self).items() if name not in ("sentences", "track")}
        return {
            "video": whole.pop("video"),
            "text": self.text,
            "confidence": self.confidence,
            "words": [asdict(word) for word in self.words],
            "sentences": [asdict(sentence) for sentence in self.sentences],
            **whole,
        }
