"""The training loop, as a plain function of explicit objects."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from lipnet.config import AugmentConfig, TrainConfig
from lipnet.data.dataset import Batch
from lipnet.data.loading.loaders import loaded
from lipnet.data.pixel_transforms import augment_pixels
from lipnet.device import Device
from lipnet.errors import TrainingError
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
