"""A video file in, what was said in it out: the very cropper, model and decoder of evaluation."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lipnet.checkpoint import load_weights
from lipnet.decode import Hypothesis, make_decoder, word_spans
from lipnet.grid import FRAME_RATE
from lipnet.hardware import choose_hardware
from lipnet.mouth import MouthCropper
from lipnet.text import Alphabet
from lipnet.video import iter_frames


@dataclass(frozen=True)
class TranscribedWord:
    """A word, when it is seen (seconds from the video's start) and how sure the network is, 0 ... 1."""

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """What was read off one video.

    A confidence is the geometric mean of the probabilities of the characters in the frames where they
    are written, 0 ... 1; it is not calibrated.
    """

    video: str
    text: str
    confidence: float
    words: list[TranscribedWord]
    frames: int  # at ``fps``, whatever the video's own rate
    fps: float
    decoder: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class LipReader:
    """Reads videos with one set of weights."""

    def __init__(self, weights: str | Path, decoder: str = "greedy", device: str = "auto") -> None:
        """Raises LipnetError on weights, a decoder or a device that cannot be used."""
        self.hardware = choose_hardware(device)
        self.model, self.checkpoint = load_weights(weights, self.hardware.device)
        self.alphabet = Alphabet(self.checkpoint.model.alphabet)
        self.decoder_name = decoder
        self.decoder = make_decoder(decoder, self.alphabet)
        self.cropper = MouthCropper(self.checkpoint.crop)

    def read(self, path: str | Path) -> Transcript:
        """Read one video. Raises VideoError or NoFaceError, naming the file."""
        crops = self.cropper(list(iter_frames(path, FRAME_RATE)), str(path)).frames
        log_probs = self.log_probs(crops)
        best = self.decoder(log_probs[None], torch.tensor([len(crops)]))[0][0]
        probabilities = log_probs[best.frames, self.alphabet.encode(best.text)].double().exp().numpy()
        return Transcript(
            video=str(path),
            text=best.text,
            confidence=_geometric_mean(probabilities),
            words=transcribed_words(best, probabilities),
            frames=len(crops),
            fps=FRAME_RATE,
            decoder=self.decoder_name,
        )

    @torch.inference_mode()
    def log_probs(self, crops: np.ndarray) -> torch.Tensor:
        """(T, H, W, 3) uint8 RGB crops -> (T, V) float32 natural log-probabilities, on the CPU."""
        frames = torch.from_numpy(crops)[None].to(self.hardware.device)
        with self.hardware.autocast():
            return self.model(frames, torch.tensor([len(crops)])).log_probs[0].cpu()


def transcribed_words(hypothesis: Hypothesis, probabilities: np.ndarray) -> list[TranscribedWord]:
    """The words of a hypothesis, with ``probabilities`` (L,) of its characters."""
    words = []
    position = 0
    for span in word_spans(hypothesis):
        position = hypothesis.text.index(span.word, position)
        confidence = _geometric_mean(probabilities[position : position + len(span.word)])
        start, end = span.first / FRAME_RATE, (span.last + 1) / FRAME_RATE
        words.append(TranscribedWord(span.word, round(start, 3), round(end, 3), confidence))
        position += len(span.word)
    return words


def _geometric_mean(values: np.ndarray) -> float:
    return round(math.exp(np.log(np.maximum(values, 1e-30)).mean()), 4) if len(values) else 0.0
