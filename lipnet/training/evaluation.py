"""Evaluation: the error rates of a network on a split."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from lipnet.data.dataset import Batch
from lipnet.data.loading.loaders import loaded
from lipnet.decoding.base import Decoder, Hypothesis
from lipnet.device import Device
from lipnet.metrics import ErrorCounts
from lipnet.models.lipnet import LipNet, Output
from lipnet.training.losses import alignable, ctc_losses


@dataclass
class Evaluation:
    """Predictions for a split and their errors."""

    counts: ErrorCounts = field(default_factory=ErrorCounts)
    names: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    predictions: list[Hypothesis] = field(default_factory=list)
    loss: float = math.nan  # mean CTC loss, nats per symbol, of the clips that have the steps for their text
    aligned: int = 0  # number of these clips

    def add(self, batch: Batch, hypotheses: list[Hypothesis]) -> None:
        """Count the errors of the best hypothesis of each clip of a batch."""
        for target, hypothesis in zip(batch.sentences, hypotheses, strict=True):
            self.counts.add(target, hypothesis.text)
        self.names += batch.names
        self.targets += batch.sentences
        self.predictions += hypotheses


def decode(decoder: Decoder, output: Output) -> list[list[Hypothesis]]:
    """The hypotheses of each clip of a network's output, best first."""
    words = output.word_log_probs
    return decoder(output.log_probs.cpu(), output.lengths, None if words is None else words.cpu())


@torch.inference_mode()
def evaluate(model: LipNet, batches: Iterable[Batch], decoder: Decoder, device: Device) -> Evaluation:
    """Read every clip of ``batches`` and count the errors."""
    model.eval()
    result = Evaluation()
    loss, clips = 0.0, 0
    for batch in loaded(batches):
        batch = batch.to(device.torch_device, non_blocking=True)
        with device.autocast():
            output = model(batch.frames, batch.lengths, batch.landmarks)
        loss += ctc_losses(output, batch).sum().item()
        clips += int(alignable(output, batch).sum())
        result.add(batch, [ranked[0] for ranked in decode(decoder, output)])
    result.loss, result.aligned = loss / clips if clips else math.nan, clips
    return result


def join(parts: Sequence[Evaluation]) -> Evaluation:
    """The evaluation of a split of which each of N parts has every N-th clip, from its own number on."""
    if len(parts) == 1:
        return parts[0]
    result = Evaluation(aligned=sum(part.aligned for part in parts))
    for position in range(sum(len(part.names) for part in parts)):
        part, place = parts[position % len(parts)], position // len(parts)
        result.counts.add(part.targets[place], part.predictions[place].text)
        result.names.append(part.names[place])
        result.targets.append(part.targets[place])
        result.predictions.append(part.predictions[place])
    total = sum(part.loss * part.aligned for part in parts if part.aligned)
    result.loss = total / result.aligned if result.aligned else math.nan
    return result
