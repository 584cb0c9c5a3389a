"""SIGTERM and SIGHUP as an exception, so that a program that is asked to end does what it does on Ctrl-C.

This module imports only what is imported in milliseconds: programs import it before all others.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP has come."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def __str__(self) -> str:
        return f"ended by {signal.Signals(self.number).name}"


@contextmanager
def signals_raised() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `Terminated` here, unless they are handled or ignored (``nohup``) already."""
    names = ("SIGTERM", "SIGHUP") if current_thread() is main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    numbers = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def ended_at_once() -> Iterator[None]:
    """Ctrl-C ends the program here with one line and exit code 130, without an exception.

    It is for a program's imports, which leave nothing to be done at the end. Where Ctrl-C is ignored, or
    handled in another way than Python's, that stays.
    """
    is_ours = current_thread() is main_thread()
    is_ours = is_ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_: int, __: object) -> None:
    with suppress(OSError):  # standard error is closed
        os.write(2, b"interrupted\n")
    os._exit(128 + signal.SIGINT)


def _terminate(number: int, _: object) -> None:
    raise Terminated(number)
