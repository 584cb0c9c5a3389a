"""scripts/app.py as a process, for tests of the page."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

SCRIPT = Path(__file__).parents[1] / "scripts" / "app.py"


class PageServer:
    """The page at a free port, from when it listens to when the test is over."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, str(SCRIPT), "--port", "0", "--device", "cpu", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.match(r"(http://[\w.]+:(\d+)/) ", line)
        assert found, line
        self.address, self.port = found[1], int(found[2])

    def __enter__(self) -> PageServer:
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.end()
        assert self.process.stdout is not None
        self.process.stdout.close()
