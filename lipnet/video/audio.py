"""The audio of a video file -> packets for an MP4, in sync with its pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import cast

from av.audio.frame import AudioFrame
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from lipnet.video.resample import Clock

COPIED_CODECS = {"aac", "ac3", "alac", "eac3", "mp3", "opus"}  # which players support in an MP4
AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}  # Hz
AAC_BIT_RATE = 96_000  # bit/s for each channel


class SourceAudio:
    """The audio stream of a media file, if it has one.

    Args:
        container: the open file; its packets are read here and nowhere else.
        first_picture: time of the first picture on the file's clock, in seconds.

    Attributes:
        stream: the first audio stream of a known codec, or None.
        zero: the time on the file's clock, in seconds, that becomes 0 in the output.
    """

    def __init__(self, container: InputContainer, first_picture: float) -> None:
        self._container, self._clock = container, Clock()
        known = (stream for stream in container.streams.audio if stream.codec_context is not None)
        self.stream = next(known, None)
        start = seconds(self.stream.start_time, self.stream.time_base) if self.stream else None
        # Audio before 0 only primes the decoder and is not played.
        self.zero = first_picture if start is None else min(first_picture, max(start, 0.0))

    def packets(self) -> Iterator[Packet]:
        """Packets that can be read, up to where the container is broken: there PyAV raises any exception."""
        with suppress(Exception):
            yield from (packet for packet in self._container.demux(self.stream) if not packet.is_corrupt)

    def frames(self) -> Iterator[AudioFrame]:
        """Audio frames that can be decoded."""
        for packet in self.packets():
            with suppress(Exception):
                yield from cast(list[AudioFrame], packet.decode())

    def time(self, stamp: float | None, step: float) -> float:
        """The next packet's or frame's time in the output, in seconds, from its time stamp.

        ``step`` is the duration that counts where the stamp is missing or faulty.
        """
        self._clock.advance(stamp, step)
        return self._clock.now - self.zero


# Adds an audio stream to the output, and yields its packets in order.
AudioPackets = Callable[[OutputContainer, SourceAudio], Iterator[Packet]]


def no_audio(output: OutputContainer, audio: SourceAudio) -> Iterator[Packet]:
    """Leave the audio out: no stream and no packets."""
    return iter(())


def copy_audio(output: OutputContainer, audio: SourceAudio) -> Iterator[Packet]:
    """Copy the audio without encoding it again; `encode_aac` if players do not expect its codec in an MP4."""
    if audio.stream is None:
        return
    if audio.stream.codec_context.codec.canonical_name not in COPIED_CODECS:
        yield from encode_aac(output, audio)
        return
    track = output.add_stream_from_template(audio.stream)
    for packet in audio.packets():
        if packet.size:  # the last packet, which flushes the decoder, is empty
            unit = packet.time_base
            time = audio.time(seconds(packet.pts, unit), float((packet.duration or 0) * unit))
            packet.pts = packet.dts = round(time / unit)
            packet.stream = track
            yield packet


def encode_aac(output: OutputContainer, audio: SourceAudio) -> Iterator[Packet]:
    """Decode the audio and encode it as AAC, in mono or stereo."""
    if audio.stream is None:
        return
    rate, mono = audio.stream.sample_rate, audio.stream.channels == 1
    track = output.add_stream("aac", rate=rate if rate in AAC_RATES else 48000)
    track.layout, track.bit_rate = ("mono", AAC_BIT_RATE) if mono else ("stereo", 2 * AAC_BIT_RATE)
    end = -math.inf  # of what has been encoded, in samples
    for frame in audio.frames():
        start = audio.time(frame.time, frame.samples / frame.sample_rate) * frame.sample_rate
        frame.pts = int(max(round(start), end))  # the encoder refuses rounded stamps that overlap
        frame.time_base = Fraction(1, frame.sample_rate)
        end = frame.pts + frame.samples
        yield from track.encode(frame)
    yield from track.encode()


def seconds(stamp: int | None, unit: Fraction | None) -> float | None:
    """Convert a time stamp, in units of ``unit`` seconds, to seconds; None if either is unknown."""
    return None if stamp is None or unit is None else float(stamp * unit)
