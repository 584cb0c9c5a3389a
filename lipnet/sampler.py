"""Which clips make up a training batch, and in which order."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from lipnet.data import ClipDataset, Sample, SampleKey, collate

POOL_BATCHES = 16  # clips of so many batches are sorted by length together, to save padding


class EpochSampler(Sampler[list[SampleKey]]):
    """Batches of one training epoch: a function of seed and epoch, so that a resumed run repeats them."""

    def __init__(self, dataset: ClipDataset, batch_size: int) -> None:
        assert dataset.augment is not None
        self.dataset, self.augment, self.batch_size = dataset, dataset.augment, batch_size
        self.epoch = 0

    def __len__(self) -> int:
        """Batches of this epoch."""
        return self.steps(self.epoch)

    def steps(self, epoch: int) -> int:
        """Batches of any epoch: single-word clips become fewer."""
        return math.ceil(len(self._keys(epoch, self._rng(epoch))) / self.batch_size)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        rng = self._rng(self.epoch)
        for batch in self._batches(self._keys(self.epoch, rng), rng):
            # One draw for the batch, since clips of like length pad little.
            trim = 1.0 if rng.random() < self.augment.trim else rng.random() * bool(self.augment.trim)
            yield [key._replace(trim=trim) for key in batch]

    def _rng(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng((self.dataset.seed, epoch))

    def _keys(self, epoch: int, rng: np.random.Generator) -> list[SampleKey]:
        """Every clip, and for some a single word of it besides."""
        keys = [SampleKey(clip, epoch) for clip in range(len(self.dataset))]
        chance = self.augment.word_clips * self.augment.word_clip_decay**epoch
        chosen = rng.random(len(self.dataset)) < chance
        words = [clip for clip in np.flatnonzero(chosen).tolist() if self.dataset.clips[clip].words]
        return keys + [SampleKey(clip, epoch, single_word=True) for clip in words]

    def _batches(self, keys: list[SampleKey], rng: np.random.Generator) -> list[list[SampleKey]]:
        """Shuffled keys in batches of clips of like length, which are shuffled once more."""
        keys = [keys[i] for i in rng.permutation(len(keys))]
        batches = []
        pool = self.batch_size * POOL_BATCHES
        for start in range(0, len(keys), pool):
            chunk = sorted(keys[start : start + pool], key=self._length)
            batches += [chunk[i : i + self.batch_size] for i in range(0, len(chunk), self.batch_size)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def _length(self, key: SampleKey) -> float:
        """About how many frames the clip will have: of its silence, trimming leaves a part."""
        part = (1 + self.augment.trim) / 2 if self.augment.trim else 0.0
        return 0 if key.single_word else self.dataset.length_without_silence(key.clip, part)


def train_loader(sampler: EpochSampler, workers: int = 0, pin: bool = False) -> DataLoader[Sample]:
    """The sampler's batches; set its ``epoch`` before each pass."""
    return DataLoader(
        sampler.dataset,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # its own: what the loader draws must not shift the training's numbers
    )
