"""Pools of workers for long jobs, and the one of this machine: worker processes, one per core.

Each worker process does one task at a time, so that the task of a worker that is killed is known: it fails,
another worker is started, and the other tasks are done. Workers end with the process that started them,
however that ends. The pool of a Dask cluster is in `lipnet.utils.cluster`.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any, Generic, Protocol, TypeVar

import cv2

from lipnet.errors import LipnetError
from lipnet.utils.log import LOG, Collector, handled
from lipnet.utils.signals import heed_ends, signals_deferred

AHEAD = 8  # tasks a worker that may be done, or in progress, before the one whose result is due
FORKS = sys.platform == "linux"
MAX_MESSAGE = 300  # characters of an unexpected exception
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # which all later tasks would meet too
KILLED = "its worker process was killed, perhaps because memory ran out; give fewer --workers"
END = object()
Task = TypeVar("Task")
Result = TypeVar("Result")
Given = TypeVar("Given", contravariant=True)
Yielded = TypeVar("Yielded", covariant=True)


class WorkerError(LipnetError):
    """A worker cannot do any task as it is. The job ends, since it would fail at one task after the other."""


class Pool(Protocol[Given, Yielded]):
    """What does the tasks of a job."""

    def map(self, tasks: Iterable[Given]) -> Iterator[Yielded | LipnetError]:
        """Yield the result of each task, or why it has none, in the order of the tasks."""


def core_count() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_workers(workers: int) -> None:
    """Raises LipnetError unless the number of worker processes is 1 or more."""
    if workers < 1:
        raise LipnetError(f"--workers {workers}: give 1 or more")


class OrderedPool(ABC, Generic[Task, Result]):
    """Workers that end their tasks in any order."""

    def map(self, tasks: Iterable[Task]) -> Iterator[Result | LipnetError]:
        """Yield the function's result for each task, in their order.

        An exception of the function, or the end of a worker that is killed, is yielded as a LipnetError. The
        next tasks are done meanwhile, a few for each worker. Warnings of workers are logged in this process.

        Raises:
            OSError: nothing can be written to the disk.
            WorkerError: see there.
        """
        remaining: Iterator[tuple[int, object]] = enumerate(tasks)
        results: dict[int, Result | LipnetError] = {}  # those that are not due yet
        due, started, is_done = 0, 0, False
        while not is_done or due < started:
            while not is_done and self._has_room(started - due):
                number, task = next(remaining, (started, END))
                is_done = task is END
                if not is_done:
                    self._start_task(number, task)
                    started += 1
            if due in results:
                yield results.pop(due)
                due += 1
            elif due < started:
                results.update(self._collect())

    @abstractmethod
    def _has_room(self, ahead: int) -> bool:
        """Whether another task may be started, with ``ahead`` started whose results are not yielded yet."""

    @abstractmethod
    def _start_task(self, number: int, task: object) -> None:
        """Start the ``number``-th task."""

    @abstractmethod
    def _collect(self) -> Iterator[tuple[int, Result | LipnetError]]:
        """Wait for tasks that have ended, or for a short time; yield the numbers and results of these."""


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


def attempt(function: Callable[..., object], task: object) -> tuple[object, list[str]]:
    """What a worker sends back of a task: the function's result, or its error, and the warnings.

    The error is an OSError where nothing can be written, a WorkerError, or else a LipnetError.
    """
    with handled(Collector()) as collector:
        result = _result(function, task)
    return result, collector.lines


def opened(outcome: tuple[Any, list[str]]) -> Any:
    """The result, or the LipnetError, of what `attempt` has returned. Raises OSError and WorkerError."""
    result, warnings = outcome
    for warning in warnings:
        LOG.warning(warning)
    if isinstance(result, OSError | WorkerError):
        raise result
    return result


def _result(function: Callable[..., object], task: object) -> object:
    try:
        return function(task)
    except WorkerError as error:
        return error
    except LipnetError as error:
        return LipnetError(str(error))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return error
        line = " ".join(f"{type(error).__name__} {error}".split())
        return LipnetError(f"cannot be worked on ({line[:MAX_MESSAGE]}); get or convert the file again")


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
