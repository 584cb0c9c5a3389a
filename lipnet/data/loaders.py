"""Data loaders: the order of the clips of an epoch, and how a batch is collated."""

from __future__ import annotations

import math
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler, get_worker_info
from torch.utils.data._utils import signal_handling

from lipnet.data.dataset import Batch, ClipDataset, Sample, SampleKey, ctc_steps
from lipnet.data.shared_memory import check_shared_memory, in_shared_memory
from lipnet.data.transforms import IGNORE, long_words
from lipnet.errors import LipnetError, TrainingError
from lipnet.utils.workers import end_with_parent

POOL_BATCHES = 16  # clips of so many batches are sorted by length together, which saves padding
TIMEOUT_S = 600.0  # for one batch
CHECK_S = 10.0  # between two looks whether the loader processes are alive, while a batch is waited for
ROUNDING = 1e-6  # error of a sum of shares, at most


class EpochSampler(Sampler[list[SampleKey]]):
    """Batches of one training epoch. They depend on seed and epoch only: a resumed run repeats them.

    An epoch has as many clips as the dataset's main corpus, plus ``mix`` times as many of the corpus mixed
    in. Within each corpus, a speaker's share is proportional to their clip count to the power ``balance``:
    at 1 each clip occurs once, at 0 all speakers occur equally often. Single words of the clips are extra
    items, with a probability that ``augment`` gives.
    """

    def __init__(self, dataset: ClipDataset, batch_size: int, balance: float = 1.0, mix: float = 1.0) -> None:
        assert dataset.augment is not None
        self.dataset, self.augment, self.batch_size = dataset, dataset.augment, batch_size
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

    def __len__(self) -> int:
        """Batches of this epoch."""
        return self.steps(self.items(self.epoch))

    def steps(self, items: int) -> int:
        """Batches of that many items."""
        return math.ceil(items / self.batch_size)

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
            yield [key._replace(trim=trim) for key in batch]

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
        """Shuffled items in batches of similar length, in random order."""
        keys = [keys[i] for i in rng.permutation(len(keys))]
        batches = []
        pool = self.batch_size * POOL_BATCHES
        for start in range(0, len(keys), pool):
            chunk = sorted(keys[start : start + pool], key=self._length)
            batches += [chunk[i : i + self.batch_size] for i in range(0, len(chunk), self.batch_size)]
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


def train_loader(sampler: EpochSampler, workers: int = 0, pin: bool = False) -> DataLoader[Sample]:
    """The sampler's batches; set ``sampler.epoch`` before each pass. Raises as `check_shared_memory`."""
    check_shared_memory(sampler.dataset, sampler.batch_size, workers)
    return DataLoader(
        sampler.dataset,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # its own: the loader must not draw from the training's generator
        worker_init_fn=_start_worker,
        timeout=CHECK_S if workers else 0,
    )


def eval_loader(
    dataset: ClipDataset, batch_size: int, workers: int = 0, pin: bool = False
) -> DataLoader[Sample]:
    """All clips, not augmented, in the order of the dataset. Raises as `check_shared_memory`."""
    check_shared_memory(dataset, batch_size, workers)
    keys = [SampleKey(index) for index in range(len(dataset))]
    return DataLoader(
        dataset,
        sampler=keys,
        batch_size=batch_size,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=_start_worker,
        timeout=CHECK_S if workers else 0,
    )


def _start_worker(_: int) -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the main process, which ends the workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a forked process has the main one's, which raises


def loaded(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches of a loader. Raises LipnetError, of one line, where a loader process fails or is killed."""
    # PyTorch then has no handler of SIGCHLD. It would raise wherever the program is when a loader process is
    # killed, as a traceback, or where Python ignores it, and the batch would be waited for.
    signal_handling._SIGCHLD_handler_set = True
    iterator: Iterator[Batch] | None = None
    waited = 0.0  # for the next batch, in seconds
    while True:
        try:
            if iterator is None:
                iterator = iter(batches)  # persistent processes that were killed meanwhile fail here
            batch = next(iterator)
        except StopIteration:
            return
        except LipnetError as error:
            message = str(error)
            # In a loader process it is a traceback, with the message in its last line.
            if message.startswith("Caught "):
                message = message.strip().splitlines()[-1].partition("Error: ")[2]
            raise TrainingError(message) from error
        except (ConnectionError, EOFError) as error:  # of a batch whose loader process has been killed
            raise TrainingError(_reason("DataLoader worker exited unexpectedly", waited)) from error
        except RuntimeError as error:
            if "DataLoader" not in str(error):
                raise
            waited += CHECK_S
            if "timed out" in str(error) and iterator is not None and waited < TIMEOUT_S:
                continue
            raise TrainingError(_reason(str(error), waited)) from error
        waited = 0.0
        yield batch


def _reason(error: str, waited: float) -> str:
    """One line about a RuntimeError of a DataLoader, after ``waited`` seconds."""
    killed = f"{error.splitlines()[0]}, perhaps killed because memory ran out"
    reason = f"DataLoader timed out after {waited:.0f} seconds" if "timed out" in error else killed
    return f"{reason}; lower data.workers (0 loads in the training process)"


def collate(samples: Sequence[Sample]) -> Batch:
    """Copy the frames of a batch out of the memory maps, padded at the end with zeros.

    Raises TrainingError, in a loader process, where the batch does not fit into shared memory.
    """
    lengths = [len(sample.indices) for sample in samples]
    frames = np.zeros((len(samples), max(lengths), *samples[0].array.shape[1:]), np.uint8)
    words = np.full(frames.shape[:2], IGNORE, np.int64)
    landmarks = None
    if samples[0].landmarks is not None:
        landmarks = torch.zeros((*frames.shape[:2], samples[0].landmarks.shape[1]))
    for i, sample in enumerate(samples):
        if sample.array.size:
            np.take(sample.array, sample.indices, axis=0, out=frames[i, : lengths[i]], mode="clip")
        if landmarks is not None:
            landmarks[i, : lengths[i]] = torch.from_numpy(sample.landmarks)
        words[i, : lengths[i]] = sample.words
    batch = Batch(
        torch.from_numpy(frames),
        torch.tensor(lengths),
        torch.tensor([symbol for sample in samples for symbol in sample.targets], dtype=torch.int64),
        torch.tensor([len(sample.targets) for sample in samples]),
        torch.tensor([ctc_steps(sample.targets) for sample in samples]),
        torch.from_numpy(words),
        [sample.name for sample in samples],
        [sample.sentence for sample in samples],
        landmarks,
        torch.tensor([sample.mirror for sample in samples]),
    )
    return batch if get_worker_info() is None else in_shared_memory(batch)
