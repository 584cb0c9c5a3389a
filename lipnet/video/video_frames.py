"""Frames of a video for several passes, with a bounded number of them in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

MAX_HELD_BYTES = 128 * 2**20  # the frames of a GRID clip have 23 MB at 360x288 px, 93 MB at 720x576
BLOCK_BYTES = 16 * 2**20


class VideoFrames:
    """A video's frames, (H, W, 3) uint8 RGB, that can be iterated more than once.

    They are decoded once and held in memory if all of them fit in ``max_bytes``. Otherwise each iteration
    decodes them again, in smaller blocks (to decode and track frame by frame in turn takes 20 % longer).
    """

    def __init__(self, decode: Callable[[], Iterable[np.ndarray]], max_bytes: int = MAX_HELD_BYTES) -> None:
        """``decode`` starts at the first frame and yields the same frames in each call."""
        self.decode = decode
        self.max_bytes = max_bytes
        self.held: list[np.ndarray] | None = None  # all frames, once they are known to fit
        self._limit = max_bytes  # of a block

    def __iter__(self) -> Iterator[np.ndarray]:
        if self.held is not None:
            yield from self.held
            return
        block: list[np.ndarray] = []
        size, is_whole = 0, True
        for frame in self.decode():
            if block and size + frame.nbytes > self._limit:
                self._limit = min(self.max_bytes, BLOCK_BYTES)
                yield from block
                block.clear()
                size, is_whole = 0, False
            block.append(frame)
            size += frame.nbytes
        if is_whole and size <= self.max_bytes:
            self.held = block
        yield from block


def in_blocks(frames: Iterable[np.ndarray], max_bytes: int = BLOCK_BYTES) -> Iterator[np.ndarray]:
    """The same frames, of which a block of about ``max_bytes`` is decoded at a time."""
    block: list[np.ndarray] = []
    size = 0
    for frame in frames:
        block.append(frame)
        size += frame.nbytes
        if size >= max_bytes:
            yield from block
            block, size = [], 0
    yield from block
