"""What all pools of workers have in common: results in the order of the tasks, and what a worker does with a
task. The pool of this machine is in `lipnet.utils.workers`, that of a Dask cluster in `lipnet.utils.cluster`.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from lipnet.errors import LipnetError
from lipnet.utils.log import LOG, Collector, handled

AHEAD = 8  # tasks a worker that may be done, or in progress, before the one whose result is due
MAX_MESSAGE = 300  # characters of an unexpected exception
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # which all later tasks would meet too
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
