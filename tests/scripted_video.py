"""A video whose words are known: a fake network and a fake face, for the tests of reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lipnet.config import CropConfig
from lipnet.grid import WORDS
from lipnet.inference.emissions import Emissions

CROP = CropConfig(width=24, height=16)
SIZE = 60  # px of the square frames


class Script:
    """A video as the word class shown in each frame; frames carry their number, crops too."""

    def __init__(self, classes: Sequence[int], faces: Sequence[bool] | None = None) -> None:
        self.classes = list(classes)
        self.faces = [True] * len(self.classes) if faces is None else list(faces)
        self.asked: list[np.ndarray] = []  # the frames of each request

    def frames(self) -> Iterator[np.ndarray]:
        for number in range(len(self.classes)):
            yield np.full((SIZE, SIZE, 3), (number % 256, number // 256, self.faces[number]), np.uint8)

    def backend(self, crops: np.ndarray) -> Emissions:
        numbers = crops[:, 0, 0, :2].astype(int) @ (1, 256)
        self.asked.append(numbers)
        words = np.full((len(crops), len(WORDS) + 1), 1e-6)
        words[np.arange(len(crops)), [self.classes[number] for number in numbers]] = 1
        log_probs = np.zeros((len(crops), 28), np.float32)
        log_probs[:, 0] = numbers  # so that emissions tells its frames
        return Emissions(log_probs, np.log(words / words.sum(1, keepdims=True)).astype(np.float32), 1)


class FakeTracker:
    """A face whose landmarks never move, where the frame says so."""

    def follow(self, frames: Iterator[np.ndarray], detect_every: int) -> Iterator[np.ndarray | None]:
        face = np.stack([np.linspace(20, 40, 68), np.linspace(20, 40, 68)[::-1]], axis=1)
        face[36:42], face[42:48] = (20, 25), (40, 25)
        face[27:31] = (30, 30)
        for frame in frames:
            yield face if frame[0, 0, 2] else None


def sentences(*lengths: int, pause: int = 20) -> list[int]:
    """Sentences of so many frames, each of its own word, with pauses around."""
    classes = [0] * pause
    for word, length in enumerate(lengths, start=1):
        classes += [word] * length + [0] * pause
    return classes
