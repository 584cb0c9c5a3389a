"""The pool of workers that a Dask cluster has, on any number of machines. Needs the package ``distributed``.

The scheduler gives the task of a worker that is lost to another one. A task whose workers were lost again and
again fails, as one does whose process on this machine was killed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, TypeVar

import cv2

from lipnet import __version__
from lipnet.errors import LipnetError
from lipnet.utils.log import LOG
from lipnet.utils.pool import AHEAD, MAX_MESSAGE, OrderedPool, Result, Task, WorkerError, attempt, opened

CONNECT_SECONDS = 10.0  # until the scheduler must have answered
CLOSE_SECONDS = 3.0  # at most, to take leave of the scheduler
POLL_SECONDS = 2.0  # between two looks at how many workers there are
LOST = "its workers were lost again and again, perhaps because their memory ran out; give each more memory"
INSTALL_THERE = "install lipnet {} where the scheduler and the workers run"
INSTALL = "pip install -e '.[cluster]'"
Sent = TypeVar("Sent")


class ClusterPool(OrderedPool[Task, Result], Generic[Task, Sent, Result]):
    """The workers of a Dask cluster, which apply one function to tasks. A context manager.

    As many tasks as `WorkerPool` starts ahead are given to the scheduler at a time, by the threads that its
    workers have. Workers may come and go.
    """

    def __init__(
        self, address: str, function: Callable[[Task, Path], Sent], receive: Callable[[Sent], Result]
    ) -> None:
        """Connect to the scheduler.

        Args:
            address: the scheduler's address, such as tcp://host:8786, or the file that it has written it to.
            function: is given a task and a folder for temporary files, in a worker. Must be picklable.
            receive: is given what the function has returned, in this process, as soon as it is there.

        Raises:
            LipnetError: ``distributed`` is not installed, or no scheduler answers.
        """
        self.address = address
        self._function = partial(_run, function, __version__)
        self._receive = receive
        self._client = _connect(address)
        self._executor = self._client.get_executor(pure=False)
        self._numbers: dict[Future[Any], int] = {}  # of the tasks that have not been collected
        self._threads, self._counted = 0, -float("inf")

    def __enter__(self) -> ClusterPool[Task, Sent, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # the scheduler, which drops the tasks that are left, may be gone
            self._client.close(timeout=CLOSE_SECONDS)

    def _has_room(self, ahead: int) -> bool:
        if time.monotonic() - self._counted > POLL_SECONDS:
            with self._errors():
                self._threads = sum(self._client.nthreads().values())
            self._counted = time.monotonic()
            if not self._threads:
                LOG.warning(f"--dask {self.address}: the scheduler has no workers; waiting for some")
        return ahead < AHEAD * max(self._threads, 1)

    def _start_task(self, number: int, task: object) -> None:
        with self._errors():
            self._numbers[self._executor.submit(self._function, task)] = number

    def _collect(self) -> Iterator[tuple[int, Result | LipnetError]]:
        for future in wait(self._numbers, POLL_SECONDS, FIRST_COMPLETED).done:
            yield self._numbers.pop(future), self._result(future)

    def _result(self, future: Future[Any]) -> Result | LipnetError:
        from distributed import KilledWorker

        with self._errors():
            try:
                outcome = future.result()
            except KilledWorker:
                return LipnetError(LOST)
        result = opened(outcome)
        return result if isinstance(result, LipnetError) else self._receive(result)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Errors of the cluster as a WorkerError; those of tasks are in what `_run` returns."""
        try:
            yield
        except Exception as error:
            is_lost = isinstance(error, CancelledError | OSError | asyncio.TimeoutError)
            if is_lost or self._client.status in ("closing", "closed"):
                problem = "the connection to the scheduler is lost; start it, and run this again to continue"
            else:
                line = " ".join(f"{type(error).__name__} {error}".split())[:MAX_MESSAGE]
                problem = f"the cluster cannot run this ({line}); {INSTALL_THERE.format(__version__)}"
            raise WorkerError(f"--dask {self.address}: {problem}") from error


def _connect(address: str) -> Any:
    """A `distributed.Client` of a scheduler, given by its address or the file that it has written it to."""
    try:
        from distributed import Client
    except ImportError as error:
        raise LipnetError(f"--dask needs the package distributed: {INSTALL}") from error
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] in ("distributed", "tornado"):  # the errors are those of `_errors`
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        found = json.loads(Path(address).read_text())["address"] if Path(address).is_file() else address
        # A Client does not end where another program has this address, or where it is none.
        asyncio.run(asyncio.wait_for(_check_scheduler(found), CONNECT_SECONDS))
        return Client(found, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, asyncio.TimeoutError, ValueError, KeyError, TypeError) as error:
        raise LipnetError(
            f"--dask {address}: no scheduler answers there; start one by dask scheduler, and give its "
            "address, such as tcp://HOST:8786, or its --scheduler-file"
        ) from error


async def _check_scheduler(address: str) -> None:
    """Raises OSError, ValueError or TypeError where no scheduler answers."""
    from distributed import Security
    from distributed.comm import get_address_host_port
    from distributed.core import rpc

    get_address_host_port(address)
    security = Security().get_connection_args("client")
    async with rpc(address, timeout=CONNECT_SECONDS, connection_args=security) as server:
        found = (await server.identity())["type"]
    if not found.endswith("Scheduler"):  # also that of a LocalCluster
        raise ValueError(found)


def _run(function: Callable[[Any, Path], object], version: str, task: object) -> tuple[object, list[str]]:
    """What a worker of the cluster does with a task, see `attempt`."""
    from distributed import get_worker

    worker = get_worker()
    name = f"worker {worker.address} on {socket.gethostname()}"
    if version != __version__:
        return WorkerError(f"{name} has lipnet {__version__}; {INSTALL_THERE.format(version)}"), []
    cv2.setNumThreads(1)  # every core has a worker already
    try:
        with TemporaryDirectory(dir=worker.local_directory, ignore_cleanup_errors=True) as folder:
            result, warnings = attempt(lambda task: function(task, Path(folder)), task)
    except OSError as error:
        result, warnings = error, []
    if isinstance(result, OSError):
        reason = (result.strerror or "error").lower()
        result = WorkerError(f"{result.filename}: {reason}; check the free space there")
    if isinstance(result, WorkerError):
        result = WorkerError(f"{name}: {result}")
    return result, warnings
