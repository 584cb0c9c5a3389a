"""Items that a thread produces in advance."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from lipnet.utils.prefetch import prefetch


def test_items_come_in_order_and_so_many_ahead() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(20):
            made.append(i)
            yield i

    result = prefetch(items(), 3)
    assert next(result) == 0
    time.sleep(0.3)
    assert len(made) <= 1 + 3 + 1  # taken, in the queue, and waiting for room
    assert list(result) == list(range(1, 20))
    assert list(prefetch(iter(()), 2)) == []


def test_errors_come_after_what_was_made_before_them() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    result = prefetch(items(), 5)
    assert next(result) == 1
    with pytest.raises(ValueError, match="two"):
        next(result)


def test_the_thread_ends_with_the_generator() -> None:
    before = threading.active_count()
    result = prefetch(iter(range(10**9)), 4)
    next(result)
    assert threading.active_count() == before + 1
    result.close()
    assert threading.active_count() == before
