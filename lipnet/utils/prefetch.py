"""Background prefetching: a thread produces the next items while the last ones are used."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
END = object()
POLL_S = 0.1  # after which a thread that waits for room checks whether it should stop


def prefetch(items: Iterator[Item], count: int) -> Generator[Item, None, None]:
    """Yield ``items`` in their order; a thread produces up to ``count`` of them before they are asked for.

    An exception of ``items`` is raised here. The thread ends with this generator: close it when stopping
    early.
    """
    produced: Queue[tuple[object, BaseException | None]] = Queue(count)
    stopping = Event()

    def put(item: object, error: BaseException | None = None) -> None:
        while not stopping.is_set():
            with suppress(Full):
                return produced.put((item, error), timeout=POLL_S)

    def produce() -> None:
        try:
            for item in items:
                put(item)
                if stopping.is_set():
                    return
        except BaseException as error:
            put(END, error)
        else:
            put(END)

    thread = Thread(target=produce, daemon=True)
    thread.start()
    try:
        while True:
            item, error = produced.get()
            if error is not None:
                raise error
            if item is END:
                return
            yield item  # type: ignore[misc]
    finally:
        stopping.set()
        with suppress(Empty):
            produced.get_nowait()  # a thread that waits for room sees at once that it should stop
        thread.join()
