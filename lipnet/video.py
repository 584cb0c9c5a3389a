"""A video file of any kind -> uint8 RGB frames at a fixed frame rate.

Decoding is PyAV's (FFmpeg). The common pixel format goes to RGB through OpenCV, at half the cost of
decode and conversion together by FFmpeg alone; every other format takes FFmpeg's conversion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipnet.errors import LipnetError

# A picture that seems to stay for longer has a broken time stamp, or the file a broken rate.
LONGEST_HOLD_S = 10.0
# What OpenCV's conversion assumes, and FFmpeg's too where nothing is specified.
BT601 = {2, 5, 6}  # AVCOL_SPC_UNSPECIFIED, _BT470BG, _SMPTE170M
LIMITED_RANGE = {0, 1}  # AVCOL_RANGE_UNSPECIFIED, _MPEG
NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS: a bare stream of pictures
TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}

av.logging.set_level(av.logging.PANIC)  # what matters of FFmpeg's chatter comes back as a VideoError


class VideoError(LipnetError):
    """A file from which no frame can be read."""


def read_video(path: str | PathLike[str], fps: float = 25.0) -> np.ndarray:
    """Read a whole video as (T, H, W, 3) uint8 RGB, at ``fps`` frames a second.

    Raises:
        VideoError: nothing can be read; the message names the file, the cause and the cure.
    """
    return np.stack(list(iter_frames(path, fps)))


def iter_frames(path: str | PathLike[str], fps: float = 25.0) -> Iterator[np.ndarray]:
    """Yield a video's frames, (H, W, 3) uint8 RGB, upright, at ``fps`` frames a second.

    Damage costs the frames it hits and no others. All frames have the size of the first. A picture that
    is shown for longer is yielded again as the same array: copy it before writing into it.

    Raises:
        VideoError: as for `read_video`; raised before the first frame, never after one.
    """
    path = Path(path)
    if not path.exists():
        raise VideoError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise VideoError(f"{path}: is a folder; name a video file in it")
    try:
        # "file:" keeps a colon in the name from being read as a protocol.
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            stream = _video_stream(container, path)
            rate = float(stream.average_rate or stream.guessed_rate or fps)
            yield from at_rate(_one_size(_decode(container, stream, path)), rate, fps)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: cannot be read as a video ({_cause(error)}); is it one?") from error


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream that is a video and not a cover picture, set to decode on one core."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            # A corpus is read by one process a core, where more threads would only add switching.
            stream.thread_count = 1
            return stream
    raise VideoError(f"{path}: has no pictures, only sound or data; give a file with a video stream")


# A picture, its time stamp in seconds (None: it has none) and whether it was decoded from damaged data.
Picture = tuple[np.ndarray, float | None, bool]


def _decode(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[Picture]:
    """Every picture that can be decoded: a bad packet is left out, a broken file ends where it breaks."""
    cause = "it ends before its first frame"
    empty = True
    stamped = not container.format.flags & NO_TIMESTAMPS  # FFmpeg would guess, not always well
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:  # the container itself is broken from here on
            packet, cause = None, _cause(error)
        if packet is None:
            break
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            frames, cause = [], _cause(error)
        for frame in frames:
            empty = False
            yield _to_rgb(frame), frame.time if stamped else None, frame.is_corrupt
    if empty:
        raise VideoError(f"{path}: no frame can be decoded ({cause}); get or convert the file again")


def _to_rgb(frame: VideoFrame) -> np.ndarray:
    """One decoded frame as upright (H, W, 3) uint8 RGB."""
    if (
        frame.format.name == "yuv420p"
        and frame.colorspace in BT601
        and frame.color_range in LIMITED_RANGE
        and frame.width % 2 == frame.height % 2 == 0
    ):
        rgb = cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420)
    else:
        rgb = frame.reformat(format="rgb24", threads=1).to_ndarray()
    turn = TURNS.get(round(frame.rotation / 90) * 90 % 360)
    return rgb if turn is None else cv2.rotate(rgb, turn)


def _one_size(pictures: Iterable[Picture]) -> Iterator[Picture]:
    """Scale pictures whose size differs from the first one's (some streams change size midway)."""
    shape: tuple[int, ...] = ()
    for rgb, time, damaged in pictures:
        shape = shape or rgb.shape
        if rgb.shape != shape:
            rgb = cv2.resize(rgb, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
        yield rgb, time, damaged


def at_rate(pictures: Iterable[Picture], rate: float, fps: float) -> Iterator[np.ndarray]:
    """Of the pictures, announced at ``rate`` a second, yield the one nearest to each tick of ``fps``.

    A stream that runs at ``fps`` passes picture for picture, even where its stamps are rounded. Where
    damage has swallowed pictures, the time that it swallowed is cut out and not filled with copies.
    """
    step = min(1 / rate, LONGEST_HOLD_S)
    shown: np.ndarray | None = None
    now = last_stamp = 0.0  # seconds since the first picture; the stamp at which `shown` came
    ticks = 0
    for rgb, stamp, damaged in pictures:
        stamp = last_stamp + step if stamp is None else stamp
        if shown is not None:
            passed = stamp - last_stamp
            if damaged:
                passed = min(passed, step)
            if not 0 < passed < LONGEST_HOLD_S:
                passed = step
            while ticks / fps < now + passed / 2 - 1e-6:  # nearer to `shown` than to this picture
                yield shown
                ticks += 1
            now += passed
        shown, last_stamp = rgb, stamp
    while shown is not None and (ticks + 0.5) / fps <= now + step + 1e-6:
        yield shown
        ticks += 1


def _cause(error: Exception) -> str:
    """FFmpeg's or the system's own words for what went wrong."""
    return (getattr(error, "strerror", None) or str(error)).lower()
