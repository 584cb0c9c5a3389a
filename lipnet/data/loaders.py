"""Data loaders: which clips make up a batch, in which order, and how a batch is put together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from lipnet.data.dataset import Batch, ClipDataset, Sample, SampleKey
from lipnet.data.transforms import IGNORE

POOL_BATCHES = 16  # clips of so many batches are sorted by length together, to save padding


class EpochSampler(Sampler[list[SampleKey]]):
    """Batches of one training epoch: a function of seed and epoch, so that a resumed run repeats them.

    An epoch has as many clips as the dataset's main corpus, and ``mix`` times as many of the one mixed in.
    Within each, a speaker's share goes with the number of its clips to the power ``balance``: at 1 each
    clip comes once, at 0 each speaker as often as any other.
    """

    def __init__(self, dataset: ClipDataset, batch_size: int, balance: float = 1.0, mix: float = 1.0) -> None:
        assert dataset.augment is not None
        self.dataset, self.augment, self.batch_size = dataset, dataset.augment, batch_size
        main, mixed = range(dataset.main), range(dataset.main, len(dataset))
        self.expected = np.concatenate(
            [
                _expected_counts(dataset, main, balance, len(main)),
                _expected_counts(dataset, mixed, balance, mix * len(main)),
            ]
        )
        self.epoch = 0

    def __len__(self) -> int:
        """Batches of this epoch."""
        return self.steps(self.clips(self.epoch))

    def steps(self, clips: int) -> int:
        """Batches of so many clips."""
        return math.ceil(clips / self.batch_size)

    def clips(self, epoch: int) -> int:
        """Clips of any epoch: single-word clips become fewer."""
        return len(self._keys(epoch, self._rng(epoch)))

    def __iter__(self) -> Iterator[list[SampleKey]]:
        rng = self._rng(self.epoch)
        for batch in self._batches(self._keys(self.epoch, rng), rng):
            # One draw for the batch, since clips of like length pad little.
            trim = 1.0 if rng.random() < self.augment.trim else rng.random() * bool(self.augment.trim)
            yield [key._replace(trim=trim) for key in batch]

    def _rng(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng((self.dataset.seed, epoch))

    def _keys(self, epoch: int, rng: np.random.Generator) -> list[SampleKey]:
        """The epoch's clips, and for some a single word besides."""
        counts = _round_at_random(self.expected, rng)
        keys = [SampleKey(clip, epoch, copy=i) for clip, count in enumerate(counts) for i in range(count)]
        chance = self.augment.word_clips * self.augment.word_clip_decay**epoch
        chosen = [key for key, draw in zip(keys, rng.random(len(keys)), strict=True) if draw < chance]
        return keys + [key._replace(single_word=True) for key in chosen if self.dataset.clips[key.clip].words]

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


def _expected_counts(dataset: ClipDataset, clips: range, balance: float, total: float) -> np.ndarray:
    """How often each of ``clips`` should come in an epoch that has ``total`` of them, as float64."""
    speakers = [dataset.clips[clip].speaker for clip in clips]
    sizes = Counter(speakers)
    shares = np.array([sizes[speaker] ** (balance - 1) for speaker in speakers], dtype=np.float64)
    return shares * total / max(shares.sum(), 1e-9)


def _round_at_random(expected: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Whole numbers whose means are ``expected``, and whose sum is always that of these to within 1."""
    order = rng.permutation(len(expected))
    ends = np.floor(np.cumsum(expected[order]) + (1 - 2e-6) * rng.random() + 1e-6).astype(int)
    counts = np.empty(len(expected), dtype=int)
    counts[order] = np.diff(ends, prepend=0)
    return counts.tolist()


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


def collate(samples: Sequence[Sample]) -> Batch:
    """Gather the frames of a batch out of the memory maps, padded at the end with zeros."""
    lengths = [len(sample.indices) for sample in samples]
    frames = np.zeros((len(samples), max(lengths), *samples[0].array.shape[1:]), np.uint8)
    words = np.full(frames.shape[:2], IGNORE, np.int64)
    for i, sample in enumerate(samples):
        np.take(sample.array, sample.indices, axis=0, out=frames[i, : lengths[i]], mode="clip")
        words[i, : lengths[i]] = sample.words
    return Batch(
        torch.from_numpy(frames),
        torch.tensor(lengths),
        torch.tensor([symbol for sample in samples for symbol in sample.targets], dtype=torch.int64),
        torch.tensor([len(sample.targets) for sample in samples]),
        torch.from_numpy(words),
        [sample.name for sample in samples],
        [sample.sentence for sample in samples],
    )


def eval_loader(
    dataset: ClipDataset, batch_size: int, workers: int = 0, pin: bool = False
) -> DataLoader[Sample]:
    """Unchanged clips in the dataset's order."""
    keys = [SampleKey(index) for index in range(len(dataset))]
    return DataLoader(
        dataset,
        sampler=keys,
        batch_size=batch_size,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
    )
