"""Kill a program at a moment, look for what is left of it, continue it, and compare what it has written."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from .moments import Moment
from .programs import Program
from .session import Session

ALIVE_S = 2.0  # after the signal, in which all processes must have ended
HANGS_S = 120.0  # a program that runs longer hangs
ATTEMPTS = 20  # to send the signal before the program has ended


class Outcome(NamedTuple):
    """What a kill has shown."""

    moment: Moment
    code: int | None  # exit code of the program that was killed
    ended_s: float  # until the last process had ended
    findings: list[str]  # empty if all is right


class Runner:
    """Kills of one program, compared with an uninterrupted run in the folder ``reference``."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program, self.folder = program, folder
        self.reference = folder / "reference"
        folder.mkdir()
        began = time.monotonic()
        findings = self._complete(self.reference, None)
        self.seconds = time.monotonic() - began
        if findings:
            raise RuntimeError(f"{program.name}, not killed: {'; '.join(findings)}")

    def run(self, moments: list[Moment], jobs: int) -> Iterator[Outcome]:
        """The outcomes of all moments, ``jobs`` of them at the same time."""
        with ThreadPoolExecutor(jobs) as threads:
            yield from threads.map(self.kill, moments)

    def kill(self, moment: Moment) -> Outcome:
        """Kill the program once; the folder is removed unless something is wrong."""
        out = self.folder / f"{moment.number}"
        session, moment = self._killed(out, moment)
        try:
            findings: list[str] = []
            if moment.target == "worker" and session.wait(HANGS_S) is None:
                findings.append("hangs")
            ended = session.ended_after(ALIVE_S)
            if ended is None:
                findings.append(f"{len(session.alive())} processes alive after {ALIVE_S:.0f} s")
        finally:
            session.stop()
        code = session.process.returncode
        findings += self._wrong_end(moment, code, session.errors)
        findings += self._complete(out, moment)
        if not findings:
            findings = [f"differs: {name}" for name in self.program.differences(self.reference, out, moment)]
        if not findings:
            shutil.rmtree(out)
        return Outcome(moment, code, ALIVE_S if ended is None else ended, findings)

    def _killed(self, out: Path, moment: Moment) -> tuple[Session, Moment]:
        """Start the program and send the signal; earlier, where the program has ended before."""
        for _ in range(ATTEMPTS):
            session = Session(self.program.command(out, moment), self._errors(out, "killed"))
            if session.kill(moment, moment.part * self.seconds, out):
                return session, moment
            session.stop()
            shutil.rmtree(out, ignore_errors=True)
            moment = moment._replace(part=moment.part * 0.8)
        raise RuntimeError(f"{self.program.name} {moment}: the signal was always too late")

    def _wrong_end(self, moment: Moment, code: int, errors: str) -> list[str]:
        if moment.target == "worker":
            codes = self.program.codes
            named = code == 0 or ("killed" in errors and "memory ran out" in errors)
        else:
            codes = {-9} if moment.signal is signal.SIGKILL else {-15, 143}
            named = True
        findings = [] if code in codes else [f"exit code {code}: {_last_line(errors)}"]
        findings += [] if named else [f"does not say what was killed: {_last_line(errors)}"]
        return [*findings, *(["traceback"] if "Traceback" in errors else [])]

    def _complete(self, out: Path, moment: Moment | None) -> list[str]:
        """Start or continue the program and let it end; returns what is wrong with that."""
        session = Session(self.program.command(out, moment), self._errors(out, "complete"))
        try:
            code = session.wait(HANGS_S)
            if code is None:
                return ["hangs when it is continued"]
            if code or "Traceback" in session.errors:
                return [f"cannot be continued, exit code {code}: {_last_line(session.errors)}"]
            return [] if session.ended_after(ALIVE_S) is not None else ["processes alive after the end"]
        finally:
            session.stop()

    def _errors(self, out: Path, name: str) -> Path:
        return self.folder / f"{out.name}.{name}.txt"


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].rpartition("\r")[2]
