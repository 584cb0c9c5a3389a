"""Lips read as they move: a camera, a stream or a file at its own pace, and words as they come."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread

import cv2
import numpy as np

from lipnet.grid import FRAME_RATE
from lipnet.video.decode import Picture, VideoError, iter_frames, resample

NOMINAL_RATE = 30.0  # pictures a second of a camera that does not tell
WAITING = 60  # pictures, at most, that have come and are not read yet


def camera_frames(source: str) -> Generator[np.ndarray, None, None]:
    """Frames, (H, W, 3) uint8 RGB at 25 a second, of an OpenCV device index, a stream's URL, or a file.

    A file is replayed at its own pace. Raises VideoError where nothing can be opened.
    """
    if not source.isdecimal() and "://" not in source:
        return replay(Path(source))
    return _live(int(source) if source.isdecimal() else source)


def replay(path: Path) -> Generator[np.ndarray, None, None]:
    """A file's frames, none before its time."""
    started = time.monotonic()
    for index, frame in enumerate(iter_frames(path, FRAME_RATE)):
        time.sleep(max(0.0, started + index / FRAME_RATE - time.monotonic()))
        yield frame


def _live(source: int | str) -> Generator[np.ndarray, None, None]:
    with closing(_captured(source)) as pictures:
        yield from resample(pictures, NOMINAL_RATE, FRAME_RATE)


def _captured(source: int | str) -> Generator[Picture, None, None]:
    """What a device or stream shows, stamped when it comes, by a thread that no reading holds up."""
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        what = f"camera {source}" if isinstance(source, int) else str(source)
        raise VideoError(f"{what}: cannot be opened; try another number, or check the address and the cable")
    pictures: Queue[Picture | None] = Queue(WAITING)
    ended = Event()

    def grab() -> None:
        try:
            while not ended.is_set():
                there, picture = capture.read()
                if not there:
                    break
                _push(pictures, (_to_rgb(picture), time.monotonic(), False))
        finally:
            _push(pictures, None)
            capture.release()

    thread = Thread(target=grab, daemon=True)
    thread.start()
    try:
        while (picture := pictures.get()) is not None:
            yield picture
    finally:
        ended.set()
        thread.join(timeout=2)  # a thread that is inside OpenCV when Python ends would abort it


def _push(pictures: Queue[Picture | None], picture: Picture | None) -> None:
    """Put one in; where reading falls behind, the oldest goes, and the next one is shown for longer."""
    while True:
        try:
            return pictures.put_nowait(picture)
        except Full:
            with suppress(Empty):
                pictures.get_nowait()


def _to_rgb(picture: np.ndarray) -> np.ndarray:
    """What OpenCV captured, BGR or grey, as (H, W, 3) uint8 RGB."""
    grey = picture.ndim == 2 or picture.shape[2] == 1
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB if grey else cv2.COLOR_BGR2RGB)
