"""The training loop and the evaluation, as plain functions of explicit objects."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import nn

from lipnet.config import AugmentConfig, TrainConfig
from lipnet.data.dataset import Batch
from lipnet.data.loading.loaders import loaded
from lipnet.data.transforms import augment_pixels
from lipnet.decoding.base import Decoder, Hypothesis
from lipnet.device import Device
from lipnet.errors import TrainingError
from lipnet.metrics import ErrorCounts
from lipnet.models.lipnet import LipNet, Output
from lipnet.training.losses import ctc_loss, ctc_losses, word_loss
from lipnet.training.optim import TrainState


@dataclass(frozen=True)
class Step:
    """Measurements of one optimisation step."""

    loss: float  # NaN if no clip has as many CTC steps as its text needs
    ctc: float  # nats per symbol, the mean over the clips that have; NaN without one
    words: float  # cross-entropy of the word heads, nats; 0 without them
    lr: float
    grad_norm: float
    clips: int
    seconds: float


@dataclass
class Evaluation:
    """Predictions for a split and their errors."""

    counts: ErrorCounts = field(default_factory=ErrorCounts)
    names: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    predictions: list[Hypothesis] = field(default_factory=list)
    loss: float = math.nan  # mean CTC loss, nats per symbol, of the clips that have the steps for their text

    def add(self, batch: Batch, hypotheses: list[Hypothesis]) -> None:
        """Count the errors of the best hypothesis of each clip of a batch."""
        for target, hypothesis in zip(batch.sentences, hypotheses, strict=True):
            self.counts.add(target, hypothesis.text)
        self.names += batch.names
        self.targets += batch.sentences
        self.predictions += hypotheses


def train_one_epoch(
    train_state: TrainState,
    batches: Iterable[Batch],
    config: TrainConfig,
    augment: AugmentConfig,
    device: Device,
) -> Iterator[Step]:
    """One pass over ``batches``, yielding after each step.

    Raises TrainingError, which names the clips, if a loss or gradient is not finite.
    """
    model, optimizer, scheduler = train_state.model, train_state.optimizer, train_state.scheduler
    model.train()
    started = time.perf_counter()  # of the step, loading included
    for batch in loaded(batches):
        batch = batch.to(device.torch_device, non_blocking=True)
        frames = augment_pixels(batch.frames, augment, batch.mirrored)
        optimizer.zero_grad(set_to_none=True)
        with device.autocast():
            output = model(frames, batch.lengths, batch.landmarks)
        networks = output.streams or (output,)
        losses = torch.cat([ctc_losses(one, batch) for one in networks])
        ctc = ctc_loss(losses)
        words = torch.stack([word_loss(one, batch) for one in networks]).mean()
        loss = ctc + config.word_loss * words
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm or math.inf)
        if not math.isfinite(loss.item()) or not math.isfinite(norm.item()):
            raise TrainingError(
                f"loss {loss.item():g}, gradient norm {norm.item():g} on clips {' '.join(batch.names)}; "
                "look at these crops, or lower train.lr"
            )
        optimizer.step()
        lr = float(scheduler.get_last_lr()[0])
        scheduler.step()
        if train_state.ema is not None:
            train_state.ema.update_parameters(model)
        now = time.perf_counter()
        scores = (loss.item(), ctc.item()) if len(losses) else (math.nan, math.nan)
        yield Step(*scores, words.item(), lr, norm.item(), len(batch.names), now - started)
        started = now


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
        losses = ctc_losses(output, batch)
        loss += ctc_loss(losses).item() * len(losses)
        clips += len(losses)
        result.add(batch, [ranked[0] for ranked in decode(decoder, output)])
    result.loss = loss / clips if clips else math.nan
    return result
