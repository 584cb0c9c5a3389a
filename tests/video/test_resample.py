"""Frame-rate conversion: times of pictures whose time stamps are missing, faulty or damaged."""

from __future__ import annotations

import numpy as np
import pytest

from lipnet.video.resample import Picture, PictureCount, add_times, resample

BLACK = np.zeros((2, 2, 3), np.uint8)


@pytest.mark.parametrize(
    ("stamps", "times", "elapsed"),
    [
        ([5.0, 5.1, 5.5], [5.0, 5.1, 5.5], [0.0, 0.1, 0.5]),
        ([None, None, None], [0.0, 0.04, 0.08], [0.0, 0.04, 0.08]),
        ([1.0, None, 1.08], [1.0, 1.04, 1.08], [0.0, 0.04, 0.08]),
        ([1.0, 0.5, 0.6], [1.0, 1.04, 1.14], [0.0, 0.04, 0.14]),  # backward
        ([1.0, 1.0, 1.04], [1.0, 1.04, 1.08], [0.0, 0.04, 0.08]),  # twice
        ([1.0, 11.0, 11.1], [1.0, 1.04, 1.14], [0.0, 0.04, 0.14]),  # too long
        ([1.0, "1.4 damaged", 1.5], [1.0, 1.4, 1.5], [0.0, 0.04, 0.14]),
        ([1.0, "1.02 damaged", 1.04], [1.0, 1.02, 1.04], [0.0, 0.02, 0.04]),
    ],
)
def test_time_always_increases(
    stamps: list[float | str | None], times: list[float], elapsed: list[float]
) -> None:
    pictures = [
        Picture(BLACK, float(stamp.split()[0]) if isinstance(stamp, str) else stamp, isinstance(stamp, str))
        for stamp in stamps
    ]
    result = list(add_times(pictures, 25.0))
    np.testing.assert_allclose([picture.time for picture in result], times)
    np.testing.assert_allclose([picture.elapsed for picture in result], elapsed, atol=1e-9)


@pytest.mark.parametrize(
    ("stamps", "rate", "fps", "frames"),
    [
        ([0.0, 0.04, 0.08], 25, 25, [0, 1, 2]),
        ([0.0, 0.02, 0.04, 0.06], 50, 25, [0, 2]),
        ([0.0, 0.1, 0.2], 10, 25, [0, 0, 1, 1, 2, 2, 2, 2]),  # ends at 0.3 s, in the middle of a frame
        (
            [3.0, 3.08],
            25,
            25,
            [0, 1, 1],
        ),  # times count from the first picture; in a tie the later one is taken
        ([None, None], 12.5, 25, [0, 1, 1, 1]),
        ([], 25, 25, []),
    ],
)
def test_each_frame_is_the_picture_nearest_in_time(
    stamps: list[float | None], rate: float, fps: float, frames: list[int]
) -> None:
    pictures = [Picture(np.full((2, 2, 3), i, np.uint8), stamp, False) for i, stamp in enumerate(stamps)]
    assert [int(frame[0, 0, 0]) for frame in resample(pictures, rate, fps)] == frames


def test_long_pauses_are_cut_after_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """360 pictures that claim an hour give no hour of frames; shorter pauses are all kept."""
    pictures = [Picture(BLACK, 9.9 * index, False) for index in range(360)]
    frames = sum(1 for _ in resample(pictures, 0.1, 25.0, "a.mp4"))
    assert frames == round(25 * (6 * 9.9 + 353 * 0.2 + 10))  # six whole pauses; the last picture's step is 10
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "a.mp4: shows still pictures for more than 60 s"
    ]
    caplog.clear()
    short = [Picture(BLACK, 0.9 * index, False) for index in range(360)]
    assert sum(1 for _ in resample(short, 1.0, 25.0)) == round(25 * (359 * 0.9 + 1.0))
    assert not caplog.records


@pytest.mark.parametrize(
    ("times", "rate", "problem"),
    [
        ([0.1 * index for index in range(30)], 10, None),  # a slow webcam
        ([0.2 * index for index in range(15)], 5, None),
        ([0.04 * index for index in range(30)] + [5.0], 25, "has 31 pictures for 126 frames: more than half"),
        ([0.04 * index for index in range(80)] + [5.0], 25, None),  # a pause
        ([9.9 * index for index in range(4)], 0.1, "has 4 pictures for 993 frames: more than half"),
        ([0.0], 0.1, "has 1 picture, which is no speech"),
        ([0.0], 25, "has 1 picture, which is no speech"),
    ],
)
def test_few_pictures_for_many_frames_are_no_video(
    times: list[float], rate: float, problem: str | None
) -> None:
    count = PictureCount()
    pictures = (Picture(BLACK.copy(), time, False) for time in times)
    frames = [count.add(frame) for frame in resample(pictures, rate, 25.0)]
    assert (count.pictures, count.frames) == (len(times), len(frames))
    assert (count.problem() or "").startswith(problem or "")
    assert (count.problem() is None) == (problem is None)
