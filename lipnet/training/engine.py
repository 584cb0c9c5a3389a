"""The training loop and the evaluation, as plain functions over explicit objects."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from lipnet.config import AugmentConfig, ConfigError, TrainConfig
from lipnet.data.dataset import IGNORE, Batch
from lipnet.data.transforms import augment_pixels
from lipnet.decoding.base import Decoder, Hypothesis
from lipnet.device import Hardware
from lipnet.errors import TrainingError
from lipnet.metrics import ErrorCounts
from lipnet.models.lipnet import LipNet, Output
from lipnet.tokenizer import BLANK

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": AdamW,
    "adam": Adam,
    "amsgrad": partial(Adam, amsgrad=True),
}
SCHEDULES = ("cosine", "constant")
Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass(frozen=True)
class Step:
    """What one optimisation step reports."""

    loss: float
    ctc: float
    words: float  # cross-entropy of the word heads, 0 without them
    lr: float
    grad_norm: float
    clips: int
    seconds: float


@dataclass
class Evaluation:
    """Predictions on a split and their errors. ``loss`` is the clips' mean CTC loss a symbol."""

    counts: ErrorCounts = field(default_factory=ErrorCounts)
    names: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    predictions: list[Hypothesis] = field(default_factory=list)
    loss: float = math.nan


class Learner:
    """What learns, and everything that has to be kept for it to learn on: the state of a run."""

    def __init__(self, model: LipNet, config: TrainConfig, total_steps: int) -> None:
        self.model = model
        model.freeze(config.frozen)
        self.optimizer = make_optimizer(model, config)
        self.scheduler = LambdaLR(self.optimizer, learning_rate_factor(config, total_steps))
        self.ema = make_ema(model, config.ema) if config.ema else None

    @property
    def averaged(self) -> LipNet:
        """The model with averaged weights, if they are averaged: what is evaluated and kept."""
        if self.ema is None:
            return self.model
        assert isinstance(self.ema.module, LipNet)
        return self.ema.module

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in vars(self).items() if part is not None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state, but not its settings: they are this learner's config's.

        Raises KeyError, ValueError or RuntimeError where another model or optimizer left it.
        """
        keys = self.optimizer.param_groups[0].keys() - {"params", "lr"}
        settings = [{key: group[key] for key in keys} for group in self.optimizer.param_groups]
        for name, part in vars(self).items():
            if part is not None:
                part.load_state_dict(state[name])
        factor = self.scheduler.lr_lambdas[0](self.scheduler.last_epoch)
        self.scheduler.base_lrs = [group["initial_lr"] for group in settings]
        self.scheduler._last_lr = [factor * lr for lr in self.scheduler.base_lrs]
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            if group["amsgrad"] != own["amsgrad"]:
                raise ValueError("AMSGrad keeps more of each weight than Adam does")
            group.update(own, lr=factor * own["initial_lr"])


def make_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """Without decay of biases and of normalisation's gains. Raises ConfigError on an unknown name."""
    if config.optimizer not in OPTIMIZERS:
        raise ConfigError(f"train.optimizer {config.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return OPTIMIZERS[config.optimizer](groups, lr=config.lr, weight_decay=config.weight_decay)


def learning_rate_factor(config: TrainConfig, total_steps: int) -> Callable[[int], float]:
    """Factor on the learning rate at each step: up linearly, then down to 0 along half a cosine, or level.

    Raises ConfigError on an unknown schedule.
    """
    if config.schedule not in SCHEDULES:
        raise ConfigError(f"train.schedule {config.schedule!r}: choose one of {', '.join(SCHEDULES)}")
    warmup = config.warmup * total_steps / config.epochs

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if config.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1.0, total_steps - warmup))))

    return factor


def make_ema(model: LipNet, decay: float) -> AveragedModel:
    """An average of the weights over about 1 / (1 - decay) steps, fewer while training is young."""

    @torch.no_grad()
    def update(averages: Tensors, currents: Tensors, count: Tensor | int) -> None:
        # Called for each type of tensor apart.
        if averages[0].is_floating_point():
            steps = int(count)
            torch._foreach_lerp_(averages, currents, 1 - min(decay, (1 + steps) / (10 + steps)))
        else:
            torch._foreach_copy_(averages, currents)

    ema = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    for module in ema.modules():
        if isinstance(module, nn.RNNBase):
            module.flatten_parameters()  # cuDNN wants them in one piece; the copy has scattered them
    return ema


