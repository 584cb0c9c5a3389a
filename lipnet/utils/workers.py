"""Worker processes for long jobs, one per core."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import cv2

from lipnet.errors import LipnetError


def check_workers(workers: int) -> None:
    """Raises LipnetError unless the number of worker processes is 1 or more."""
    if workers < 1:
        raise LipnetError(f"--workers {workers}: give 1 or more")


def start_worker() -> None:
    """Initialise a worker process."""
    cv2.setNumThreads(1)  # every core has a process already
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the main process, which ends the workers


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of worker processes. Raises LipnetError if one of them is killed."""
    # Spawned rather than forked, since OpenCV's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, context, initializer=start_worker) as pool:
            yield pool
    except BrokenProcessPool as error:
        raise LipnetError(
            "a worker process was killed, perhaps because it ran out of memory; run the same command with "
            "fewer --workers"
        ) from error
