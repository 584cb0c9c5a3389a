"""Work on the next items while the last ones are being used."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from typing import TypeVar

Item = TypeVar("Item")
END = object()
PATIENCE_S = 0.1  # after which a thread that waits looks whether it is still wanted


def prefetch(items: Iterator[Item], count: int) -> Generator[Item, None, None]:
    """Yield ``items`` in their order, up to ``count`` of which a thread has made before they are asked for.

    What making them raises is raised here. The thread ends with this generator.
    """
    made: Queue[tuple[object, BaseException | None]] = Queue(count)
    unwanted = Event()

    def put(item: object, error: BaseException | None = None) -> None:
        while not unwanted.is_set():
            with suppress(Full):
                return made.put((item, error), timeout=PATIENCE_S)

    def make() -> None:
        try:
            for item in items:
                put(item)
                if unwanted.is_set():
                    return
        except BaseException as error:
            put(END, error)
        else:
            put(END)

    thread = Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if error is not None:
                raise error
            if item is END:
                return
            yield item  # type: ignore[misc]
    finally:
        unwanted.set()
        with suppress(Empty):
            made.get_nowait()
        thread.join()


def one_at_a_time(items: Iterator[Item], lock: Lock) -> Iterator[Item]:
    """Yield ``items``, each made while holding the lock."""
    while True:
        with lock:
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
