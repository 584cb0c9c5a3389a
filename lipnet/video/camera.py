"""Live video sources: a camera, a network stream, or a file replayed in real time."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

import cv2
import numpy as np

from lipnet.grid import FRAME_RATE
from lipnet.video.decode import VideoError, iter_frames
from lipnet.video.resample import Picture, resample

NOMINAL_RATE = 30.0  # pictures a second of a camera that does not declare its rate
MAX_QUEUED = 60  # captured pictures that wait to be read
Item = TypeVar("Item")


def camera_frames(source: str) -> Generator[np.ndarray, None, None]:
    """Yield live frames, (H, W, 3) uint8 RGB, at 25 a second.

    Args:
        source: OpenCV's number of a camera, a stream's URL, or the path of a file to replay in real time.

    Raises:
        VideoError: the source cannot be opened.
    """
    if not source.isdecimal() and "://" not in source:
        return replay(Path(source))
    return _live_frames(int(source) if source.isdecimal() else source)


def replay(path: Path) -> Generator[np.ndarray, None, None]:
    """Yield a file's frames, each when it is due at 25 frames a second."""
    started = time.monotonic()
    for index, frame in enumerate(iter_frames(path, FRAME_RATE)):
        time.sleep(max(0.0, started + index / FRAME_RATE - time.monotonic()))
        yield frame


def _live_frames(source: int | str) -> Generator[np.ndarray, None, None]:
    with closing(_capture(source)) as pictures:
        yield from resample(pictures, NOMINAL_RATE, FRAME_RATE)


def _capture(source: int | str) -> Generator[Picture, None, None]:
    """Capture in a thread, so that slow processing does not delay it; times are those of arrival."""
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        name = f"camera {source}" if isinstance(source, int) else str(source)
        raise VideoError(f"{name}: cannot be opened; try another number, or check the address and the cable")
    pictures: Queue[Picture | None] = Queue(MAX_QUEUED)
    ended = Event()

    def grab() -> None:
        try:
            while not ended.is_set():
                available, image = capture.read()
                if not available:
                    break
                put_newest(pictures, Picture(rgb_from_opencv(image), time.monotonic(), damaged=False))
        finally:
            put_newest(pictures, None)
            capture.release()

    thread = Thread(target=grab, daemon=True)
    thread.start()
    try:
        while (picture := pictures.get()) is not None:
            yield picture
    finally:
        ended.set()
        thread.join(timeout=2)  # a thread that is inside OpenCV when Python exits would abort it


def put_newest(queue: Queue[Item], item: Item) -> None:
    """Put an item into a queue; if the queue is full, drop its oldest items first."""
    while True:
        try:
            return queue.put_nowait(item)
        except Full:
            with suppress(Empty):
                queue.get_nowait()


def rgb_from_opencv(image: np.ndarray) -> np.ndarray:
    """Convert OpenCV's image, BGR (H, W, 3) or grey (H, W) or (H, W, 1), to (H, W, 3) uint8 RGB."""
    grey = image.ndim == 2 or image.shape[2] == 1
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if grey else cv2.COLOR_BGR2RGB)
