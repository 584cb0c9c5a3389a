"""Training state: the optimiser, the learning-rate schedule and the averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lipnet.config import TrainConfig
from lipnet.errors import ConfigError
from lipnet.models.lipnet import LipNet
from lipnet.training.distributed import ALONE, Processes

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": AdamW,
    "adam": Adam,
    "amsgrad": partial(Adam, amsgrad=True),
}
SCHEDULES = ("cosine", "constant")


class TrainState:
    """All that an optimisation step changes."""

    def __init__(
        self,
        model: LipNet,
        config: TrainConfig,
        total_steps: int,
        is_scaled: bool = False,
        processes: Processes = ALONE,
    ) -> None:
        """``is_scaled``: the loss is scaled so that its gradients are within the range of float16.

        Raises ConfigError on an unknown optimiser, schedule or frozen part.
        """
        self.model, self.processes = model, processes
        model.freeze(config.freeze)
        self.network = processes.wrap(model)  # what computes the output whose gradients are taken
        self.optimizer = make_optimizer(model, config)
        self.scheduler = LambdaLR(self.optimizer, learning_rate_factor(config, total_steps))
        self.scaler = torch.amp.GradScaler(next(model.parameters()).device.type, enabled=is_scaled)
        self.ema = AveragedWeights(model, config.ema) if config.ema else None

    @property
    def averaged(self) -> LipNet:
        """The model with averaged weights, which is evaluated and saved; without averaging, the model."""
        if self.ema is None:
            return self.model
        return self.ema.module

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.scheduler.get_last_lr()[0])

    def step(self) -> None:
        """Change the weights by their gradients."""
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.scheduler.step()
        if self.ema is not None:
            self.ema.update(self.model)

    def state_dict(self) -> dict[str, dict[str, Any]]:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }
        if self.ema is not None:
            state["ema"] = self.ema.state_dict()
        if self.scaler.is_enabled():
            state["scaler"] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state: dict[str, dict[str, Any]], steps: int | None = None) -> None:
        """Restore a saved state, but keep the settings (such as the learning rate) of this one's config.

        Args:
            steps: the place in the schedule, if another batch size or number of processes has changed the
                number of steps in an epoch; None: the saved one.

        Raises KeyError, ValueError or RuntimeError on the state of another model or optimiser.
        """
        keys = self.optimizer.param_groups[0].keys() - {"params", "lr"}
        settings = [{key: group[key] for key in keys} for group in self.optimizer.param_groups]
        self.model.load_state_dict(state["model"])
        # On this device: a fused optimiser keeps its number of steps on the GPU, another one on the CPU.
        groups = [
            {**group, "fused": own["fused"]}
            for group, own in zip(state["optimizer"]["param_groups"], settings, strict=True)
        ]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": groups})
        for parameter, kept in self.optimizer.state.items():
            sizes = {
                tuple(value.shape) for value in kept.values() if isinstance(value, Tensor) and value.ndim
            }
            if not sizes <= {tuple(parameter.shape)}:
                raise ValueError("optimiser state of other sizes")
        self.scheduler.load_state_dict(state["scheduler"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        if self.scaler.is_enabled() and state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        if steps is not None:
            self.scheduler.last_epoch = steps
        factor = self.scheduler.lr_lambdas[0](self.scheduler.last_epoch)
        self.scheduler.base_lrs = [group["initial_lr"] for group in settings]
        self.scheduler._last_lr = [factor * lr for lr in self.scheduler.base_lrs]
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            if group["amsgrad"] != own["amsgrad"]:
                raise ValueError("AMSGrad keeps another state per weight than Adam")
            group.update(own, lr=factor * own["initial_lr"])


class AveragedWeights:
    """Exponential moving average of the weights over about 1 / (1 - decay) steps, fewer at the beginning."""

    def __init__(self, model: LipNet, decay: float) -> None:
        self.module, self.decay = deepcopy(model), decay
        self.count = 0  # of updates
        for module in self.module.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # contiguous again for cuDNN, after the copy

    @torch.no_grad()
    def update(self, model: LipNet) -> None:
        """Average with the weights of another step, and with batch normalisation's statistics."""
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        steps = self.count
        keep = min(self.decay, (1 + steps) / (10 + steps)) if steps else 0.0
        torch._foreach_lerp_([own for own, _ in floats], [other for _, other in floats], 1 - keep)
        for own, other in pairs:
            if not own.is_floating_point():
                own.copy_(other)
        self.count += 1

    def state_dict(self) -> dict[str, Any]:
        """With the names that `torch.optim.swa_utils.AveragedModel` gives, as in runs of older versions."""
        weights = {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}
        return {"n_averaged": torch.tensor(self.count), **weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises KeyError or RuntimeError on the state of another model."""
        self.module.load_state_dict(
            {name.removeprefix("module."): tensor for name, tensor in state.items() if name != "n_averaged"}
        )
        self.count = int(state["n_averaged"])


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def make_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """The optimiser, without weight decay on biases and on gains of normalisation layers; one fused operation
    for all weights on a GPU.

    Raises ConfigError on an unknown name.
    """
    if config.optimizer not in OPTIMIZERS:
        raise ConfigError(f"train.optimizer {config.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    fused = next(model.parameters()).device.type == "cuda" or None
    return OPTIMIZERS[config.optimizer](groups, lr=config.lr, weight_decay=config.weight_decay, fused=fused)


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
