"""A video file of any format -> uint8 RGB frames at a constant rate.

PyAV (FFmpeg) decodes. OpenCV converts pictures in the usual pixel format to RGB, which halves the cost of
decoding and conversion together; FFmpeg converts all others.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipnet.errors import LipnetError
from lipnet.video.resample import Picture, resample

# FFmpeg's numbers for what OpenCV's conversion assumes, and FFmpeg's where nothing is specified.
BT601 = {2, 5, 6}  # AVCOL_SPC_UNSPECIFIED, _BT470BG, _SMPTE170M
LIMITED_RANGE = {0, 1}  # AVCOL_RANGE_UNSPECIFIED, _MPEG
MAX_PIXELS = 4096 * 4096  # of a picture
NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS: an elementary stream, without a container
ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}

# For a file that cannot seek, and may be recorded while it is read: FFmpeg would wait for its first seconds
# to find the rate.
LIVE = {"fpsprobesize": "0"}
URL_TIMEOUT_S = 20.0  # to open a URL, and for each read from it


class Url(str):
    """The address of a video on a network, which FFmpeg opens."""


# A path, a `Url`, or a file opened in binary mode, which is read from its start if it can seek.
VideoSource = str | PathLike[str] | BinaryIO


class VideoError(LipnetError):
    """A video from which no frame can be read."""


class LargePicturesError(VideoError):
    """A video whose pictures have more pixels than are allowed."""


def read_video(source: VideoSource, fps: float = 25.0) -> np.ndarray:
    """Read a whole video as (T, H, W, 3) uint8 RGB, at ``fps`` frames a second.

    Raises:
        VideoError: nothing can be read; the message names the file, the cause and the remedy.
    """
    return np.stack(list(iter_frames(source, fps)))


def iter_frames(source: VideoSource, fps: float = 25.0, max_pixels: int = MAX_PIXELS) -> Iterator[np.ndarray]:
    """Yield a video's frames one at a time: (H, W, 3) uint8 RGB, upright, at ``fps`` frames a second.

    Damaged parts of the file are left out. All frames have the size of the first. A picture that is shown
    for several frames is yielded as the same array: copy it before writing into it. Long pauses between
    pictures are cut where they add up to more than a minute (`resample.MAX_PAUSES_S`).

    Args:
        source: path, `Url`, or open binary file; the file stays open.
        fps: frames a second, whatever the video's own rate.
        max_pixels: width times height of the largest pictures that are decoded.

    Raises:
        VideoError: as for `read_video`, or the pictures are larger than ``max_pixels``; raised before the
            first frame, never after one.
    """
    name = source_name(source)
    with open_video(source) as container:
        stream = video_stream(container, name)
        limit_size(stream, max_pixels, name)
        rate = float(declared_rate(stream) or fps)
        yield from resample(decode_pictures(container, stream, name), rate, fps, name)


def source_name(source: VideoSource) -> str:
    """The name of a video in messages: its path or address, an open file's ``name``, or "video"."""
    if isinstance(source, Url):
        return str(source)
    if isinstance(source, str | PathLike):
        return str(Path(source))
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "video"  # a temporary file's is a number


def open_video(source: VideoSource) -> InputContainer:
    """Open a media file of any format, to be closed by the caller.

    Raises:
        VideoError: there is no such file, or it is not a media file.
    """
    name = source_name(source)
    with _video_errors(name):
        if isinstance(source, Url):
            return av.open(source, metadata_errors="replace", timeout=URL_TIMEOUT_S)
        if isinstance(source, str | PathLike):
            path = Path(source)
            if not path.exists():
                raise VideoError(f"{name}: no such file; check the path")
            if path.is_dir():
                raise VideoError(f"{name}: is a folder; give a video file in it")
            # "file:" keeps a colon in the name from being read as a protocol.
            return av.open(f"file:{path}", metadata_errors="replace")
        if isinstance(source, io.TextIOBase):
            raise VideoError(f"{name}: is open as text; open it in binary mode ('rb')")
        if not source.seekable():
            return av.open(source, "r", metadata_errors="replace", options=LIVE)
        source.seek(0)
        return av.open(source, "r", metadata_errors="replace")


@contextmanager
def _video_errors(name: str) -> Iterator[None]:
    """Turn errors of FFmpeg, PyAV, OpenCV and the operating system into VideoError."""
    try:
        yield
    except LipnetError:
        raise
    except Exception as error:  # PyAV raises IndexError, ValueError and others on damaged files
        raise VideoError(f"{name}: cannot be read as a video ({cause_of(error)}); is it one?") from error


