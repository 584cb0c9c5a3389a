"""Worker processes for long jobs, one per core.

Each worker does one task at a time, so that the task of a worker that is killed is known: it fails, another
worker is started, and the other tasks are done. Workers end with the process that started them, however that
ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any

import cv2

from lipnet.errors import LipnetError
from lipnet.utils.pool import AHEAD, OrderedPool, Result, Task, WorkerError, attempt, opened
from lipnet.utils.signals import heed_ends, signals_deferred

FORKS = sys.platform == "linux"
KILLED = "its worker process was killed, perhaps because memory ran out; give fewer --workers"


def core_count() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_workers(workers: int) -> None:
    """Raises LipnetError unless the number of worker processes is 1 or more."""
    if workers < 1:
        raise LipnetError(f"--workers {workers}: give 1 or more")


class WorkerPool(OrderedPool[Task, Result]):
    """Up to ``workers`` processes that apply one function to tasks. A context manager: its exit ends them.

    They start when there are tasks, also after an exit.
    """

    def __init__(
        self,
        workers: int,
        function: Callable[[Task], Result],
        ahead: int = AHEAD,
        forked: bool = False,
        patience: float | None = None,
    ) -> None:
        """``function`` must be picklable, unless the processes are forked.

        Args:
            ahead: tasks a worker that may be done, or in progress, before the one whose result is due.
            forked: start within milliseconds with what this process has in memory, where the system can. The
                function must not use OpenCV, whose threads do not survive that, nor a GPU.
            patience: seconds after which a WorkerError is raised if no task has ended; None: wait for ever.
        """
        check_workers(workers)
        self.workers, self.function, self.ahead, self.patience = workers, function, ahead, patience
        self._start = "fork" if forked and FORKS else "spawn"
        self._idle: list[_Worker] = []
        self._busy: dict[_Worker, int] = {}  # the number of the task that each is at

    def __enter__(self) -> WorkerPool[Task, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        workers = [*self._idle, *self._busy]
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
        self._idle.clear()
        self._busy.clear()

    def _has_room(self, ahead: int) -> bool:
        return len(self._busy) < self.workers and ahead < self.ahead * self.workers

    def _start_task(self, number: int, task: object) -> None:
        """Give a task to an idle worker, or else to a new one."""
        while self._idle:
            worker = self._idle.pop()
            with suppress(OSError):  # it was killed while it was idle
                worker.connection.send(task)
                self._busy[worker] = number
                return
        worker = _Worker(self.function, self._start)
        self._busy[worker] = number
        with suppress(OSError):  # it was killed at once: `_collect` sees that
            worker.connection.send(task)

    def _collect(self) -> Iterator[tuple[int, Result | LipnetError]]:
        by_connection = {worker.connection: worker for worker in self._busy}
        ready = wait(list(by_connection), self.patience)
        if not ready:
            raise WorkerError(f"no worker process has ended its task within {self.patience:.0f} s")
        for connection in ready:
            worker = by_connection[connection]
            number = self._busy.pop(worker)
            try:
                outcome = worker.connection.recv()
            except (EOFError, OSError):
                worker.process.join()
                yield number, LipnetError(KILLED)
                continue
            self._idle.append(worker)
            yield number, opened(outcome)


class _Worker:
    """A process, and the connection over which it gets tasks and returns results."""

    def __init__(self, function: Callable[..., object], start: str) -> None:
        context: Any = multiprocessing.get_context(start)
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, function, start), daemon=True)
        with signals_deferred(), _interrupts_blocked():
            self.process.start()
            other.close()  # so that the end of the worker is the end of the connection


def _work(connection: Connection, function: Callable[..., object], start: str) -> None:
    """What a worker process does: tasks, until its parent ends or closes the connection."""
    end_with_parent()
    if start == "fork":
        heed_ends()
    else:
        cv2.setNumThreads(1)  # every core has a process already
    with suppress(EOFError, OSError):
        while True:
            task = connection.recv()
            connection.send(attempt(function, task))


def end_with_parent() -> None:
    """End this worker process as soon as its parent has ended, even by a signal that nothing can catch."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes that are started here ignore Ctrl-C, which reaches them too: their parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which would unblock the signal when it starts
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
