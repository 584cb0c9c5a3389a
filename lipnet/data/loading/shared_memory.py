"""Memory that loader processes share with the process that trains: batches are gathered straight into it.

It is anonymous, not in /dev/shm, of which containers often have 64 MB only.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from lipnet.utils.log import LOG
from lipnet.utils.workers import FORKS

ALIGNMENT = 64  # bytes
MEMORY_LIMITS = (  # of a container, by the two versions of control groups
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
MEMORY_STATE = Path("/proc/meminfo")
Empty = Callable[[tuple[int, ...], Any], np.ndarray]  # a new array of a shape and dtype


class Place(NamedTuple):
    """Where an array is in a slot."""

    start: int  # bytes
    shape: tuple[int, ...]
    dtype: str


class SharedMemory:
    """Slots of equal size, each for one batch. Processes that are started with it see the same memory."""

    def __init__(self, count: int, size: int) -> None:
        """``size`` of a slot in bytes. Nothing is taken from the system before it is written to."""
        self.count, self.size = count, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        total = count * self.size
        self._buffer: Any = mmap.mmap(-1, total) if FORKS else RawArray("B", total)

    def slot(self, number: int) -> np.ndarray:
        """The memory of a slot, (size,) uint8: a new array object with each call."""
        return np.frombuffer(self._buffer, np.uint8, self.size, number * self.size)

    def pin(self) -> None:
        """Lock the pages in memory, so that a GPU copies from them while the CPU goes on."""
        first = self.slot(0)
        error = torch.cuda.cudart().cudaHostRegister(first.ctypes.data, self.count * self.size, 0)
        if int(error):
            LOG.warning(
                f"batches are not in page-locked memory (CUDA error {int(error)}): copies take longer"
            )


class Slot:
    """A slot while a batch is gathered into it."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory, self.used = memory, 0

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """A new array in the slot; elsewhere if the slot is full."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        start = -(-self.used // ALIGNMENT) * ALIGNMENT
        if start + size > len(self.memory):
            return np.empty(shape, dtype)
        self.used = start + size
        return self.memory[start : start + size].view(dtype).reshape(shape)

    def place(self, array: np.ndarray) -> Place | np.ndarray:
        """Where the array is in the slot; the array itself if it is elsewhere."""
        start = array.ctypes.data - self.memory.ctypes.data
        return Place(start, array.shape, array.dtype.str) if 0 <= start < self.used else array


def placed(memory: np.ndarray, place: Place) -> np.ndarray:
    """The array at a place in the memory of a slot."""
    size = math.prod(place.shape) * np.dtype(place.dtype).itemsize
    return memory[place.start : place.start + size].view(place.dtype).reshape(place.shape)


def free_memory() -> float:
    """Bytes of memory that are free, and that this process may have; infinite where that is not known."""
    free = math.inf
    with suppress(OSError, ValueError, StopIteration):
        lines = MEMORY_STATE.read_text().splitlines()
        free = 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    for path in MEMORY_LIMITS:
        with suppress(OSError, ValueError):  # "max" where there is no limit
            free = min(free, int(path.read_text()))
    return free
