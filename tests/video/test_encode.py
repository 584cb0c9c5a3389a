"""Encoding: what is decoded is what was encoded, and the same frames give the same bytes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from video_files import numbered, numbers_of

from lipnet.video.decode import read_video
from lipnet.video.encode import to_video_frame, write_video


def test_a_written_video_gives_its_frames_back(tmp_path: Path) -> None:
    frames = [numbered(index) for index in range(30)]
    write_video(tmp_path / "a.mp4", frames, 128, 64)
    decoded = read_video(tmp_path / "a.mp4")
    assert numbers_of(decoded) == list(range(30))
    assert np.abs(decoded.astype(int) - np.stack(frames)).mean() < 2  # grey levels
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 25)


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    """On one machine; x264 has different code for different processors."""
    frames = np.random.default_rng(0).integers(0, 256, (12, 96, 160, 3), dtype=np.uint8)
    for index in range(5):
        write_video(tmp_path / f"{index}.mp4", frames, 160, 96)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_colours_survive_the_conversion_to_yuv() -> None:
    colours = [(0, 0, 0), (255, 255, 255), (200, 40, 40), (40, 180, 60), (30, 60, 190), (230, 190, 160)]
    rgb = np.repeat(np.array(colours, np.uint8)[None, :, None], 8, axis=2).reshape(1, -1, 3)
    rgb = np.repeat(rgb, 16, axis=0)  # (16, 48, 3): bars of 8 px
    frame = to_video_frame(rgb)
    assert (frame.format.name, frame.width, frame.height) == ("yuv420p", 48, 16)
    assert np.abs(frame.to_ndarray(format="rgb24")[:, 4::8].astype(int) - rgb[:, 4::8]).max() <= 4