def cause_of(error: Exception) -> str:
    """An error's message in lower case; with its type where it is not FFmpeg's or the operating system's."""
    if isinstance(error, av.FFmpegError | OSError):
        return (error.strerror or str(error)).lower()
    return " ".join(f"{type(error).__name__} {error}".split())


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The first video stream that is not a cover picture, set to decode on one core.

    Raises:
        VideoError: there is none; the message starts with ``name``.
    """
    for stream in container.streams.video:
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic:
            # Preprocessing runs one process a core; more threads would only add switching.
            stream.thread_count = 1
            return stream
    raise VideoError(f"{name}: has no pictures, only sound or data; give a file with a video stream")


def limit_size(stream: VideoStream, max_pixels: int, name: str) -> None:
    """Let a stream's decoder refuse pictures of far more than ``max_pixels``, before it has memory for them.

    Raises:
        LargePicturesError: the file says that they are larger.
    """
    if stream.width * stream.height > max_pixels:
        raise LargePicturesError(
            f"{name}: pictures of {stream.width}x{stream.height} px have more than {max_pixels} px; make "
            "them smaller, as by ffmpeg -i IN -vf scale=1280:-2 OUT"
        )
    padded = max_pixels * 5 // 4 + 128 * 128  # decoders count whole macroblocks
    stream.codec_context.options = {**stream.codec_context.options, "max_pixels": str(padded)}


def declared_rate(stream: VideoStream) -> Fraction | None:
    """Pictures a second according to the file, None if unknown."""
    return stream.average_rate or stream.guessed_rate


def declared_seconds(source: VideoSource) -> float | None:
    """How long a video is according to its file, None if unknown; raises VideoError as `open_video`."""
    with open_video(source) as container:
        return container.duration / av.time_base if container.duration and container.duration > 0 else None


def decode_pictures(container: InputContainer, stream: VideoStream, name: str) -> Iterator[Picture]:
    """Yield every picture of an open file that can be decoded, upright and of the first one's size.

    Raises:
        VideoError: there is none; the message starts with ``name``.
    """
    with _video_errors(name):
        yield from _one_size(_decode(container, stream, name))


def _decode(container: InputContainer, stream: VideoStream, name: str) -> Iterator[Picture]:
    """Decode all pictures; skip packets with errors, stop where the container itself is broken.

    Any exception counts as damage of the file: PyAV also raises IndexError, ValueError and others.
    """
    cause = "it ends before its first frame"
    empty = True
    stamped = not container.format.flags & NO_TIMESTAMPS  # FFmpeg would guess them, not always well
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except Exception as error:  # the container is broken from here on
            packet, cause = None, cause_of(error)
        if packet is None:
            break
        try:
            pictures = [_to_picture(frame, stamped) for frame in packet.decode()]
        except Exception as error:
            pictures, cause = [], cause_of(error)
        empty = empty and not pictures
        yield from pictures
    if empty:
        raise VideoError(f"{name}: no frame can be decoded ({cause}); get or convert the file again")


def _to_picture(frame: VideoFrame, stamped: bool) -> Picture:
    return Picture(_to_rgb(frame), frame.time if stamped else None, frame.is_corrupt)


def _to_rgb(frame: VideoFrame) -> np.ndarray:
    """Convert a decoded picture to (H, W, 3) uint8 RGB and turn it upright."""
    if (
        frame.format.name == "yuv420p"
        and frame.colorspace in BT601
        and frame.color_range in LIMITED_RANGE
        and frame.width % 2 == frame.height % 2 == 0
    ):
        rgb = cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2RGB_I420)
    else:
        rgb = frame.reformat(format="rgb24", threads=1).to_ndarray()
    rotation = ROTATIONS.get(round(frame.rotation / 90) * 90 % 360)
    return rgb if rotation is None else cv2.rotate(rgb, rotation)


def _one_size(pictures: Iterable[Picture]) -> Iterator[Picture]:
    """Scale pictures to the size of the first one; some streams change size midway."""
    shape: tuple[int, ...] = ()
    for picture in pictures:
        shape = shape or picture.rgb.shape
        if picture.rgb.shape != shape:
            resized = cv2.resize(picture.rgb, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
            picture = picture._replace(rgb=resized)
        yield picture
