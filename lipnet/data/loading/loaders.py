"""Data loaders: the batches of a dataset, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from lipnet.data.dataset import Batch, ClipDataset, SampleKey
from lipnet.data.loading.collation import collate
from lipnet.data.loading.processes import LoaderProcesses, loader_workers
from lipnet.data.loading.sampler import EpochSampler

Batches = Sequence[Sequence[SampleKey]] | EpochSampler  # the samples of each batch


class Gatherer(Protocol):
    """What gathers batches: this process, or others."""

    def gather(self, dataset: ClipDataset, batches: Iterable[Sequence[SampleKey]]) -> Iterator[Batch]:
        """The batches of these samples, in their order."""


class OwnProcess:
    """Batches are gathered when they are needed, in this process."""

    def __init__(self, pin: bool) -> None:
        """``pin``: into page-locked memory, from which a GPU copies while the CPU goes on."""
        self.empty = _pinned if pin else np.empty

    def __str__(self) -> str:
        return "the training process"

    def gather(self, dataset: ClipDataset, batches: Iterable[Sequence[SampleKey]]) -> Iterator[Batch]:
        for keys in batches:
            yield collate([dataset[key] for key in keys], self.empty)


class Loader:
    """The batches of a dataset. Each pass goes through all of them.

    A pass raises LipnetError where a clip cannot be read, TrainingError where a loader process is killed.
    """

    def __init__(self, dataset: ClipDataset, batches: Batches, gatherer: Gatherer) -> None:
        self.dataset, self.batches, self.gatherer = dataset, batches, gatherer

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return self.gatherer.gather(self.dataset, self.batches)


def make_gatherer(
    datasets: Sequence[ClipDataset], batch_size: int, workers: int | str = 0, pin: bool = False
) -> Gatherer:
    """What gathers batches of up to ``batch_size`` clips of these datasets.

    Args:
        workers: loader processes, as ``data.workers``; 0: this process.
        pin: whether a GPU computes, which copies from page-locked memory.
    """
    count = loader_workers(workers, datasets, batch_size, with_gpu=pin)
    return LoaderProcesses(datasets, batch_size, count, pin) if count else OwnProcess(pin)


def train_loader(sampler: EpochSampler, workers: int | str = 0, pin: bool = False) -> Loader:
    """The sampler's batches; set ``sampler.epoch`` before each pass. Other arguments as `make_gatherer`."""
    gatherer = make_gatherer([sampler.dataset], sampler.batch_size, workers, pin)
    return Loader(sampler.dataset, sampler, gatherer)


def eval_loader(dataset: ClipDataset, batch_size: int, workers: int | str = 0, pin: bool = False) -> Loader:
    """All clips, not augmented, in batches of similar length. Other arguments as `make_gatherer`."""
    gatherer = make_gatherer([dataset], batch_size, workers, pin)
    return Loader(dataset, by_length(dataset, batch_size), gatherer)


def by_length(dataset: ClipDataset, batch_size: int) -> list[list[SampleKey]]:
    """All clips in batches, the longest first: if memory does not suffice, that is known at once."""
    order = sorted(range(len(dataset)), key=lambda position: -dataset.clips[position].frames)
    keys = [SampleKey(position) for position in order]
    return [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]


def _pinned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    kind = torch.from_numpy(np.empty(0, dtype)).dtype
    return torch.empty(shape, dtype=kind, pin_memory=True).numpy()
