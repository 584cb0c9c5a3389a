"""A video whose words are known, with a backend, a tracker and a decoder to match, for tests of inference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lipnet.config import CropConfig, ModelConfig
from lipnet.cropping.cropper import FaceCropper, FrameTracker
from lipnet.cropping.landmarks import IBUG_68
from lipnet.grid import WORDS
from lipnet.inference.emissions import Emissions
from lipnet.inference.transcript import Sentence, TranscribedWord
from lipnet.models.metadata import Metadata

CROP = CropConfig(width=24, height=16)
SIZE = 60  # px of the square frames


class ScriptedVideo:
    """The word class of each frame. Frames hold their number, and so do their crops."""

    def __init__(self, classes: Sequence[int], faces: Sequence[bool] | None = None) -> None:
        self.classes = list(classes)
        self.faces = [True] * len(self.classes) if faces is None else list(faces)

    def frames(self) -> Iterator[np.ndarray]:
        for number in range(len(self.classes)):
            yield np.full((SIZE, SIZE, 3), (number % 256, number // 256, self.faces[number]), np.uint8)

    def words_in(self, frames: Sequence[int]) -> list[int]:
        """The word classes in these frames, each once."""
        return sorted({self.classes[number] for number in frames} - {0})


class ScriptedBackend:
    """A network that is certain of each frame's word. Emissions hold the numbers of their frames, too."""

    metadata = Metadata(ModelConfig(word_heads=True), CROP)

    def __init__(self, video: ScriptedVideo) -> None:
        self.video = video
        self.requests: list[np.ndarray] = []  # the numbers of the frames of each

    def __call__(
        self, clips: Sequence[np.ndarray], landmarks: Sequence[np.ndarray | None] | None = None
    ) -> list[Emissions]:
        return [self.emissions(clip[:, 0, 0, :2].astype(int) @ (1, 256)) for clip in clips]

    def emissions(self, numbers: np.ndarray) -> Emissions:
        self.requests.append(numbers)
        words = np.full((len(numbers), len(WORDS) + 1), 1e-6)
        words[np.arange(len(numbers)), [self.video.classes[number] for number in numbers]] = 1
        log_probs = np.zeros((len(numbers), 28), np.float32)
        log_probs[:, 0] = numbers
        return Emissions(log_probs, np.log(words / words.sum(1, keepdims=True)).astype(np.float32), 1)


class RecordingDecoder:
    """Keeps the numbers of the frames of each utterance; its sentences hold nothing else."""

    name, calibration, grid_only = "recording", None, False

    def __init__(self) -> None:
        self.utterances: list[list[int]] = []

    def __call__(self, emissions: Emissions, first: int = 0) -> Sentence:
        numbers = emissions.log_probs[:, 0].astype(int).tolist()
        assert numbers[0] == first
        self.utterances.append(numbers)
        word = TranscribedWord(f"{first}", first / 25, (first + len(numbers)) / 25, 1.0)
        return Sentence(word.word, word.start, word.end, 1.0, [word], [])

    def partial_text(self, emissions: Emissions) -> str:
        return " ".join(map(str, emissions.log_probs[:, 0].astype(int)))


class FakeTracker:
    """A face whose landmarks never move, in the frames that have one."""

    layout = IBUG_68

    def start(self, config: CropConfig) -> FrameTracker:
        face = np.stack([np.linspace(20, 40, 68), np.linspace(20, 40, 68)[::-1]], axis=1)
        face[36:42], face[42:48] = (20, 25), (40, 25)
        face[27:31] = (30, 30)
        return lambda frame: face if frame[0, 0, 2] else None


def fake_cropper() -> FaceCropper:
    return FaceCropper(CROP, FakeTracker())  # type: ignore[arg-type]


def sentences(*lengths: int, pause: int = 20) -> list[int]:
    """Word classes of sentences of so many frames, each of its own word, with pauses around."""
    classes = [0] * pause
    for word, length in enumerate(lengths, start=1):
        classes += [word] * length + [0] * pause
    return classes
