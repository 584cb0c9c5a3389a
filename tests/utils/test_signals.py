"""Signals are handled after a part of the program that they must not break off."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from lipnet.utils.signals import Terminated, signals_deferred, signals_raised

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """As at the start of a program on a terminal: a background job ignores SIGINT."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_handled_at_the_end(number: signal.Signals) -> None:
    """Also one that another thread gets, where the main thread blocks it."""
    done = []
    go, sent = threading.Event(), threading.Event()

    def send() -> None:
        go.wait()
        os.kill(os.getpid(), number)
        sent.set()

    thread = threading.Thread(target=send)
    thread.start()  # before the signal is blocked, so that this thread does not block it
    with (
        pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Terminated),
        signals_raised(),
        signals_deferred(),
    ):
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        try:
            go.set()
            assert sent.wait(10)
            sum(range(100_000))
            done.append(1)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    thread.join()
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_signals_that_are_ignored_stay_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with signals_deferred():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGINT)
