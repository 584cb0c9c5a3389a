"""Decoding: videos of every format give the frames that were written, at 25 a second."""

from __future__ import annotations

import io
import tempfile
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_files import numbered, numbers_of, write_sound, write_video

from lipnet.video.decode import (
    VideoError,
    declared_seconds,
    iter_frames,
    open_video,
    read_video,
    source_name,
)

CLIP = [numbered(index) for index in range(75)]


def nearest(times: list[float], end: float, fps: float = 25.0) -> list[int]:
    """The index of the time stamp nearest to each tick of ``fps``, until ``end`` seconds."""
    return [int(np.argmin(np.abs(np.array(times) - tick / fps))) for tick in range(round(end * fps))]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mov", "libx264", "yuv444p"),
        ("a.mpg", "mpeg1video", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.mkv", "ffv1", "yuv422p10le"),
        ("a.mkv", "ffv1", "gray"),
        ("a b: é.mp4", "libx264", "yuv420p"),
        ("a.h264", "libx264", "yuv420p"),  # no container, no usable time stamps
        ("a.m1v", "mpeg1video", "yuv420p"),
    ],
)
def test_25_fps_gives_every_picture_once(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    frames = read_video(write_video(tmp_path / name, CLIP, codec=codec, pix_fmt=pix_fmt))
    assert frames.shape == (75, 64, 128, 3)
    assert frames.dtype == np.uint8
    assert numbers_of(frames) == list(range(75))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])  # mkv rounds time stamps to 1 ms
@pytest.mark.parametrize(
    "rate", [Fraction(30), Fraction(50), Fraction(24), Fraction(30000, 1001), Fraction(10)]
)
def test_other_rates_are_resampled_by_time(tmp_path: Path, name: str, rate: Fraction) -> None:
    count = round(3 * rate)
    pictures = [numbered(index) for index in range(count)]
    numbers = numbers_of(read_video(write_video(tmp_path / name, pictures, rate=rate)))
    expected = nearest([index / float(rate) for index in range(count)], 3.0)
    assert len(numbers) == 75
    assert max(abs(a - b) for a, b in zip(numbers, expected, strict=True)) <= 1  # ties may go either way
    assert numbers == sorted(numbers)


def test_variable_rate_gives_the_nearest_picture(tmp_path: Path) -> None:
    times = np.cumsum([1000, 40, 40, 21, 33, 95, 40, 310, 17, 17, 40, 47, 80, 40]).tolist()
    pictures = [numbered(index) for index in range(len(times))]
    numbers = numbers_of(read_video(write_video(tmp_path / "a.mkv", pictures, times_ms=times)))
    seconds = [(time - times[0]) / 1000 for time in times]
    assert numbers == nearest(seconds, seconds[-1] + 0.04)


def test_another_frame_rate(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", CLIP)
    assert numbers_of(read_video(path, fps=12.5)) == list(range(0, 75, 2))


def test_a_faulty_time_stamp_does_not_repeat_a_picture_for_hours(tmp_path: Path) -> None:
    times = [0, 40, 80, 36_000_000, 36_000_040]
    pictures = [numbered(index) for index in range(5)]
    frames = read_video(write_video(tmp_path / "a.mkv", pictures, times_ms=times))
    assert numbers_of(frames) == [0, 1, 2, 3, 4]


EVEN, ODD = (64, 96), (63, 95)  # height, width


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "colours", "size"),
    [
        ("libx264", "yuv420p", (2, 0), EVEN),
        ("libx264", "yuv420p", (5, 1), EVEN),
        ("libx264", "yuv420p", (1, 1), EVEN),  # BT.709
        ("libx264", "yuv420p", (5, 2), EVEN),  # full range
        ("mjpeg", "yuvj420p", (2, 0), EVEN),
        ("mjpeg", "yuvj420p", (2, 0), ODD),
        ("mjpeg", "yuvj422p", (2, 0), ODD),
        ("ffv1", "yuv420p", (2, 0), ODD),
        ("ffv1", "yuv420p10le", (2, 0), EVEN),
        ("ffv1", "yuv444p", (2, 0), ODD),
        ("ffv1", "bgr0", (2, 0), ODD),
    ],
)
def test_colours_are_preserved(
    tmp_path: Path, codec: str, pix_fmt: str, colours: tuple[int, int], size: tuple[int, int]
) -> None:
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    patches = [(200, 40, 40), (40, 180, 60), (30, 60, 190), (128, 128, 128), (230, 190, 160), (10, 10, 10)]
    for index, colour in enumerate(patches):
        picture[:, index * 16 : (index + 1) * 16] = colour
    path = write_video(tmp_path / "a.mkv", [picture] * 3, codec=codec, pix_fmt=pix_fmt, colours=colours)
    frame = read_video(path)[1]
    assert frame.shape == picture.shape
    for index, colour in enumerate(patches):
        seen = frame[8:-8, index * 16 + 6 : index * 16 + 10].reshape(-1, 3).mean(axis=0)
        assert np.abs(seen - colour).max() < 6, (colour, seen)


