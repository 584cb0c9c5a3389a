"""Damaged videos, and files that are none: what can be decoded is, errors are one line with the name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from video_files import damage, numbered, numbers_of, write_sound, write_video

from lipnet.video import decode
from lipnet.video.decode import (
    VideoError,
    decode_pictures,
    iter_frames,
    open_video,
    read_video,
    video_stream,
)

CLIP = [numbered(index) for index in range(75)]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mpg", "mpeg1video"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")]
)
def test_a_truncated_file_gives_the_frames_it_holds(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, CLIP, codec=codec)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    numbers = numbers_of(read_video(path))
    assert 15 <= len(numbers) <= 60
    assert numbers[:15] == list(range(15))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mpg", "mpeg1video"), ("a.mp4", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4")],
)
def test_damaged_bytes_lose_few_frames(
    tmp_path: Path, name: str, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (75, 64, 128, 3), dtype=np.uint8)
    path = write_video(tmp_path / name, [a // 2 + b for a, b in zip(CLIP, noise, strict=True)], codec=codec)
    whole = path.read_bytes()
    for seed in range(8):
        path.write_bytes(whole)
        damage(path, 12, 0.25, 0.75, seed)
        assert 30 <= len(read_video(path)) <= 80
    assert capfd.readouterr().err == ""  # FFmpeg prints nothing


def bad_files(folder: Path) -> dict[str, Path]:
    """One file of each kind that holds no frames."""
    (folder / "text.mp4").write_text("bin blue at f two now\n" * 100)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "noise.avi").write_bytes(np.random.default_rng(0).bytes(20_000))
    cut = write_video(folder / "cut.mp4", CLIP)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])  # without the index at its end
    return {
        "missing": folder / "missing.mp4",
        "folder": folder,
        "text": folder / "text.mp4",
        "empty": folder / "empty.mp4",
        "noise": folder / "noise.avi",
        "cut": cut,
        "sound": write_sound(folder / "sound.m4a"),
    }


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "empty", "noise", "cut", "sound"])
def test_without_frames_the_error_is_one_line_that_names_the_file(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = bad_files(tmp_path)[kind]
    capfd.readouterr()
    with pytest.raises(VideoError) as raised:
        read_video(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert capfd.readouterr().err == ""


def test_errors_come_before_the_first_frame(tmp_path: Path) -> None:
    with pytest.raises(VideoError):
        next(iter_frames(tmp_path / "missing.mp4"))


def test_pictures_that_are_too_large_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", CLIP[:3])
    assert len(list(iter_frames(path, max_pixels=128 * 64))) == 3
    with pytest.raises(VideoError, match=r"a.mp4: pictures of 128x64 px have more than 8191 px; make"):
        next(iter_frames(path, max_pixels=128 * 64 - 1))


def test_pictures_larger_than_the_file_says_are_refused(tmp_path: Path) -> None:
    """The stream's own header has the size that counts, whatever the container says."""
    small = write_video(tmp_path / "small.m1v", CLIP[:3], codec="mpeg1video")
    large = write_video(
        tmp_path / "large.m1v", [numbered(1, 512, 256), numbered(2, 512, 256)], codec="mpeg1video"
    )
    both = tmp_path / "both.m1v"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    shapes = [frame.shape for frame in iter_frames(both, max_pixels=128 * 64)]
    assert set(shapes) == {(64, 128, 3)}
    assert len(shapes) < len(list(iter_frames(both)))


@pytest.mark.parametrize(
    "error",
    [IndexError("list index out of range"), MemoryError(), RecursionError("too deep"), cv2.error("bad")],
)
def test_any_exception_of_the_demuxer_is_damage(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mpg", CLIP, codec="mpeg1video")

    class Broken:
        """A container whose demuxer fails after so many packets."""

        def __init__(self, container: Any, packets: int) -> None:
            self.container, self.format, self.packets = container, container.format, packets

        def demux(self, stream: Any) -> Iterator[Any]:
            yield from itertools.islice(self.container.demux(stream), self.packets)
            raise error

    def pictures(packets: int) -> list[Any]:
        with open_video(path) as container:
            stream = video_stream(container, "a.mpg")
            return list(decode_pictures(Broken(container, packets), stream, "a.mpg"))  # type: ignore[arg-type]

    assert 0 < len(pictures(40)) <= 40
    with pytest.raises(VideoError, match=rf"a.mpg: no frame can be decoded \({type(error).__name__}"):
        pictures(0)


def test_a_picture_that_cannot_be_converted_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", CLIP[:9])
    convert, calls = decode._to_rgb, itertools.count()

    def fail_once(frame: Any) -> np.ndarray:
        if next(calls) == 4:
            raise cv2.error("bad")
        return convert(frame)

    monkeypatch.setattr(decode, "_to_rgb", fail_once)
    assert set(numbers_of(read_video(path))) == set(range(9)) - {4}
