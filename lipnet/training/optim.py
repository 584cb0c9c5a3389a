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
    """All that an optimisation step changes."""

    def __init__(self, model: LipNet, config: TrainConfig, total_steps: int) -> None:
        """Raises ConfigError on an unknown optimiser, schedule or frozen part."""
        self.model = model
        model.freeze(config.freeze)
        self.optimizer = make_optimizer(model, config)
        self.scheduler = LambdaLR(self.optimizer, learning_rate_factor(config, total_steps))
        self.ema = make_ema(model, config.ema) if config.ema else None

    @property
    def averaged(self) -> LipNet:
        """The model with averaged weights, which is evaluated and saved; without averaging, the model."""
        if self.ema is None:
            return self.model
        assert isinstance(self.ema.module, LipNet)
        return self.ema.module

    def state_dict(self) -> dict[str, dict[str, Any]]:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }
        if self.ema is not None:
            state["ema"] = self.ema.state_dict()
        return state

    def load_state_dict(self, state: dict[str, dict[str, Any]]) -> None:
        """Restore a saved state, but keep the settings (such as the learning rate) of this one's config.

        Raises KeyError, ValueError or RuntimeError on the state of another model or optimiser.
        """
        keys = self.optimizer.param_groups[0].keys() - {"params", "lr"}
        settings = [{key: group[key] for key in keys} for group in self.optimizer.param_groups]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, kept in self.optimizer.state.items():
            sizes = {
                tuple(value.shape) for value in kept.values() if isinstance(value, Tensor) and value.ndim
            }
            if not sizes <= {tuple(parameter.shape)}:
                raise ValueError("optimiser state of other sizes")
        self.scheduler.load_state_dict(state["scheduler"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        factor = self.scheduler.lr_lambdas[0](self.scheduler.last_epoch)
        self.scheduler.base_lrs = [group["initial_lr"] for group in settings]
        self.scheduler._last_lr = [factor * lr for lr in self.scheduler.base_lrs]
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            if group["amsgrad"] != own["amsgrad"]:
                raise ValueError("AMSGrad keeps another state per weight than Adam")
            group.update(own, lr=factor * own["initial_lr"])


def make_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """The optimiser, without weight decay on biases and on gains of normalisation layers.

    Raises ConfigError on an unknown name.
    """
    if config.optimizer not in OPTIMIZERS:
        raise ConfigError(f"train.optimizer {config.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return OPTIMIZERS[config.optimizer](groups, lr=config.lr, weight_decay=config.weight_decay)


def learning_rate_factor(config: TrainConfig, total_steps: int) -> Callable[[int], float]:
    """Factor on the learning rate at each step: linear warm-up, then half a cosine to 0, or constant.

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
    """Exponential moving average of the weights over about 1 / (1 - decay) steps, fewer at the beginning."""

    @torch.no_grad()
    def update(averages: Tensors, currents: Tensors, count: Tensor | int) -> None:
        # Called once for each dtype.
        if averages[0].is_floating_point():
            steps = int(count)
            torch._foreach_lerp_(averages, currents, 1 - min(decay, (1 + steps) / (10 + steps)))
        else:
            torch._foreach_copy_(averages, currents)

    ema = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    for module in ema.modules():
        if isinstance(module, nn.RNNBase):
            module.flatten_parameters()  # contiguous again for cuDNN, after the copy
    return ema
