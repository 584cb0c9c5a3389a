"""Worker processes."""

from __future__ import annotations

import os

import cv2
import pytest

from lipnet.errors import LipnetError
from lipnet.utils.workers import check_workers, worker_pool


def test_workers_are_processes_with_one_opencv_thread() -> None:
    with worker_pool(2) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()
        assert pool.submit(cv2.getNumThreads).result() == 1


def test_a_killed_worker_is_explained() -> None:
    with (
        pytest.raises(LipnetError, match=r"a worker process was killed.*fewer --workers"),
        worker_pool(1) as pool,
    ):
        pool.submit(os._exit, 1).result()


@pytest.mark.parametrize("workers", [0, -2])
def test_without_workers(workers: int) -> None:
    check_workers(1)
    with pytest.raises(LipnetError, match=f"--workers {workers}: give 1 or more"):
        check_workers(workers)
