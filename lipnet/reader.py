"""A video file in, what was said in it out: the very cropper, model and decoder of evaluation."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lipnet.checkpoint import Checkpoint, load_weights
from lipnet.decode import Hypothesis, word_spans
from lipnet.decoders import DecoderOptions, decode, make_decoder
from lipnet.grid import FRAME_RATE
from lipnet.hardware import Hardware, choose_hardware
from lipnet.model import LipNet, Output
from lipnet.mouth import MouthCropper
from lipnet.shipped import WEIGHTS
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
    """Reads videos with one set of weights: ``LipReader.load().read("clip.mpg").text``."""

    def __init__(
        self,
        model: LipNet,
        checkpoint: Checkpoint,
        hardware: Hardware,
        decoder: str = "greedy",
        options: DecoderOptions | None = None,
    ) -> None:
        """``model`` must be on the hardware's device. Raises LipnetError on a decoder that cannot be used."""
        self.model, self.checkpoint, self.hardware = model, checkpoint, hardware
        self.alphabet = Alphabet(checkpoint.model.alphabet)
        self.decoder_name = decoder
        self.decoder = make_decoder(decoder, self.alphabet, options)
        self.cropper = MouthCropper(checkpoint.crop)

    @classmethod
    def load(
        cls,
        weights: str | Path = WEIGHTS,
        decoder: str = "greedy",
        device: str = "auto",
        options: DecoderOptions | None = None,
    ) -> LipReader:
        """A reader with the shipped weights, or others.

        Raises LipnetError on weights, a decoder or a device that cannot be used.
        """
        hardware = choose_hardware(device)
        model, checkpoint = load_weights(weights, hardware.device)
        return cls(model, checkpoint, hardware, decoder, options)

    def read(self, path: str | Path) -> Transcript:
        """Read one video. Raises VideoError or NoFaceError, naming the file."""
        crops = self.cropper(list(iter_frames(path, FRAME_RATE)), str(path)).frames
        output = self.output(crops)
        best = decode(self.decoder, output)[0][0]
        symbols = self.alphabet.encode(best.text)
        probabilities = output.log_probs[0, best.steps, symbols].double().exp().cpu().numpy()
        return Transcript(
            video=str(path),
            text=best.text,
            confidence=_geometric_mean(probabilities),
            words=transcribed_words(
                best, probabilities, FRAME_RATE * self.checkpoint.model.outputs_per_frame
            ),
            frames=len(crops),
            fps=FRAME_RATE,
            decoder=self.decoder_name,
        )

    @torch.inference_mode()
    def output(self, crops: np.ndarray) -> Output:
        """What the network says of (T, H, W, 3) uint8 RGB crops: a batch of one."""
        frames = torch.from_numpy(crops)[None].to(self.hardware.device)
        with self.hardware.autocast():
            output: Output = self.model(frames, torch.tensor([len(crops)]))
        return output


def transcribed_words(
    hypothesis: Hypothesis, probabilities: np.ndarray, step_rate: float
) -> list[TranscribedWord]:
    """The words of a hypothesis, with ``probabilities`` (L,) of its characters and ``step_rate`` steps/s."""
    words = []
    position = 0
    for span in word_spans(hypothesis):
        position = hypothesis.text.index(span.word, position)
        confidence = _geometric_mean(probabilities[position : position + len(span.word)])
        start, end = span.first / step_rate, (span.last + 1) / step_rate
        words.append(TranscribedWord(span.word, round(start, 3), round(end, 3), confidence))
        position += len(span.word)
    return words


def _geometric_mean(values: np.ndarray) -> float:
    return round(math.exp(np.log(np.maximum(values, 1e-30)).mean()), 4) if len(values) else 0.0
