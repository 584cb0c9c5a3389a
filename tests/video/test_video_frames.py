"""Frames of a video that are iterated twice, with a bounded number of them in memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lipnet.config import CropConfig
from lipnet.cropping.factory import make_cropper
from lipnet.video import video_frames
from lipnet.video.decode import iter_frames
from lipnet.video.video_frames import VideoFrames, in_blocks

COUNT, HEIGHT, WIDTH = 20, 36, 48
FRAME_BYTES = HEIGHT * WIDTH * 3


class Decoder:
    """Yields COUNT random frames, the same in each call. Counts the calls and the frames in memory."""

    def __init__(self) -> None:
        self.calls = 0
        self.in_memory = 0
        self.peak = 0

    def __call__(self) -> Iterator[np.ndarray]:
        self.calls += 1
        random = np.random.default_rng(0)
        for _ in range(COUNT):
            yield self.frame(random)

    def frame(self, random: np.random.Generator) -> np.ndarray:
        frame = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        weakref.finalize(frame, self.release)
        self.in_memory += 1
        self.peak = max(self.peak, self.in_memory)
        return frame

    def release(self) -> None:
        self.in_memory -= 1


@pytest.fixture
def decoder() -> Decoder:
    return Decoder()


@pytest.mark.parametrize(
    ("held", "calls", "peak"),
    [(COUNT, 1, COUNT), (COUNT - 1, 3, COUNT), (5, 3, 7), (0, 3, 3)],  # a block and the frames next to it
)
def test_frames_are_held_or_decoded_again(decoder: Decoder, held: int, calls: int, peak: int) -> None:
    frames = VideoFrames(decoder, max_bytes=held * FRAME_BYTES)
    first = [frame.sum() for frame in frames]
    assert len(first) == COUNT
    for _ in range(2):
        assert [frame.sum() for frame in frames] == first
    assert decoder.calls == calls and decoder.peak <= peak


def test_of_a_long_video_only_the_first_block_is_large(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_frames, "BLOCK_BYTES", 2 * FRAME_BYTES)
    frames = VideoFrames(decoder, max_bytes=9 * FRAME_BYTES)
    first = [frame.sum() for frame in frames]
    assert decoder.peak <= 11
    decoder.peak = decoder.in_memory
    assert [frame.sum() for frame in frames] == first and decoder.peak <= 4


@pytest.mark.parametrize(("held", "calls"), [(COUNT, 1), (5, 3)])
def test_an_iteration_that_is_broken_off(decoder: Decoder, held: int, calls: int) -> None:
    frames = VideoFrames(decoder, max_bytes=held * FRAME_BYTES)
    for frame in frames:
        assert frame.shape == (HEIGHT, WIDTH, 3)
        break
    assert len(list(frames)) == len(list(frames)) == COUNT
    assert decoder.calls == calls


@pytest.mark.parametrize("box", [[10, 26, 8, 32], [2, 34, 0, 48]], ids=["same size", "scaled"])
def test_crops_of_a_long_video(decoder: Decoder, box: list[int]) -> None:
    """Decoded twice, it gives the crops of a video that is held; few of its frames are in memory."""
    cropper = make_cropper(CropConfig(method="fixed", box=box, width=24, height=16))
    expected = cropper(list(decoder())).frames
    decoder.peak = decoder.in_memory = 0
    frames = VideoFrames(decoder, max_bytes=5 * FRAME_BYTES)
    track = cropper.track(frames)
    assert np.array_equal(cropper.crop(frames, track.to_crop), expected)
    assert decoder.calls == 3 and decoder.peak <= 8


def test_crops_of_real_clips(grid_root: Path) -> None:
    """Those of a face are equal as well, whether frames are held or decoded twice."""
    cropper = make_cropper(CropConfig())
    for video in (min(grid_root.glob("s5/*")), min(grid_root.glob("original/s4/*"))):
        expected = cropper(list(iter_frames(video)))
        frames = VideoFrames(lambda video=video: iter_frames(video), max_bytes=0)
        track = cropper.track(frames)
        assert np.array_equal(track.to_crop, expected.track.to_crop)
        assert np.array_equal(cropper.crop(frames, track.to_crop), expected.frames)


def test_blocks_give_the_same_frames_in_their_order() -> None:
    frames = [np.full((4, 4, 3), number, np.uint8) for number in range(10)]
    decoded: list[int] = []

    def decode() -> Iterator[np.ndarray]:
        for number, frame in enumerate(frames):
            decoded.append(number)
            yield frame

    blocks = in_blocks(decode(), max_bytes=3 * frames[0].nbytes)
    assert next(blocks) is frames[0] and decoded == [0, 1, 2]
    assert all(one is other for one, other in zip(blocks, frames[1:], strict=True))
    assert list(in_blocks(iter(()))) == []
