"""Evaluation: the error rates of a network on a split."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from lipnet.data.dataset import Batch
from lipnet.decoding.base import Decoder, Hypothesis
from lipnet.device import Device
from lipnet.errors import LipnetError
from lipnet.metrics import ErrorCounts
from lipnet.models.batch import Output
from lipnet.models.lipnet import LipNet
from lipnet.training.losses import alignable, ctc_losses
from lipnet.utils.workers import WorkerPool

AHEAD = 2  # batches of each decoding process that are read before those whose texts are due


class Emitted(NamedTuple):
    """Natural log-probabilities of a clip: S steps, V symbols; T frames, K word classes."""

    log_probs: np.ndarray  # (S, V) float32
    words: np.ndarray | None  # (T, K) float32; None without word heads


@dataclass
class Evaluation:
    """Predictions for a split, in the order of its list, and their errors."""

    counts: ErrorCounts = field(default_factory=ErrorCounts)
    names: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    predictions: list[Hypothesis] = field(default_factory=list)
    loss: float = math.nan  # mean CTC loss, nats per symbol, of the clips that have the steps for their text
    aligned: int = 0  # number of these clips


def evaluate(
    model: LipNet, batches: Iterable[Batch], decoder: Decoder, device: Device, workers: int = 0
) -> Evaluation:
    """Read every clip of ``batches`` and count the errors; ``workers`` as `read_clips`."""
    model.eval()
    loss, clips = 0.0, 0

    @torch.inference_mode()
    def emissions(batch: Batch) -> list[Emitted]:
        nonlocal loss, clips
        batch, output = _forward(model, batch, device)
        loss += ctc_losses(output, batch).sum().item()
        clips += int(alignable(output, batch).sum())
        return split_output(output)

    result = read_clips(batches, emissions, decoder, workers)
    result.loss, result.aligned = loss / clips if clips else math.nan, clips
    return result


@torch.inference_mode()
def emit(model: LipNet, batch: Batch, device: Device) -> list[Emitted]:
    """What the network gives for each clip of a batch."""
    model.eval()
    return split_output(_forward(model, batch, device)[1])


def _forward(model: LipNet, batch: Batch, device: Device) -> tuple[Batch, Output]:
    """The batch on the device, and the network's output for it."""
    batch = batch.to(device.torch_device, non_blocking=True)
    with device.autocast():
        return batch, model(batch.frames, batch.lengths, batch.landmarks)


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


def split_output(output: Output) -> list[Emitted]:
    """The emissions of each clip of a batch, without its padding."""
    log_probs = output.log_probs.float().cpu().numpy()
    steps, words = output.lengths.tolist(), output.word_log_probs
    if words is None:
        return [Emitted(clip[:n], None) for clip, n in zip(log_probs, steps, strict=True)]
    per_frame = log_probs.shape[1] // words.shape[1]
    classes = words.float().cpu().numpy()
    return [
        Emitted(clip[:n], heads[: n // per_frame])
        for clip, heads, n in zip(log_probs, classes, steps, strict=True)
    ]


def read_clips(
    batches: Iterable[Batch],
    emissions: Callable[[Batch], list[Emitted]],
    decoder: Decoder,
    workers: int = 0,
) -> Evaluation:
    """Read every clip of ``batches`` and count the errors.

    Args:
        emissions: the network: a batch -> what it gives for each clip.
        workers: processes that decode while the network reads the next batches; below 2: this one decodes.

    Raises:
        LipnetError: a decoding process fails or is killed.
    """
    labels: deque[tuple[Sequence[int], list[str], list[str]]] = deque()  # of the batches that are decoded

    def emitted() -> Iterator[list[Emitted]]:
        for batch in batches:
            labels.append((batch.positions, batch.names, batch.sentences))
            yield emissions(batch)

    clips: list[tuple[int, str, str, Hypothesis]] = []
    for hypotheses in _decoded(emitted(), decoder, workers):
        if isinstance(hypotheses, LipnetError):
            raise LipnetError(f"decoding {' '.join(labels[0][1])}: {hypotheses}")
        clips += zip(*labels.popleft(), hypotheses, strict=True)
    result = Evaluation()
    for _, name, target, hypothesis in sorted(clips, key=lambda clip: clip[0]):
        result.counts.add(target, hypothesis.text)
        result.names.append(name)
        result.targets.append(target)
        result.predictions.append(hypothesis)
    return result


def _decoded(
    emitted: Iterator[list[Emitted]], decoder: Decoder, workers: int
) -> Iterator[list[Hypothesis] | LipnetError]:
    """The best hypothesis of each clip of each batch, in their order."""
    decode = Decode(decoder)
    if workers < 2:
        yield from map(decode, emitted)
        return
    with WorkerPool(workers, decode, AHEAD, forked=True) as pool:
        yield from pool.map(emitted)


class Decode:
    """What a decoding process does."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def __call__(self, clips: Sequence[Emitted]) -> list[Hypothesis]:
        """The best hypothesis of each clip."""
        return [self._best(clip) for clip in clips]

    def _best(self, clip: Emitted) -> Hypothesis:
        words = None if clip.words is None else clip.words[None]
        [ranked] = self.decoder(clip.log_probs[None], [len(clip.log_probs)], words)
        return ranked[0]
