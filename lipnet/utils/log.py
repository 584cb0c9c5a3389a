"""Warnings of the package while a program runs: each once, above progress bars."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from lipnet.utils.terminal import one_line

LOG = logging.getLogger("lipnet")


class Collector(logging.Handler):
    """Keeps the different warnings in their order."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if line not in self.lines:
            self.lines.append(line)
            self.show(line)

    def show(self, line: str) -> None:
        """Does nothing here."""


class Printer(Collector):
    """Prints them as lines of their own, where there is a progress bar too."""

    def show(self, line: str) -> None:
        tqdm.write(one_line(f"warning: {line}"), file=sys.stderr)


@contextmanager
def handled(handler: Collector) -> Iterator[Collector]:
    """Warnings of the package go to a handler."""
    LOG.addHandler(handler)
    try:
        yield handler
    finally:
        LOG.removeHandler(handler)
