"""A program in a session of its own, its processes, and signals to them. Needs the ``/proc`` of Linux."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from .moments import Moment

POLL_S = 0.001
MARK = "LIPNET_KILLED_SESSION"  # in the environment of all processes of a session
ENDED = {"Z", "X"}  # states of processes that only wait to be collected


class Session:
    """A running program. Its error output goes to a file."""

    def __init__(self, command: Sequence[object], errors: Path) -> None:
        self._mark = f"{MARK}={uuid.uuid4().hex}".encode()
        name, _, value = self._mark.decode().partition("=")
        environment = {**os.environ, name: value, "OMP_NUM_THREADS": "1"}
        self._errors = errors
        with errors.open("wb") as file:
            self.process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                env=environment,
                start_new_session=True,
            )

    @property
    def errors(self) -> str:
        return self._errors.read_text(errors="replace")

    def wait(self, seconds: float) -> int | None:
        """The exit code, negative for a signal; None if the program runs longer than that."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def alive(self) -> list[int]:
        """The processes of the session that have not ended, with those that left it."""
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if self._has(path)]

    def _has(self, path: Path) -> bool:
        try:
            state, _, _, session = (path / "stat").read_text().rpartition(")")[2].split()[:4]
            if state in ENDED:
                return False
            return int(session) == self.process.pid or self._mark in (path / "environ").read_bytes()
        except OSError:  # it has ended meanwhile
            return False

    def workers(self) -> list[int]:
        """The worker processes: those spawned for tasks, and forks of the program."""
        program = _command_of(self.process.pid)
        others = [process for process in self.alive() if process != self.process.pid]
        return [
            process
            for process in others
            if b"spawn_main" in (command := _command_of(process)) or (program and command == program)
        ]

    def ended_after(self, seconds: float) -> float | None:
        """Seconds until no process is alive; None if that takes longer than ``seconds``."""
        began = time.monotonic()
        while self.alive():
            if time.monotonic() - began > seconds:
                return None
            time.sleep(0.02)
        return time.monotonic() - began

    def stop(self) -> None:
        """End what is left of the session."""
        for process in self.alive():
            _send(process, signal.SIGKILL)
        self.process.wait()

    def kill(self, moment: Moment, after: float, folder: Path) -> bool:
        """Send the signal of a moment.

        Args:
            after: seconds from the start of the program.
            folder: what the program writes.

        Returns:
            False if the program has ended before.
        """
        time.sleep(after)
        while self.process.poll() is None:
            targets = self.workers() if moment.target == "worker" else [self.process.pid]
            if targets and (not moment.in_write or is_written(folder)):
                target = random.Random(moment.number).choice(targets)
                return _send(-target if moment.target == "group" else target, moment.signal)
            time.sleep(POLL_S)
        return False


def is_written(folder: Path) -> bool:
    """Whether a file is being written below a folder, see `lipnet.utils.files.part_of`."""
    try:
        return any(folder.rglob(".*.part"))
    except OSError:  # a folder has been removed meanwhile
        return False


def _send(process: int, number: signal.Signals) -> bool:
    """Send a signal to a process, or to the group ``-process``. Returns False if it has ended."""
    try:
        os.killpg(-process, number) if process < 0 else os.kill(process, number)
    except ProcessLookupError:
        return False
    return True


def _command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""