def test_grey_video_gives_grey_rgb(tmp_path: Path) -> None:
    frames = read_video(write_video(tmp_path / "a.mkv", CLIP[:3], codec="ffv1", pix_fmt="gray"))
    assert np.ptp(frames.astype(int), axis=-1).max() <= 1


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_in_the_metadata_is_applied(tmp_path: Path, rotation: int) -> None:
    upright = np.full((64, 128, 3), 40, np.uint8)
    upright[:24, :48] = (220, 60, 60)  # red in the upper left corner
    stored = np.rot90(upright, -rotation // 90)  # turned the other way; FFmpeg counts counter-clockwise
    frame = read_video(write_video(tmp_path / "a.mp4", [stored] * 3, rotation=rotation))[0]
    assert frame.shape == upright.shape
    assert np.abs(frame.astype(int) - upright).mean() < 8


def test_pictures_are_scaled_to_the_size_of_the_first(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.mpg", CLIP[:10], codec="mpeg1video")
    large = [numbered(index, 256, 128) for index in range(10, 20)]
    both = tmp_path / "both.mpg"
    both.write_bytes(
        small.read_bytes() + write_video(tmp_path / "l.mpg", large, codec="mpeg1video").read_bytes()
    )
    frames = read_video(both)
    assert frames.shape[1:] == (64, 128, 3)
    assert numbers_of(frames) == [*range(9), *range(10, 20)]  # the decoder still held 9 when the size changed


def test_a_still_picture_is_a_video_of_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), CLIP[5])
    assert numbers_of(read_video(tmp_path / "a.png")) == [5]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mpg", "mpeg1video"), ("a.avi", "mpeg4"), ("a.h264", "libx264")],
)
def test_open_files_give_the_same_frames_as_paths(tmp_path: Path, name: str, codec: str) -> None:
    """A file and bytes in memory, read from the start wherever their position, and left open."""
    path = write_video(tmp_path / name, CLIP, codec=codec)
    expected = read_video(path)
    with path.open("rb") as file:
        for source in (file, io.BytesIO(path.read_bytes())):
            source.seek(100)
            np.testing.assert_array_equal(read_video(source), expected)
            assert not source.closed


class Pipe(io.RawIOBase):
    """A binary file that cannot seek and counts what has been read."""

    def __init__(self, content: bytes) -> None:
        self.content, self.position = content, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self.content[self.position : self.position + len(buffer)]
        buffer[: len(part)] = part
        self.position += len(part)
        return len(part)


def test_files_that_cannot_seek_are_read_while_frames_are_yielded(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 256, 256, 3), dtype=np.uint8)
    path = write_video(tmp_path / "a.mkv", list(noise))
    pipe = Pipe(path.read_bytes())
    frames = iter_frames(io.BufferedReader(pipe))
    first = next(frames)
    assert pipe.position < len(pipe.content) / 2
    np.testing.assert_array_equal(np.stack([first, *frames]), read_video(path))


def test_errors_of_open_files_name_them(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"bin blue at f two now" * 100)
    with (tmp_path / "a.mp4").open("rb") as file, pytest.raises(VideoError) as raised:
        read_video(file)
    assert str(raised.value).startswith(f"{tmp_path / 'a.mp4'}: cannot be read as a video (")
    for content in (b"", b"bin blue at f two now" * 100, write_sound(tmp_path / "a.m4a").read_bytes()):
        with pytest.raises(VideoError, match=r"^video: ") as raised:
            read_video(io.BytesIO(content))
        assert "\n" not in str(raised.value)
    with (tmp_path / "a.mp4").open() as text, pytest.raises(VideoError, match="open it in binary mode"):
        open_video(text)  # type: ignore[arg-type]


def test_sources_are_named_by_their_path_or_else_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert source_name("videos/a.mp4") == str(Path("videos/a.mp4"))
    with (tmp_path / "a.mp4").open("rb") as file, tempfile.TemporaryFile() as unnamed:
        assert [source_name(source) for source in (file, unnamed, io.BytesIO())] == [
            str(tmp_path / "a.mp4"),
            "video",
            "video",
        ]


@pytest.mark.parametrize(
    ("clip", "count"),
    [
        ("s1/bbaf2n", 75),
        ("s1/lrae3s", 74),
        ("s1/sbbbzp", 74),
        ("s1/srwi5a", 74),
        ("s1/sgib8n", 75),
        ("s4/bbaf2a", 71),
    ],
)
def test_original_clips_give_all_their_frames(grid_root: Path, clip: str, count: int) -> None:
    assert len(read_video(grid_root / f"original/{clip}.mpg")) == count


def test_a_reencoded_clip_matches_the_original(grid_root: Path) -> None:
    original = read_video(grid_root / "original/s1/lrae3s.mpg").astype(int)
    copy = read_video(grid_root / "s1/lrae3s.mp4").astype(int)
    assert original.shape == copy.shape
    assert np.abs(original - copy).mean(axis=(1, 2, 3)).max() < 6


def test_declared_seconds(synthetic_clip: Path) -> None:
    assert declared_seconds(synthetic_clip) == pytest.approx(3.0, abs=0.1)
    with pytest.raises(VideoError, match="no such file"):
        declared_seconds(synthetic_clip.with_name("other.mp4"))
