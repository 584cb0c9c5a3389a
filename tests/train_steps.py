"""A tiny training state, and training steps on given batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from tiny import OFF, tiny_model

from lipnet.config import TrainConfig
from lipnet.data.dataset import Batch
from lipnet.device import Device
from lipnet.models.lipnet import LipNet
from lipnet.training.engine import Step, train_one_epoch
from lipnet.training.optim import TrainState

CPU = Device(torch.device("cpu"))


def make_train_state(config: TrainConfig, steps: int = 2, is_scaled: bool = False) -> TrainState:
    """With word heads, batch normalisation and no dropout; ``steps``: per epoch."""
    torch.manual_seed(0)
    model = LipNet(tiny_model(word_heads=True, norm="batch", dropout=0.0))
    return TrainState(model, config, steps * config.epochs, is_scaled)


def take_steps(train_state: TrainState, batches: Iterable[Batch], config: TrainConfig) -> Iterator[Step]:
    """One step per batch, without augmentation."""
    return train_one_epoch(train_state, batches, config, OFF, CPU)
