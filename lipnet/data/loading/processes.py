"""Loader processes, which gather batches while the process that trains does something else."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from lipnet.config import AUTO
from lipnet.data.dataset import Batch, ClipDataset, SampleKey
from lipnet.data.loading.collation import collate
from lipnet.data.loading.shared_memory import Place, SharedMemory, Slot, free_memory, placed
from lipnet.errors import LipnetError, TrainingError
from lipnet.utils.log import LOG
from lipnet.utils.pool import WorkerError
from lipnet.utils.workers import KILLED, WorkerPool, core_count

AUTO_MAX = 8  # processes, of which each gathers some thousands of clips a second
AHEAD = 2  # batches of each process that are gathered before they are needed
MORE = 2  # batches in use, and on their way to a GPU
PATIENCE_S = 600.0  # for one batch
USUAL = 0.99  # part of the clips that are not longer than what a slot is made for
LENGTHENED = 1.1  # by duplicated frames and longer words of other clips, in general
LABEL_BYTES = 512  # for a frame at most: its landmark features and its word
TEXT_BYTES = 4096  # for a clip in general: its text and numbers
REMEDY = "lower data.workers (0 loads in the training process)"
Arrays = list[object]  # of a batch: its fields, with a Place for each array in the slot


class Gather:
    """What a loader process does."""

    def __init__(self, datasets: Sequence[ClipDataset], memory: SharedMemory) -> None:
        self.datasets, self.memory = datasets, memory

    def __call__(self, task: tuple[int, int | None, Sequence[SampleKey]]) -> Arrays:
        """Gather a batch of the dataset with the first number into the slot with the second."""
        dataset, number, keys = self.datasets[task[0]], task[1], task[2]
        slot = Slot(np.empty(0, np.uint8) if number is None else self.memory.slot(number))
        batch = collate([dataset[key] for key in keys], slot.empty)
        return [slot.place(value.numpy()) if isinstance(value, Tensor) else value for value in batch]


class LoaderProcesses:
    """Processes that gather the batches of some datasets. They end with this object.

    A batch is in a slot of shared memory, which is used again when no tensor of the batch is left. Where no
    slot is free, or one is too small, what the batch has comes through a pipe, which takes longer.
    """

    def __init__(self, datasets: Sequence[ClipDataset], batch_size: int, workers: int, pin: bool) -> None:
        """``pin``: in page-locked memory, from which a GPU copies while the CPU goes on."""
        self.datasets, self.workers, self._pin = list(datasets), workers, pin
        self.memory = SharedMemory(slots(workers), slot_size(datasets, batch_size))
        self._free = deque(range(self.memory.count))
        self._given: deque[int | None] = deque()  # the slots of the batches under way, None for none
        self._copied: dict[int, torch.cuda.Event] = {}  # by slot: when the GPU has what was in it
        self._pool: WorkerPool[tuple[int, int | None, Sequence[SampleKey]], Arrays] = WorkerPool(
            workers, Gather(self.datasets, self.memory), AHEAD, forked=True, patience=PATIENCE_S
        )
        weakref.finalize(self, self._pool.__exit__)

    def __str__(self) -> str:
        size = self.memory.count * self.memory.size / 1e6
        return f"{self.workers} processes, in {size:.0f} MB of memory outside /dev/shm"

    def gather(self, dataset: ClipDataset, batches: Iterable[Sequence[SampleKey]]) -> Iterator[Batch]:
        """The batches, in their order. The start of a pass breaks off one that has not come to its end.

        Raises TrainingError where a process is killed or takes too long, LipnetError as the dataset does.
        """
        self._break_off()
        given = self._given
        number = self.datasets.index(dataset)

        def tasks() -> Iterator[tuple[int, int | None, Sequence[SampleKey]]]:
            for keys in batches:
                given.append(self._take_slot())
                yield number, given[-1], keys

        try:
            for result in self._pool.map(tasks()):
                if isinstance(result, LipnetError):
                    raise _explained(result)
                yield self._opened(result, given.popleft())
                assert given is self._given, "another pass has been started"
        except WorkerError as error:
            raise TrainingError(f"loader processes: {error}; {REMEDY}") from error
        finally:
            if given is self._given:
                self._break_off()

    def _break_off(self) -> None:
        """End the pass that is under way, if there is one."""
        if self._given:
            self._pool.__exit__()
            self._free.extend(slot for slot in self._given if slot is not None)
        self._given = deque()

    def _opened(self, arrays: Arrays, slot: int | None) -> Batch:
        """The batch in a slot, which is free again after the batch."""
        memory = np.empty(0, np.uint8)
        if slot is not None:
            if self._pin:  # now that the processes have been started, which share the memory
                self.memory.pin()
                self._pin = False
            memory = self.memory.slot(slot)
            weakref.finalize(memory, self._release, slot).atexit = False
        fields = [placed(memory, value) if isinstance(value, Place) else value for value in arrays]
        return Batch(*(torch.from_numpy(v) if isinstance(v, np.ndarray) else v for v in fields))  # type: ignore[arg-type]

    def _take_slot(self) -> int | None:
        if not self._free:
            return None
        slot = self._free.popleft()
        if slot in self._copied:
            self._copied.pop(slot).synchronize()
        return slot

    def _release(self, slot: int) -> None:
        if torch.cuda.is_initialized():  # the GPU may not have copied the batch yet
            self._copied[slot] = torch.cuda.Event()
            self._copied[slot].record()
        self._free.append(slot)


def _explained(error: LipnetError) -> LipnetError:
    if str(error) == KILLED:
        return TrainingError(f"a loader process was killed, perhaps because memory ran out; {REMEDY}")
    return error


def loader_workers(
    wanted: int | str, datasets: Sequence[ClipDataset], batch_size: int, with_gpu: bool
) -> int:
    """The number of loader processes: ``data.workers``, or fewer where memory is short, which is logged.

    ``auto`` is for a GPU; on a CPU the network needs all cores.
    """
    if wanted == AUTO:
        programs = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # of torchrun on this machine
        wanted = max(1, min(core_count() // programs - 1, AUTO_MAX)) if with_gpu else 0
    workers, size, free = int(wanted), slot_size(datasets, batch_size), free_memory()
    while workers and slots(workers) * size > free:
        workers -= 1
    if workers < int(wanted):
        needed = slots(int(wanted)) * size
        LOG.warning(
            f"{free / 1e6:.0f} MB of memory are free, the batches of {wanted} loader processes need up to "
            f"{needed / 1e6:.0f} MB: data.workers is {workers} here; a smaller data.batch_size needs less"
        )
    return workers


def slots(workers: int) -> int:
    return AHEAD * workers + MORE


def slot_size(datasets: Sequence[ClipDataset], batch_size: int) -> int:
    """Bytes that a batch of any of the datasets needs, but for those with the longest clips."""
    return max((_batch_size(dataset, batch_size) for dataset in datasets), default=0)


def _batch_size(dataset: ClipDataset, clips: int) -> int:
    frames = float(np.quantile([clip.frames for clip in dataset.clips], USUAL)) if dataset.clips else 0.0
    if dataset.augment is not None:
        frames *= LENGTHENED * (1 + dataset.augment.speed)
    crop = dataset.corpus.crop
    pixels = crop.height * crop.width * 3 if "pixels" in dataset.streams else 0
    return clips * (int(frames + 1) * (pixels + LABEL_BYTES) + TEXT_BYTES)
