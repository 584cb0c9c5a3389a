"""Worker processes with limits of time and memory: one that passes them is killed and replaced."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from fuzz.inputs import Input

MAX_S = 20.0
MAX_BYTES = 2 * 1024**3  # resident
POLL_S = 0.02
FOREVER_S = 120.0  # in which a worker must have started


class Finding(NamedTuple):
    """An input that met a traceback, a hang, too much memory or a crash."""

    input: Input
    what: str  # one line
    detail: str


def _work(connection: Connection, valid: Path) -> None:
    """A worker: reads inputs and answers with a traceback, or with nothing where the outcome is right."""
    import torch
    from fuzz.readers import outcome

    torch.set_num_threads(1)
    outcome("video", min((valid / "video").iterdir()), valid)  # loads what is loaded once
    connection.send(None)
    while True:
        item: Input = connection.recv()
        try:
            outcome(item.kind, item.path, valid)
        except Exception:
            connection.send(traceback.format_exc())
        else:
            connection.send("")


class Worker:
    """A process that reads one input at a time."""

    def __init__(self, valid: Path) -> None:
        self._valid = valid
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other, self._valid), daemon=True)
        self._process.start()
        other.close()
        if not self._connection.poll(FOREVER_S):
            raise RuntimeError("a worker did not start")
        self._connection.recv()

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def read(self, item: Input) -> Finding | None:
        """Give the worker an input. Returns what is wrong with how it was read, if anything is."""
        self._connection.send(item)
        started, problem, detail = time.monotonic(), "", ""
        while not problem and not self._connection.poll(POLL_S):
            if time.monotonic() - started > MAX_S:
                problem = f"hangs: more than {MAX_S:.0f} s"
            elif (used := self._resident()) > MAX_BYTES:
                problem = f"memory: {used / 1024**3:.1f} GiB"
        if not problem:
            try:
                detail = self._connection.recv()
                problem = detail.strip().rpartition("\n")[2][:200]
            except EOFError:
                self._process.join()
                problem = f"died, exit code {self._process.exitcode}"
        if problem and not detail:  # killed, or dead
            self.stop()
            self._start()
        return Finding(item, problem, detail) if problem else None

    def _resident(self) -> int:
        """Bytes of memory that the process has; 0 where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        return pages * 4096


def read_all(inputs: Iterator[Input], valid: Path, workers: int) -> Iterator[Finding | None]:
    """The findings of inputs, None for those that are read or refused as they should be."""
    free = [Worker(valid) for _ in range(workers)]

    def read(item: Input) -> Finding | None:
        worker = free.pop()
        try:
            return worker.read(item)
        finally:
            free.append(worker)

    try:
        with ThreadPoolExecutor(workers) as threads:
            yield from threads.map(read, inputs)
    finally:
        for worker in free:
            worker.stop()