def ctc_loss(output: Output, batch: Batch) -> Tensor:
    """CTC loss a symbol, the mean of the clips' own means."""
    device = output.log_probs.device
    return F.ctc_loss(
        output.log_probs.transpose(0, 1),  # (B, S, V) -> (S, B, V)
        batch.targets.to(device),
        output.lengths.to(device),
        batch.target_lengths.to(device),
        blank=BLANK,
        zero_infinity=True,  # a clip shorter than its text teaches nothing, rather than stopping the run
    )


def word_loss(output: Output, batch: Batch) -> Tensor:
    """The word heads' cross-entropy over the frames whose word is known; 0 where there is none."""
    device = output.log_probs.device
    if not output.word_logits or not bool((batch.words != IGNORE).any()):
        return torch.zeros((), device=device)
    weights = frame_weights(batch.words).to(device)
    words = batch.words.to(device).flatten()
    heads = [
        weights @ F.cross_entropy(logits.flatten(0, 1), words, ignore_index=IGNORE, reduction="none")
        for logits in output.word_logits
    ]
    return torch.stack(heads).mean() / weights.sum()


def frame_weights(words: Tensor) -> Tensor:
    """(B, T) int64 word classes -> (B * T,) float32 weights in the word heads' cross-entropy.

    A frame weighs 1 / sqrt(frames of its word in the clip), so that letters, which last a fifth of what
    an adverb does and are the hardest to tell apart, are not drowned by long words and by silence.
    """
    alike = (words[:, :, None] == words[:, None, :]).sum(2)
    return (alike.rsqrt() * (words != IGNORE)).flatten()


def train_one_epoch(
    learner: Learner,
    batches: Iterable[Batch],
    config: TrainConfig,
    augment: AugmentConfig,
    hardware: Hardware,
) -> Iterator[Step]:
    """One pass over ``batches``, yielding each step once it is taken.

    Raises TrainingError, naming the clips, as soon as a loss or gradient is not finite.
    """
    model, optimizer, scheduler = learner.model, learner.optimizer, learner.scheduler
    model.train()
    started = time.perf_counter()  # of the step, loading included
    for batch in batches:
        frames = batch.frames.to(hardware.device, non_blocking=True)
        frames = augment_pixels(frames, augment)
        optimizer.zero_grad(set_to_none=True)
        with hardware.autocast():
            output = model(frames, batch.lengths)
        ctc, words = ctc_loss(output, batch), word_loss(output, batch)
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
        if learner.ema is not None:
            learner.ema.update_parameters(model)
        now = time.perf_counter()
        yield Step(loss.item(), ctc.item(), words.item(), lr, norm.item(), len(frames), now - started)
        started = now


def decode(decoder: Decoder, output: Output) -> list[list[Hypothesis]]:
    """What a decoder makes of the network's output: for each clip its hypotheses, best first."""
    words = output.word_log_probs
    return decoder(output.log_probs.cpu(), output.lengths, None if words is None else words.cpu())


@torch.inference_mode()
def evaluate(model: LipNet, batches: Iterable[Batch], decoder: Decoder, hardware: Hardware) -> Evaluation:
    """Read every clip of ``batches`` and count the errors."""
    model.eval()
    result = Evaluation()
    loss = 0.0
    for batch in batches:
        with hardware.autocast():
            output = model(batch.frames.to(hardware.device, non_blocking=True), batch.lengths)
        loss += ctc_loss(output, batch).item() * len(batch.names)
        hypotheses = [best[0] for best in decode(decoder, output)]
        for target, hypothesis in zip(batch.sentences, hypotheses, strict=True):
            result.counts.add(target, hypothesis.text)
        result.names += batch.names
        result.targets += batch.sentences
        result.predictions += hypotheses
    result.loss = loss / max(len(result.names), 1)
    return result
