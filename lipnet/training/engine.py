"""The training loop, as plain functions of explicit objects. Between two reads of the losses, nothing waits
for the GPU: it computes a step while the next one is prepared.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.profiler import profile

from lipnet.config import AugmentConfig, TrainConfig
from lipnet.data.dataset import Batch
from lipnet.data.pixel_transforms import augment_pixels
from lipnet.data.transforms import IGNORE
from lipnet.device import Device
from lipnet.errors import TrainingError
from lipnet.training.losses import batch_losses
from lipnet.training.optim import TrainState

LOG_EVERY_ON_GPU = 20  # steps, by default
FRAMES_MULTIPLE = 8  # on a GPU, batches have multiples of so many frames: few shapes, of fast algorithms
MIN_SCALE = 2.0**-10  # of the loss in float16: gradients that overflow even so are not finite


@dataclass(frozen=True)
class Step:
    """Measurements of one optimisation step, over the batches of all processes."""

    loss: float  # NaN if no clip has as many CTC steps as its text needs
    ctc: float  # nats per symbol, the mean over the clips that have; NaN without one
    words: float  # cross-entropy of the word heads, nats; 0 without them
    lr: float
    grad_norm: float  # NaN for a step that was left out since its gradients were beyond float16's range
    clips: int
    seconds: float


def train_one_epoch(
    train_state: TrainState,
    batches: Iterable[Batch],
    config: TrainConfig,
    augment: AugmentConfig,
    device: Device,
    profiler: profile | None = None,
) -> Iterator[Step]:
    """One pass over ``batches``, yielding the steps: every ``config.log_every`` of them when these are done.

    Raises TrainingError, which names the clips, if a loss or gradient is not finite: when its step is to be
    yielded, so that weights may only be saved after the last one was.
    """
    model = train_state.model
    every = config.log_every or (LOG_EVERY_ON_GPU if device.is_gpu else 1)
    model.train()
    measured = Measurements(train_state)
    for loaded in batches:
        batch = to_device(loaded, device)
        frames = augment_pixels(batch.frames, augment, batch.mirrored)
        train_state.optimizer.zero_grad(set_to_none=True)
        with device.autocast():
            output = train_state.network(frames, batch.lengths, batch.landmarks)
        ctc, words, counts = batch_losses(output, batch, train_state.processes)
        loss = ctc + config.word_loss * words
        # Gradients are the means over the processes, of which each has a part of the whole loss.
        train_state.scaler.scale(loss * train_state.processes.count).backward()
        train_state.scaler.unscale_(train_state.optimizer)
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm or math.inf)
        measured.add(torch.stack([loss, ctc, words, *counts, norm]), batch.names)
        steps = measured.read() if len(measured) == every else []
        train_state.step()
        yield from steps
        if profiler is not None:
            profiler.step()
    yield from measured.read()


def to_device(batch: Batch, device: Device) -> Batch:
    """The batch on the device; on a GPU, padded to a multiple of FRAMES_MULTIPLE."""
    batch = batch.to(device.torch_device, non_blocking=True)
    missing = -batch.frames.shape[1] % FRAMES_MULTIPLE
    if not device.is_gpu or not missing:
        return batch

    def padded(values: Tensor, value: int = 0) -> Tensor:
        end = values.new_full((len(values), missing, *values.shape[2:]), value)
        return torch.cat([values, end], dim=1)

    landmarks = None if batch.landmarks is None else padded(batch.landmarks)
    return batch._replace(frames=padded(batch.frames), words=padded(batch.words, IGNORE), landmarks=landmarks)


class Measurements:
    """The measurements of the last steps, which stay on the device until they are read."""

    def __init__(self, train_state: TrainState) -> None:
        self.train_state, self.processes = train_state, train_state.processes
        self.start()

    def start(self) -> None:
        """Forget what has been read."""
        self.rows: list[Tensor] = []  # each (6,): loss, CTC, words, clips that CTC fits, clips, gradient norm
        self.names: list[list[str]] = []  # of the clips
        self.rates: list[float] = []
        self.started = time.perf_counter()  # of the first of these steps, loading included

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, row: Tensor, names: list[str]) -> None:
        """The row of a step whose weights have not been changed yet."""
        self.rows.append(row.detach())
        self.names.append(names)
        self.rates.append(self.train_state.lr)

    def read(self) -> list[Step]:
        """The steps since the last call. Raises TrainingError if one of them is not finite."""
        if not self.rows:
            return []
        table = self.processes.sum_(torch.stack(self.rows))
        table[:, 3:] /= self.processes.count  # these are the same in all processes
        rows = table.tolist()  # waits for the device
        for row, names in zip(rows, self.names, strict=True):
            self._check(row[0], row[-1], names)
        seconds = (time.perf_counter() - self.started) / len(rows)
        steps = []
        for (loss, ctc, words, fitting, clips, norm), lr in zip(rows, self.rates, strict=True):
            if not fitting:
                loss = ctc = math.nan
            finite_norm = norm if math.isfinite(norm) else math.nan
            steps.append(Step(loss, ctc, words, lr, finite_norm, round(clips), seconds))
        self.start()
        return steps

    def _check(self, loss: float, norm: float, names: list[str]) -> None:
        """Raises TrainingError unless both are finite; the names of all processes' clips are in it."""
        if math.isfinite(loss) and math.isfinite(norm):
            return
        scaler = self.train_state.scaler
        if math.isfinite(loss) and scaler.is_enabled() and scaler.get_scale() >= MIN_SCALE:
            return  # the step was left out, since its gradients were beyond float16's range
        clips = " ".join(name for part in self.processes.gather(names) for name in part)
        raise TrainingError(
            f"loss {loss:g}, gradient norm {norm:g} on clips {clips}; look at these crops, or lower train.lr"
        )
