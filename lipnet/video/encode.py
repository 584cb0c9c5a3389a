"""RGB frames -> an H.264 file."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from lipnet.grid import FRAME_RATE

QUALITY = 20  # x264's constant rate factor


def write_video(path: Path, frames: Iterable[np.ndarray], width: int, height: int) -> None:
    """Encode frames at 25 a second as H.264 in MP4. On one machine, the same frames give the same bytes.

    Args:
        path: file to write, whatever its suffix.
        frames: (height, width, 3) uint8 RGB.
        width, height: px, both even.
    """
    with av.open(str(path), "w", format="mp4") as container:
        # With its lookahead, x264's AVX-512 code encodes the same pictures differently from run to run.
        x264 = "subme=1:rc-lookahead=0"
        options = {"crf": str(QUALITY), "preset": "veryfast", "threads": "1", "x264-params": x264}
        stream = container.add_stream("libx264", rate=Fraction(FRAME_RATE), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for rgb in frames:
            container.mux(stream.encode(to_video_frame(rgb)))
        container.mux(stream.encode())


def to_video_frame(rgb: np.ndarray) -> VideoFrame:
    """Convert (H, W, 3) uint8 RGB, H and W even, to an encoder's input: YUV 4:2:0, BT.601, limited range."""
    planes = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)
    return VideoFrame.from_ndarray(planes, format="yuv420p")
