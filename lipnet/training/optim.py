"""Training state: the optimiser, the learning-rate schedule and the averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from lipnet.config import TrainConfig
from lipnet.errors import ConfigError
from lipnet.models.lipnet import LipNet

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": AdamW,
    "adam": Adam,
    "amsgrad": partial(Adam, amsgrad=True),
}


SCHEDULES = ("cosine", "constant")


Tensors = tuple[Tensor, ...] | list[Tensor]


class TrainState:
    """What learns, and everything that has to be kept for it to learn on: the state of a run."""

    def __init__(self, model: LipNet, config: TrainConfig, total_steps: int) -> None:
        self.model = model
        model.freeze(config.freeze)
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
        """Take over a saved state, but not its settings: they are this train_state's config's.

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
