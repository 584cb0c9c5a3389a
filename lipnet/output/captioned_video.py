"""A video and what was read off it -> the same video with the words burnt in as they are spoken."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipnet.errors import LipnetError
from lipnet.inference.transcript import Transcript
from lipnet.output.overlay import CaptionOverlay
from lipnet.video.audio import AudioPackets, SourceAudio, copy_audio, encode_aac, no_audio, seconds
from lipnet.video.decode import (
    BT601,
    MAX_HOLD_S,
    TimedPicture,
    cause_of,
    declared_rate,
    decode_pictures,
    open_video,
    picture_step,
    timed,
    video_stream,
)

# In ticks, pictures at 24, 25, 30, 50 or 60 a second, 1000/1001 of these, 1 ms and 1/90000 s are whole.
TICK = Fraction(1, 360_000)  # s
X264 = {"crf": "18", "preset": "veryfast", "bf": "0"}  # bf: an MP4 of reordered pictures loses the last's end
MAX_FPS = Fraction(240)  # announced to the encoder; some files claim 90000
MPEG_RANGE, SMPTE170M = 1, 6  # AVCOL_RANGE_MPEG, AVCOL_SPC_SMPTE170M


def burn_in(
    source: Path,
    target: Path,
    transcript: Transcript,
    debug: bool = False,
    crop_size: tuple[int, int] = (100, 50),
) -> None:
    """Write ``source`` with captions to ``target``, an MP4 (H.264) that is there whole or not at all.

    Every picture that can be decoded keeps its time. The sound stays in step: as it is where MP4 holds it,
    otherwise as AAC, left out where it is broken. Words appear as they are spoken, at their seconds from
    the first picture, counted as `iter_frames` counts them.

    Args:
        source: a video of any kind.
        target: ends in .mp4; its folder is made if need be.
        transcript, debug, crop_size: what is drawn, as for `CaptionOverlay`.

    Raises:
        VideoError: no picture can be read from ``source``.
        LipnetError: ``target`` is ``source`` itself, no .mp4, or cannot be written.
    """
    unfinished = target.with_name(f".{target.name}.part")
    captions = CaptionOverlay(transcript, debug, crop_size)
    try:
        check_target(source, target)
        for sound_packets in (copy_audio, encode_aac, no_audio):
            try:
                _write(source, unfinished, captions, sound_packets)
                break
            except (av.FFmpegError, ValueError) as error:
                if sound_packets is no_audio or isinstance(error, OSError):
                    raise  # it was not the sound
        unfinished.replace(target)
    except (av.FFmpegError, OSError) as error:
        cure = "check the folder, its rights and the free space"
        raise LipnetError(f"{target}: cannot be written ({cause_of(error)}); {cure}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def check_target(source: Path, target: Path) -> None:
    """Raises LipnetError where ``burn_in`` could not write, as far as that shows before there is anything."""
    if target.suffix.lower() != ".mp4":
        raise LipnetError(f"{target}: not an MP4; give the captioned video a name that ends in .mp4")
    if target.is_dir():
        raise LipnetError(f"{target}: is a folder; name a file in it")
    if target.exists() and source.exists() and target.samefile(source):
        raise LipnetError(f"{target}: is the video itself; give the captioned one another name")


def _write(source: Path, target: Path, captions: CaptionOverlay, sound_packets: AudioPackets) -> None:
    """Write picture by picture. The source is open twice: neither pictures nor sound wait for the other."""
    with (
        open_video(source) as container,
        open_video(source) as sound_container,
        av.open(f"file:{target}", "w", format="mp4", container_options={"movflags": "+faststart"}) as output,
    ):
        stream = video_stream(container, source)
        pictures = timed(decode_pictures(container, stream, source), float(_rate(stream)))
        first = next(pictures)
        target.parent.mkdir(parents=True, exist_ok=True)
        track = _add_video(output, stream, first.rgb)
        sound = SourceAudio(sound_container, first.time)
        packets = _encoded(track, stream, chain([first], pictures), captions, sound.zero)
        # Of both, a packet is taken before one is given: all tracks are there when writing begins.
        for packet in heapq.merge(packets, sound_packets(output, sound), key=_decoding_time):
            output.mux(packet)


def _decoding_time(packet: Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base


def _rate(stream: VideoStream) -> Fraction:
    """Pictures a second, as announced, or as `iter_frames` takes them to be where that is not known."""
    return declared_rate(stream) or Fraction(25)


def _add_video(output: OutputContainer, stream: VideoStream, rgb: np.ndarray) -> VideoStream:
    """A track for pictures such as ``rgb``, to be shown as those of the source's stream are."""
    track = output.add_stream("libx264", rate=min(_rate(stream), MAX_FPS), options=X264)
    track.height, track.width = _even(rgb).shape[:2]
    track.pix_fmt = "yuv420p"
    coder, source = track.codec_context, stream.codec_context
    coder.time_base = TICK
    coder.colorspace = source.colorspace if source.colorspace in BT601 else SMPTE170M
    coder.color_range = MPEG_RANGE
    coder.color_primaries, coder.color_trc = source.color_primaries, source.color_trc
    if aspect := stream.sample_aspect_ratio:
        turned = rgb.shape[:2] == (stream.width, stream.height) != (stream.height, stream.width)
        coder.sample_aspect_ratio = 1 / aspect if turned else aspect
    return track


def _encoded(
    track: VideoStream,
    stream: VideoStream,
    pictures: Iterable[TimedPicture],
    captions: CaptionOverlay,
    zero: float,
) -> Iterator[Packet]:
    """The pictures, drawn into; 0 in the target is the source's time ``zero``."""
    time, ticks = zero, -1
    for rgb, time, moment in pictures:
        captions.draw(rgb, moment)
        yuv = cv2.cvtColor(_even(rgb), cv2.COLOR_RGB2YUV_I420).astype(np.uint8, copy=False)
        frame = VideoFrame.from_ndarray(yuv, format="yuv420p")
        ticks = max(round((time - zero) / TICK), ticks + 1)
        frame.pts, frame.time_base = ticks, TICK
        yield from track.encode(frame)
    rest = track.encode()  # x264 looks ahead, so the last picture is among these
    if rest:
        rest[-1].duration = round(_hold(stream, time) / TICK)
    yield from rest


def _hold(stream: VideoStream, last: float) -> float:
    """How long the last picture, shown at ``last`` on the source's clock, stays, in seconds."""
    start, length = (seconds(stamp, stream.time_base) for stamp in (stream.start_time, stream.duration))
    hold = math.nan if start is None or length is None else start + length - last
    return hold if 0 < hold < MAX_HOLD_S else picture_step(float(_rate(stream)))


def _even(rgb: np.ndarray) -> np.ndarray:
    """The picture with its last row and column doubled where their number is odd: H.264 takes pairs."""
    height, width = rgb.shape[:2]
    if height % 2 == width % 2 == 0:
        return rgb
    return cv2.copyMakeBorder(rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
