"""Live sources: cameras, streams, and files replayed in real time."""

from __future__ import annotations

import time
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
from video_files import numbered, numbers_of, write_video

from lipnet.video import camera
from lipnet.video.camera import camera_frames, put_newest, rgb_from_opencv
from lipnet.video.decode import VideoError


def test_a_file_is_replayed_in_real_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", [numbered(i) for i in range(20)], rate=20)
    started, seen = time.monotonic(), []
    times = [time.monotonic() - started for frame in camera_frames(str(path)) if seen.append(frame) is None]
    assert len(seen) == 25 and numbers_of(seen)[::24] == [0, 19]
    assert all(moment >= index / 25 for index, moment in enumerate(times))


def test_a_camera_gives_25_frames_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = []

    class Capture:
        """A camera with 50 pictures a second, all blue in OpenCV's BGR."""

        def __init__(self, source: int | str) -> None:
            assert source == 0
            self.left, self.released = 30, False
            captures.append(self)

        def isOpened(self) -> bool:  # noqa: N802
            return True

        def read(self) -> tuple[bool, np.ndarray | None]:
            time.sleep(0.02)
            self.left -= 1
            return self.left >= 0, np.full((4, 4, 3), (255, 0, 0), np.uint8)

        def release(self) -> None:
            self.released = True

    monkeypatch.setattr(camera.cv2, "VideoCapture", Capture)
    started = time.monotonic()
    frames = list(camera_frames("0"))
    assert 14 <= len(frames) <= 25 * (time.monotonic() - started) + 1  # 15 if no thread is delayed
    assert frames[0][0, 0].tolist() == [0, 0, 255]
    assert [capture.released for capture in captures] == [True]


def test_a_full_queue_drops_its_oldest_items() -> None:
    queue: Queue[int] = Queue(3)
    for item in range(10):
        put_newest(queue, item)
    assert [queue.get() for _ in range(3)] == [7, 8, 9]


def test_grey_images_become_rgb() -> None:
    assert rgb_from_opencv(np.full((4, 4), 7, np.uint8)).tolist() == np.full((4, 4, 3), 7).tolist()
    assert rgb_from_opencv(np.full((4, 4, 1), 7, np.uint8)).shape == (4, 4, 3)


def test_sources_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def __init__(self, source: int | str) -> None:
            pass

        def isOpened(self) -> bool:  # noqa: N802
            return False

    monkeypatch.setattr(camera.cv2, "VideoCapture", Closed)
    for source, message in (
        ("7", "camera 7: cannot be opened"),
        ("rtsp://nowhere/x", "rtsp://nowhere/x: cannot be opened"),
        (str(tmp_path / "gone.mp4"), "no such file"),
    ):
        with pytest.raises(VideoError, match=message):
            list(camera_frames(source))
