"""The order of the clips of an epoch, in batches of similar length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from lipnet.data.dataset import ClipDataset, SampleKey
from lipnet.data.transforms import long_words
from lipnet.errors import ConfigError

POOL_BATCHES = 16  # clips of so many batches are sorted by length together, which saves padding
ROUNDING = 1e-6  # error of a sum of shares, at most


class EpochSampler(Sampler[list[SampleKey]]):
    """Batches of one training epoch. They depend on seed and epoch only: a resumed run repeats them.

    An epoch has as many clips as the dataset's main corpus, plus ``mix`` times as many of the corpus mixed
    in. Within each corpus, a speaker's share is proportional to their clip count to the power ``balance``:
    at 1 each clip occurs once, at 0 all speakers occur equally often. Single words of the clips are extra
    items, with a probability that ``augment`` gives.

    Several processes share batches of ``batch_size`` items for each of them. The process ``rank`` of
    ``count`` has every count-th item of a batch, so that all have about as many frames.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        batch_size: int,
        balance: float = 1.0,
        mix: float = 1.0,
        rank: int = 0,
        count: int = 1,
    ) -> None:
        """Raises ConfigError if there are fewer clips than processes."""
        assert dataset.augment is not None
        self.dataset, self.augment, self.batch_size = dataset, dataset.augment, batch_size
        self.rank, self.count = rank, count
        main, mixed = range(dataset.main), range(dataset.main, len(dataset))
        self.expected = np.concatenate(  # occurrences of each clip in an epoch, on average
            [
                _expected_counts(dataset, main, balance, len(main)),
                _expected_counts(dataset, mixed, balance, mix * len(main)),
            ]
        )
        self.words = [long_words(clip) if self.augment.word_clips else [] for clip in dataset.clips]
        self.word_counts = np.array([len(words) for words in self.words], np.int64)
        self.epoch = 0
        if self.expected.sum() < count:
            clips = f"an epoch of {self.expected.sum():.0f} clips"
            raise ConfigError(f"{clips} cannot be shared by {count} processes; start fewer of them")

    def __len__(self) -> int:
        """Batches of this epoch."""
        return self.steps(self.items(self.epoch))

    def steps(self, items: int) -> int:
        """Batches of that many items, in each process."""
        full, rest = divmod(items, self.batch_size * self.count)
        return max(full + (rest >= self.count), 1)  # see `_batches`

    def items(self, epoch: int) -> int:
        """Number of items in any epoch: clips and single words, which become fewer."""
        total = float(self.expected.sum())
        if not self.augment.word_clips and abs(total - round(total)) < ROUNDING / 2:
            return round(total)  # without drawing the epoch
        counts, with_words = self._draw(epoch, self._rng(epoch))
        return int(counts.sum() + np.repeat(self.word_counts, counts)[with_words].sum())

    def __iter__(self) -> Iterator[list[SampleKey]]:
        rng = self._rng(self.epoch)
        for batch in self._batches(self._keys(self.epoch, rng), rng):
            trim = self._draw_trim(rng)  # one for the whole batch, whose clips have similar lengths
            yield [key._replace(trim=trim) for key in batch[self.rank :: self.count]]

    def _rng(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng((self.dataset.seed, epoch))

    def _draw(self, epoch: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """How often each clip occurs in an epoch, (clips,) int64, and which occurrences come with words."""
        counts = _round_at_random(self.expected, rng)
        probability = self.augment.word_clips * self.augment.word_clip_decay**epoch
        return counts, rng.random(counts.sum()) < probability

    def _keys(self, epoch: int, rng: np.random.Generator) -> list[SampleKey]:
        """The items of an epoch: its clips, then the single words."""
        counts, with_words = self._draw(epoch, rng)
        clips = [
            SampleKey(clip, epoch, copy=copy)
            for clip, count in enumerate(counts.tolist())
            for copy in range(count)
        ]
        chosen = [clips[i] for i in np.flatnonzero(with_words)]
        return clips + [key._replace(word=word) for key in chosen for word in self.words[key.clip]]

    def _batches(self, keys: list[SampleKey], rng: np.random.Generator) -> list[list[SampleKey]]:
        """Shuffled items in batches of similar length, in random order; those of all processes together.

        A last batch with fewer items than processes is joined to the one before, so that each has one.
        """
        keys = [keys[i] for i in rng.permutation(len(keys))]
        batches: list[list[SampleKey]] = []
        size = self.batch_size * self.count
        for start in range(0, len(keys), size * POOL_BATCHES):
            chunk = sorted(keys[start : start + size * POOL_BATCHES], key=self._length)
            batches += [chunk[i : i + size] for i in range(0, len(chunk), size)]
        if len(batches) > 1 and len(batches[-1]) < self.count:
            batches[-2:] = [batches[-2] + batches[-1]]
        return [batches[i] for i in rng.permutation(len(batches))]

    def _length(self, key: SampleKey) -> float:
        """Approximate number of frames of an item, after trimming by the mean of `_draw_trim`."""
        part = (1 + self.augment.trim) / 2 if self.augment.trim else 0.0
        return 0 if key.word is not None else self.dataset.length_without_silence(key.clip, part)

    def _draw_trim(self, rng: np.random.Generator) -> float:
        """Part of the silence that a batch loses: all with probability ``augment.trim``, else uniform."""
        if not self.augment.trim:
            return 0.0
        return 1.0 if rng.random() < self.augment.trim else float(rng.random())


def _expected_counts(dataset: ClipDataset, clips: range, balance: float, total: float) -> np.ndarray:
    """Mean occurrences of each of ``clips`` in an epoch that has ``total`` of them, float64."""
    speakers = [dataset.clips[clip].speaker for clip in clips]
    sizes = Counter(speakers)
    shares = np.array([sizes[speaker] ** (balance - 1) for speaker in speakers], dtype=np.float64)
    return shares * total / max(shares.sum(), 1e-9)


def _round_at_random(expected: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole numbers, int64, whose means are ``expected``; their sum differs from that of these by below 1."""
    order = rng.permutation(len(expected))
    offset = ROUNDING + (1 - 2 * ROUNDING) * rng.random()  # a whole sum stays the same despite rounding
    ends = np.floor(np.cumsum(expected[order]) + offset).astype(np.int64)
    counts = np.empty(len(expected), np.int64)
    counts[order] = np.diff(ends, prepend=0)
    return counts
