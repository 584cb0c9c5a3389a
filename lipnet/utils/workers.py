"""Processes that each do a part of a long job on one core."""

from __future__ import annotations

import signal

import cv2

from lipnet.errors import LipnetError


def check_workers(workers: int) -> None:
    """Raises LipnetError unless there is one at least."""
    if workers < 1:
        raise LipnetError(f"--workers {workers}: give 1 or more")


def start_worker() -> None:
    """What a worker process does first."""
    cv2.setNumThreads(1)  # there is a process for each core already
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process, which ends the others
