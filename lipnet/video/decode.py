"""A video file of any kind -> uint8 RGB frames at a fixed frame rate.

Decoding is PyAV's (FFmpeg). The common pixel format goes to RGB through OpenCV, at half the cost of
decode and conversion together by FFmpeg alone; every other format takes FFmpeg's conversion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipnet.errors import LipnetError

# A picture that seems to stay for longer has a broken time stamp, or the file a broken rate.
MAX_HOLD_S = 10.0
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
    with open_video(path) as container:
        stream = video_stream(container, path)
        rate = float(declared_rate(stream) or fps)
        yield from resample(decode_pictures(container, stream, path), rate, fps)


def open_video(path: Path) -> InputContainer:
    """Open a media file of any kind, to be closed by the caller; raises VideoError where that fails."""
    with _video_errors(path):
        if not path.exists():
            raise VideoError(f"{path}: no such file; check the path")
        if path.is_dir():
            raise VideoError(f"{path}: is a folder; name a video file in it")
        # "file:" keeps a colon in the name from being read as a protocol.
        return av.open(f"file:{path}", metadata_errors="replace")


@contextmanager
def _video_errors(path: Path) -> Iterator[None]:
    """What FFmpeg and the system have to say about ``path``, as a VideoError."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: cannot be read as a video ({cause_of(error)}); is it one?") from error


def cause_of(error: Exception) -> str:
    """FFmpeg's or the system's own words for what went wrong."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream that is a video and not a cover picture, set to decode on one core.

    Raises VideoError, which names the ``path``, where there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            # A corpus is read by one process a core, where more threads would only add switching.
            stream.thread_count = 1
            return stream
    raise VideoError(f"{path}: has no pictures, only sound or data; give a file with a video stream")


def declared_rate(stream: VideoStream) -> Fraction | None:
    """Pictures a second, as the file has it; None where it does not tell."""
    return stream.average_rate or stream.guessed_rate


# (H, W, 3) uint8 RGB, its time stamp in seconds (None: it has none), whether its data were damaged.
Picture = tuple[np.ndarray, float | None, bool]


def decode_pictures(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[Picture]:
    """Every picture of an open file that can be decoded, upright and all of the first one's size.

    Raises VideoError, which names the ``path``, where there is none.
    """
    with _video_errors(path):
        yield from _one_size(_decode(container, stream, path))


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
            packet, cause = None, cause_of(error)
        if packet is None:
            break
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            frames, cause = [], cause_of(error)
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


class Clock:
    """A stream's clock, told by its time stamps: ``now``, in seconds, always grows."""

    def __init__(self) -> None:
        self.now = 0.0
        self._stamp: float | None = None

    def advance(self, stamp: float | None, step: float) -> float:
        """Go to the next time stamp; return the seconds that have passed, 0 at the first.

        One that is missing, not after the last one or MAX_HOLD_S after it counts as a ``step``.
        """
        if self._stamp is None:
            self._stamp = self.now = stamp or 0.0
            return 0.0
        stamp = self._stamp + step if stamp is None else stamp
        passed, self._stamp = stamp - self._stamp, stamp
        if not 0 < passed < MAX_HOLD_S:
            passed = step
        self.now += passed
        return passed


class TimedPicture(NamedTuple):
    rgb: np.ndarray  # (H, W, 3) uint8
    time: float  # s on the file's clock, which the sound goes by
    moment: float  # s since the first picture, less what damage has swallowed


def timed(pictures: Iterable[Picture], rate: float) -> Iterator[TimedPicture]:
    """Give pictures, announced at ``rate`` a second, the times at which they are shown.

    Where damage has swallowed pictures, ``moment`` moves on by no more than one.
    """
    clock, step, moment = Clock(), picture_step(rate), 0.0
    for rgb, stamp, damaged in pictures:
        passed = clock.advance(stamp, step)
        moment += min(passed, step) if damaged else passed
        yield TimedPicture(rgb, clock.now, moment)


def picture_step(rate: float) -> float:
    """How long a picture of ``rate`` a second is shown, in seconds."""
    return min(1 / rate, MAX_HOLD_S)


def resample(pictures: Iterable[Picture], rate: float, fps: float) -> Iterator[np.ndarray]:
    """Of the pictures, announced at ``rate`` a second, yield the one nearest to each tick of ``fps``.

    A stream that runs at ``fps`` passes picture for picture, even where its stamps are rounded. Where
    damage has swallowed pictures, the time that it swallowed is cut out and not filled with copies.
    """
    shown: TimedPicture | None = None
    ticks = 0
    for picture in timed(pictures, rate):
        # As long as the tick is nearer to what is shown than to this picture.
        while shown is not None and ticks / fps < (shown.moment + picture.moment) / 2 - 1e-6:
            yield shown.rgb
            ticks += 1
        shown = picture
    while shown is not None and (ticks + 0.5) / fps <= shown.moment + picture_step(rate) + 1e-6:
        yield shown.rgb
        ticks += 1
