"""Captioned video: a video with its transcript burnt in, each word from when it is spoken."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from lipnet.errors import LipnetError
from lipnet.inference.transcript import Transcript
from lipnet.output.overlay import CaptionOverlay
from lipnet.utils.files import part_of
from lipnet.video.audio import AudioPackets, SourceAudio, copy_audio, encode_aac, no_audio, seconds
from lipnet.video.decode import (
    BT601,
    Url,
    cause_of,
    declared_rate,
    decode_pictures,
    open_video,
    video_stream,
)
from lipnet.video.encode import to_video_frame
from lipnet.video.resample import MAX_HOLD_S, TimedPicture, add_times, picture_step

# A whole number of ticks lasts a picture at 24, 25, 30, 50 or 60 a second, or at 1000/1001 of these; so do
# 1 ms and 1/90000 s, the units of other containers.
TICK = Fraction(1, 360_000)  # s
# No B-frames: an MP4 of reordered pictures does not keep the duration of the last one.
X264 = {"crf": "18", "preset": "veryfast", "bf": "0"}
MAX_FPS = Fraction(240)  # declared to the encoder; some files claim 90000
DEFAULT_FPS = Fraction(25)  # as in `iter_frames`, for a file that declares no rate
MPEG_RANGE, SMPTE170M = 1, 6  # AVCOL_RANGE_MPEG, AVCOL_SPC_SMPTE170M
# Draws into a picture, (H, W, 3) uint8 RGB, which is shown so many seconds after the first one.
Draw = Callable[[np.ndarray, float], None]


def burn_in(
    source: Path | Url,
    target: Path,
    transcript: Transcript,
    debug: bool = False,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write ``source`` with captions to ``target``, an H.264 MP4; if this fails, ``target`` is unchanged.

    Every picture that can be decoded keeps its time. The audio stays in sync: copied if players expect its
    codec in an MP4, otherwise encoded as AAC, left out if it cannot be written. Word times count from the
    first picture, as those of `iter_frames` do.

    Args:
        source: a video of any format, or its address.
        target: ends in .mp4; its folder is created if necessary.
        transcript, debug: what is drawn, as for `CaptionOverlay`.
        progress: called with the seconds of the video that are done; a LipnetError that it raises ends the
            writing.

    Raises:
        VideoError: no picture can be read from ``source``.
        LipnetError: ``target`` is ``source`` itself, is not an .mp4, or cannot be written.
    """
    unfinished = part_of(target)
    captions = CaptionOverlay(transcript, debug)

    def draw(rgb: np.ndarray, elapsed: float) -> None:
        captions.draw(rgb, elapsed)
        if progress is not None:
            progress(elapsed)

    try:
        check_target(source, target)
        for audio_packets in (copy_audio, encode_aac, no_audio):
            try:
                _write(source, unfinished, draw, audio_packets)
                break
            except (av.FFmpegError, ValueError) as error:
                if audio_packets is no_audio or isinstance(error, OSError):
                    raise  # the audio is not the cause
        unfinished.replace(target)
    except (av.FFmpegError, OSError) as error:
        hint = "check the folder, its permissions and the free space"
        raise LipnetError(f"{target}: cannot be written ({cause_of(error)}); {hint}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def check_target(source: Path | Url, target: Path) -> None:
    """Check that `burn_in` may write ``target``, as far as can be known in advance.

    Raises:
        LipnetError: ``target`` is not an .mp4, is a folder, or is ``source`` itself.
    """
    if target.suffix.lower() != ".mp4":
        raise LipnetError(f"{target}: not an MP4; give the captioned video a name that ends in .mp4")
    if target.is_dir():
        raise LipnetError(f"{target}: is a folder; give a file in it")
    is_file = isinstance(source, Path) and source.exists()
    if is_file and target.exists() and target.samefile(source):
        raise LipnetError(f"{target}: is the video itself; give the captioned video another name")


def _write(source: Path | Url, target: Path, draw: Draw, audio_packets: AudioPackets) -> None:
    """Write the captioned video. Pictures and audio are read from the source by a container each."""
    with (
        open_video(source) as container,
        open_video(source) as audio_container,
        av.open(f"file:{target}", "w", format="mp4", container_options={"movflags": "+faststart"}) as output,
    ):
        stream = video_stream(container, str(source))
        pictures = add_times(
            decode_pictures(container, stream, str(source)), float(_rate(stream)), str(source)
        )
        first = next(pictures)
        target.parent.mkdir(parents=True, exist_ok=True)
        track = _add_video(output, stream, first.rgb)
        audio = SourceAudio(audio_container, first.time)
        packets = _encode(track, stream, chain([first], pictures), draw, audio.zero)
        # heapq.merge takes a packet of each before it yields one: all streams exist when writing starts.
        for packet in heapq.merge(packets, audio_packets(output, audio), key=_decoding_time):
            output.mux(packet)


def _decoding_time(packet: Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base


def _rate(stream: VideoStream) -> Fraction:
    """Pictures a second as declared, or DEFAULT_FPS."""
    return declared_rate(stream) or DEFAULT_FPS


def _add_video(output: OutputContainer, stream: VideoStream, rgb: np.ndarray) -> VideoStream:
    """Add a video stream for pictures like ``rgb``, with the colours and pixel shape of the source's."""
    track = output.add_stream("libx264", rate=min(_rate(stream), MAX_FPS), options=X264)
    track.height, track.width = _pad_to_even(rgb).shape[:2]
    track.pix_fmt = "yuv420p"
    encoder, source = track.codec_context, stream.codec_context
    encoder.time_base = TICK
    encoder.colorspace = source.colorspace if source.colorspace in BT601 else SMPTE170M
    encoder.color_range = MPEG_RANGE
    encoder.color_primaries, encoder.color_trc = source.color_primaries, source.color_trc
    if aspect := stream.sample_aspect_ratio:
        rotated = rgb.shape[:2] == (stream.width, stream.height) != (stream.height, stream.width)
        encoder.sample_aspect_ratio = 1 / aspect if rotated else aspect
    return track


def _encode(
    track: VideoStream,
    stream: VideoStream,
    pictures: Iterable[TimedPicture],
    draw: Draw,
    zero: float,
) -> Iterator[Packet]:
    """Draw the captions and encode; the time ``zero`` of the source, in seconds, becomes 0."""
    time, ticks = zero, -1
    for rgb, time, elapsed in pictures:
        draw(rgb, elapsed)
        frame = to_video_frame(_pad_to_even(rgb))
        ticks = max(round((time - zero) / TICK), ticks + 1)
        frame.pts, frame.time_base = ticks, TICK
        yield from track.encode(frame)
    delayed = track.encode()  # x264 looks ahead, so the last picture is among these
    if delayed:
        delayed[-1].duration = round(_last_duration(stream, time) / TICK)
    yield from delayed


def _last_duration(stream: VideoStream, last: float) -> float:
    """Seconds for which the last picture, at the time ``last`` of the source, is shown."""
    start, length = (seconds(stamp, stream.time_base) for stamp in (stream.start_time, stream.duration))
    hold = math.nan if start is None or length is None else start + length - last
    return hold if 0 < hold < MAX_HOLD_S else picture_step(float(_rate(stream)))


def _pad_to_even(rgb: np.ndarray) -> np.ndarray:
    """Repeat the last row and column of a picture where their number is odd: YUV 4:2:0 has none."""
    height, width = rgb.shape[:2]
    if height % 2 == width % 2 == 0:
        return rgb
    return cv2.copyMakeBorder(rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
