"""RGB frames -> an H.264 file."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from lipnet.grid import FRAME_RATE

QUALITY = 20  # x264's constant rate factor


def write_video(path: Path, frames: Iterable[np.ndarray], width: int, height: int) -> None:
    """Encode (height, width, 3) uint8 RGB frames at 25 fps as H.264 in MP4.

    On one machine, the same frames always give the same bytes. Width and height are even.
    """
    with av.open(str(path), "w", format="mp4") as container:
        # x264's lookahead, in its AVX-512 code, gives the same pictures other bytes from run to run.
        x264 = "subme=1:rc-lookahead=0"
        options = {"crf": str(QUALITY), "preset": "veryfast", "threads": "1", "x264-params": x264}
        stream = container.add_stream("libx264", rate=Fraction(FRAME_RATE), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in frames:
            # BT.601 in limited range, as players assume
            planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode())
