"""A video's sound -> packets of a track in an MP4, in step with the pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from lipnet.video.decode import Clock

COPIED = {"aac", "ac3", "alac", "eac3", "mp3", "opus"}  # sound that players expect in an MP4
AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}  # Hz
AAC_BITS = 96_000  # a second and channel


class SourceAudio:
    """A source's sound, if it has any, and ``zero``, the seconds on its clock that are 0 in the target."""

    def __init__(self, container: InputContainer, first_picture: float) -> None:
        self._container, self._clock = container, Clock()
        known = (stream for stream in container.streams.audio if stream.codec_context is not None)
        self.stream = next(known, None)
        start = seconds(self.stream.start_time, self.stream.time_base) if self.stream else None
        # SourceAudio before 0 only gets the decoder going, and is not heard.
        self.zero = first_picture if start is None else min(first_picture, max(start, 0.0))

    def packets(self) -> Iterator[Packet]:
        """Those that can be read, up to where the container breaks."""
        with suppress(av.FFmpegError):
            yield from (packet for packet in self._container.demux(self.stream) if not packet.is_corrupt)

    def frames(self) -> Iterator[AudioFrame]:
        """Those that can be decoded."""
        for packet in self.packets():
            with suppress(av.FFmpegError):
                yield from cast(list[AudioFrame], packet.decode())

    def time(self, stamp: float | None, step: float) -> float:
        """Seconds in the target of what comes next and lasts for a ``step``."""
        self._clock.advance(stamp, step)
        return self._clock.now - self.zero


# A way to bring a sound into the target: adds a track, and gives its packets in order.
AudioPackets = Callable[[OutputContainer, SourceAudio], Iterator[Packet]]


def no_audio(output: OutputContainer, sound: SourceAudio) -> Iterator[Packet]:
    """No packets, and no track for them."""
    return iter(())


def copy_audio(output: OutputContainer, sound: SourceAudio) -> Iterator[Packet]:
    """The sound in a new track, as it is if MP4 holds it."""
    if sound.stream is None:
        return
    if sound.stream.codec_context.codec.canonical_name not in COPIED:
        yield from encode_aac(output, sound)
        return
    track = output.add_stream_from_template(sound.stream)
    for packet in sound.packets():
        if packet.size:  # the last one has none
            unit = packet.time_base
            time = sound.time(seconds(packet.pts, unit), float((packet.duration or 0) * unit))
            packet.pts = packet.dts = round(time / unit)
            packet.stream = track
            yield packet


def encode_aac(output: OutputContainer, sound: SourceAudio) -> Iterator[Packet]:
    """The sound in a new track, encoded anew."""
    if sound.stream is None:
        return
    rate, mono = sound.stream.sample_rate, sound.stream.channels == 1
    track = output.add_stream("aac", rate=rate if rate in AAC_RATES else 48000)
    track.layout, track.bit_rate = ("mono", AAC_BITS) if mono else ("stereo", 2 * AAC_BITS)
    end = -math.inf  # samples, of what is written
    for frame in sound.frames():
        start = sound.time(frame.time, frame.samples / frame.sample_rate) * frame.sample_rate
        frame.pts = int(max(round(start), end))  # rounded stamps overlap a little: the encoder would refuse
        frame.time_base = Fraction(1, frame.sample_rate)
        end = frame.pts + frame.samples
        yield from track.encode(frame)
    yield from track.encode()


def seconds(stamp: int | None, unit: Fraction | None) -> float | None:
    """A time stamp that counts ``unit``, of so many seconds; None where either is not known."""
    return None if stamp is None or unit is None else float(stamp * unit)
