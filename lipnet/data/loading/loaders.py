"""Data loaders: processes that gather batches, and how a batch is collated."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, get_worker_info
from torch.utils.data._utils import signal_handling

from lipnet.data.dataset import Batch, ClipDataset, Sample, SampleKey, ctc_steps
from lipnet.data.loading.sampler import EpochSampler
from lipnet.data.loading.shared_memory import check_shared_memory, in_shared_memory
from lipnet.data.transforms import IGNORE
from lipnet.errors import LipnetError, TrainingError
from lipnet.utils.workers import end_with_parent

TIMEOUT_S = 600.0  # for one batch
CHECK_S = 10.0  # between two looks whether the loader processes are alive, while a batch is waited for


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
