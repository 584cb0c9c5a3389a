"""A video and what was read off it -> the same video with the words burnt in as they are spoken."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple, cast

import av
import cv2
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image, ImageDraw, ImageFont

from lipnet.errors import LipnetError
from lipnet.face import face_box, fit_pose, warp
from lipnet.transcript import FaceTrack, TranscribedWord, Transcript
from lipnet.video import BT601, LONGEST_HOLD_S, VideoError, _cause, _decode, _one_size, _video_stream

LINGER_S = 0.8  # how long a sentence stays after its last word
ROUNDING_S = 0.001  # of the words' times: without it a word could come one picture late
FONT_HEIGHT, FONT_WIDTH = 1 / 14, 1 / 16  # the font's size: of the picture's height, but at most of its width
SMALLEST_FONT = 12.0  # px
MOST_LINES = 3  # at once: a longer sentence turns the page, so that the face stays in sight
LINE = 1.25  # from one line to the next, in the font's size
MARGIN = 1 / 24  # of the picture's height below the text, of its width beside it
WHITE, HIGHLIGHT, BLACK = (255, 255, 255), (255, 235, 60), (0, 0, 0)
FOUND, FILLED_IN = (64, 255, 64), (255, 160, 32)
INSET = 0.35  # the mouth crop's largest share of the picture's width and height

# In ticks, pictures at 24, 25, 30, 50 or 60 a second, 1000/1001 of these, 1 ms and 1/90000 s are whole.
TICK = Fraction(1, 360_000)  # s
X264 = {"crf": "18", "preset": "veryfast", "bf": "0"}  # bf: an MP4 of reordered pictures loses the last's end
MOST_FPS = Fraction(240)  # announced to the encoder; some files claim 90000
LIMITED_RANGE, SMPTE170M = 1, 6  # AVCOL_RANGE_MPEG, AVCOL_SPC_SMPTE170M
COPIED = {"aac", "ac3", "alac", "eac3", "mp3", "opus"}  # sound that players expect in an MP4
AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}  # Hz
AAC_BITS = 96_000  # a second and channel


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
        transcript: what was read off ``source``.
        debug: draw also the transcript's track, if it has one: the face's box and landmarks, green where
            they were found and orange where filled in, and the mouth crop in the corner.
        crop_size: width and height, px, of the crops that the track's ``to_crop`` leads to.

    Raises:
        VideoError: no picture can be read from ``source``.
        LipnetError: ``target`` is ``source`` itself, no .mp4, or cannot be written.
    """
    unfinished = target.with_name(f".{target.name}.part")
    draw = _Drawing(transcript, debug, crop_size)
    try:
        _check(source, target)
        for sound_packets in (_copied, _as_aac, _left_out):
            try:
                _write(source, unfinished, draw, sound_packets)
                break
            except (av.FFmpegError, ValueError) as error:
                if sound_packets is _left_out or isinstance(error, OSError):
                    raise  # it was not the sound
        unfinished.replace(target)
    except (av.FFmpegError, OSError) as error:
        cure = "check the folder, its rights and the free space"
        raise LipnetError(f"{target}: cannot be written ({_cause(error)}); {cure}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _check(source: Path, target: Path) -> None:
    if target.suffix.lower() != ".mp4":
        raise LipnetError(f"{target}: not an MP4; give the captioned video a name that ends in .mp4")
    if target.is_dir():
        raise LipnetError(f"{target}: is a folder; name a file in it")
    if target.exists() and source.exists() and target.samefile(source):
        raise LipnetError(f"{target}: is the video itself; give the captioned one another name")


def _write(source: Path, target: Path, draw: _Drawing, sound_packets: _SoundPackets) -> None:
    """Write picture by picture. The source is open twice: neither pictures nor sound wait for the other."""
    with (
        _open(source) as container,
        _open(source) as sound_container,
        av.open(f"file:{target}", "w", format="mp4", container_options={"movflags": "+faststart"}) as output,
    ):
        stream = _video_stream(container, source)
        pictures = _timed(container, stream, source)
        first = next(pictures)
        target.parent.mkdir(parents=True, exist_ok=True)
        track = _add_video(output, stream, first.rgb)
        sound = _Sound(sound_container, first.time)
        packets = _encoded(track, stream, chain([first], pictures), draw, sound.zero)
        # Of both, a packet is taken before one is given: all tracks are there when writing begins.
        for packet in heapq.merge(packets, sound_packets(output, sound), key=_decoding_time):
            output.mux(packet)


def _open(path: Path) -> InputContainer:
    try:
        return av.open(f"file:{path}", metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: cannot be read as a video ({_cause(error)}); is it one?") from error


def _decoding_time(packet: Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base


class _Clock:
    """Makes time stamps, seconds, grow: a missing or broken one counts as a ``step``, as in `iter_frames`."""

    def __init__(self) -> None:
        self.stamp: float | None = None
        self.first = self.now = 0.0

    def __call__(self, stamp: float | None, step: float) -> float:
        if self.stamp is None:
            self.stamp = self.first = self.now = stamp or 0.0
            return self.now
        stamp = self.stamp + step if stamp is None else stamp
        passed = stamp - self.stamp
        self.stamp = stamp
        self.now += passed if 0 < passed < LONGEST_HOLD_S else step
        return self.now


class _Timed(NamedTuple):
    rgb: np.ndarray  # (H, W, 3) uint8
    time: float  # s on the source's clock, which the sound goes by
    moment: float  # s since the first picture as `iter_frames` counts, which the transcript goes by


def _timed(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[_Timed]:
    clock, step = _Clock(), _step(stream)
    before, lost = math.inf, 0.0
    for rgb, stamp, damaged in _one_size(_decode(container, stream, path)):
        time = clock(stamp, step)
        if damaged:
            lost += max(time - before - step, 0.0)  # swallowed by damage, which `iter_frames` cuts out
        before = time
        yield _Timed(rgb, time, time - clock.first - lost)


def _rate(stream: VideoStream) -> Fraction:
    """Pictures a second, as announced."""
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def _step(stream: VideoStream) -> float:
    return min(1 / float(_rate(stream)), LONGEST_HOLD_S)


def _add_video(output: OutputContainer, stream: VideoStream, rgb: np.ndarray) -> VideoStream:
    """A track for pictures such as ``rgb``, to be shown as those of the source's stream are."""
    track = output.add_stream("libx264", rate=min(_rate(stream), MOST_FPS), options=X264)
    track.height, track.width = _even(rgb).shape[:2]
    track.pix_fmt = "yuv420p"
    coder, source = track.codec_context, stream.codec_context
    coder.time_base = TICK
    coder.colorspace = source.colorspace if source.colorspace in BT601 else SMPTE170M
    coder.color_range = LIMITED_RANGE
    coder.color_primaries, coder.color_trc = source.color_primaries, source.color_trc
    if aspect := stream.sample_aspect_ratio:
        turned = rgb.shape[:2] == (stream.width, stream.height) != (stream.height, stream.width)
        coder.sample_aspect_ratio = 1 / aspect if turned else aspect
    return track


def _encoded(
    track: VideoStream, stream: VideoStream, pictures: Iterable[_Timed], draw: _Drawing, zero: float
) -> Iterator[Packet]:
    """The pictures, drawn into; 0 in the target is the source's time ``zero``."""
    time, ticks = zero, -1
    for rgb, time, moment in pictures:
        draw(rgb, moment)
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
    start, length = _seconds(stream.start_time, stream), _seconds(stream.duration, stream)
    hold = math.nan if start is None or length is None else start + length - last
    return hold if 0 < hold < LONGEST_HOLD_S else _step(stream)


def _even(rgb: np.ndarray) -> np.ndarray:
    """The picture with its last row and column doubled where their number is odd: H.264 takes pairs."""
    height, width = rgb.shape[:2]
    if height % 2 == width % 2 == 0:
        return rgb
    return cv2.copyMakeBorder(rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)


def _seconds(stamp: int | None, clock: Stream | Packet) -> float | None:
    return None if stamp is None or clock.time_base is None else float(stamp * clock.time_base)


class _Sound:
    """A source's sound, if it has any, and ``zero``, the seconds on its clock that are 0 in the target."""

    def __init__(self, container: InputContainer, first_picture: float) -> None:
        self.container, self.clock = container, _Clock()
        known = (stream for stream in container.streams.audio if stream.codec_context is not None)
        self.stream = next(known, None)
        start = _seconds(self.stream.start_time, self.stream) if self.stream else None
        # Sound before 0 only gets the decoder going, and is not heard.
        self.zero = first_picture if start is None else min(first_picture, max(start, 0.0))

    def packets(self) -> Iterator[Packet]:
        """Those that can be read, up to where the container breaks."""
        with suppress(av.FFmpegError):
            yield from (packet for packet in self.container.demux(self.stream) if not packet.is_corrupt)

    def frames(self) -> Iterator[AudioFrame]:
        """Those that can be decoded."""
        for packet in self.packets():
            with suppress(av.FFmpegError):
                yield from cast(list[AudioFrame], packet.decode())

    def time(self, stamp: float | None, step: float) -> float:
        """Seconds in the target of what comes next and lasts for a ``step``."""
        return self.clock(stamp, step) - self.zero


_SoundPackets = Callable[[OutputContainer, _Sound], Iterator[Packet]]


def _left_out(output: OutputContainer, sound: _Sound) -> Iterator[Packet]:
    return iter(())


def _copied(output: OutputContainer, sound: _Sound) -> Iterator[Packet]:
    """The sound in a new track, as it is if MP4 holds it."""
    if sound.stream is None:
        return
    if sound.stream.codec_context.codec.canonical_name not in COPIED:
        yield from _as_aac(output, sound)
        return
    track = output.add_stream_from_template(sound.stream)
    for packet in sound.packets():
        if packet.size:  # the last one has none
            unit = packet.time_base
            time = sound.time(_seconds(packet.pts, packet), float((packet.duration or 0) * unit))
            packet.pts = packet.dts = round(time / unit)
            packet.stream = track
            yield packet


def _as_aac(output: OutputContainer, sound: _Sound) -> Iterator[Packet]:
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


class _State(NamedTuple):
    """A sentence, how many of its words have begun, and whether the last of these is being spoken."""

    words: tuple[TranscribedWord, ...]
    said: int
    speaking: bool


class _Drawing:
    """Draws captions, and the track if asked for, into one picture after the other."""

    def __init__(self, transcript: Transcript, debug: bool, crop_size: tuple[int, int]) -> None:
        self.sentences = sorted(transcript.sentences, key=lambda sentence: sentence.start)
        self.starts = [sentence.start for sentence in self.sentences]
        self.track, self.fps, self.crop_size = transcript.track if debug else None, transcript.fps, crop_size
        self.state: _State | None = None
        self.strip: _Strip | None = None

    def __call__(self, rgb: np.ndarray, moment: float) -> None:
        if self.track is not None and len(self.track.found):
            index = min(round(moment * self.fps), len(self.track.found) - 1)
            _draw_track(rgb, self.track, index, self.crop_size)
        state = self.due(moment + ROUNDING_S)
        if state != self.state:
            self.state, self.strip = state, _render(state, *rgb.shape[1::-1]) if state else None
        if self.strip is not None:
            self.strip.lay_on(rgb)

    def due(self, moment: float) -> _State | None:
        """What is to be read: the latest sentence, until its time is over."""
        latest = bisect_right(self.starts, moment) - 1
        if latest < 0 or moment >= self.sentences[latest].end + LINGER_S:
            return None
        words = self.sentences[latest].words
        said = bisect_right([word.start for word in words], moment)
        return _State(tuple(words), said, moment < words[said - 1].end) if said else None


class _Strip(NamedTuple):
    """Text, ready to be laid on pictures."""

    left: int  # px
    top: int  # px
    ink: np.ndarray  # (h, w, 3) uint8, weighed by its opacity
    through: np.ndarray  # (h, w, 1) uint16, 0 ... 255: how much of the picture is seen through it

    def lay_on(self, rgb: np.ndarray) -> None:
        height, width = self.ink.shape[:2]
        below = rgb[self.top : self.top + height, self.left : self.left + width]
        below[...] = self.ink + (below * self.through // 255).astype(np.uint8)


def _render(state: _State, width: int, height: int) -> _Strip:
    """The words said so far, each where it will stand among all, for pictures of width x height px."""
    words = [word.word for word in state.words]
    font, size = _font(words, width, height)
    widths, space = [font.getlength(word) for word in words], font.getlength(" ")
    lines = _page(_wrap(widths, space, width * (1 - 2 * MARGIN)), state.said - 1)
    image = Image.new("RGBA", (width, height))
    pen = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        x = (width - sum(widths[index] + space for index in line) + space) / 2
        y = height * (1 - MARGIN) - size * (0.3 + LINE * (len(lines) - 1 - row))  # where letters stand
        for index in line:
            if index < state.said:
                colour = HIGHLIGHT if state.speaking and index == state.said - 1 else WHITE
                outline = max(1, round(size / 12))
                pen.text((x, y), words[index], colour, font, "ls", stroke_width=outline, stroke_fill=BLACK)
            x += widths[index] + space
    left, top, right, bottom = image.getbbox() or (0, 0, 1, 1)
    pixels = np.asarray(image)[top:bottom, left:right]  # on empty ground Pillow weighs colours by opacity
    return _Strip(left, top, pixels[..., :3], 255 - pixels[..., 3:].astype(np.uint16))


def _font(words: Sequence[str], width: int, height: int) -> tuple[ImageFont.FreeTypeFont, float]:
    """A font in which the longest word fits into the picture, and its size in px."""
    size = max(SMALLEST_FONT, min(height * FONT_HEIGHT, width * FONT_WIDTH))
    longest = max(ImageFont.load_default(size).getlength(word) for word in words)
    size *= min(1.0, width * (1 - 3 * MARGIN) / max(longest, 1.0))
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size)), size


def _wrap(widths: Sequence[float], space: float, room: float) -> list[list[int]]:
    """The words, by index, in as few lines as the room allows, and these as even as can be."""
    fewest = len(_fill(widths, space, room))
    tries = (_fill(widths, space, room * share / 16) for share in range(4, 17))
    return next(lines for lines in tries if len(lines) == fewest)


def _fill(widths: Sequence[float], space: float, room: float) -> list[list[int]]:
    lines: list[list[int]] = []
    used = math.inf
    for index, width in enumerate(widths):
        if used + space + width > room:
            lines.append([])
            used = -space
        lines[-1].append(index)
        used += space + width
    return lines


def _page(lines: list[list[int]], word: int) -> list[list[int]]:
    """The lines that are shown together with that word's."""
    row = next(row for row, line in enumerate(lines) if word in line)
    first = row - row % MOST_LINES
    return lines[first : first + MOST_LINES]


def _draw_track(rgb: np.ndarray, track: FaceTrack, index: int, crop_size: tuple[int, int]) -> None:
    landmarks = track.landmarks[index]
    mouth = warp(rgb, track.to_crop[index], crop_size)  # before anything is drawn on it
    colour = FOUND if track.found[index] else FILLED_IN
    line = max(2, round(min(rgb.shape[:2]) / 200))  # px wide: colour is stored for every other px only
    left, top, right, bottom = np.rint(face_box(fit_pose(landmarks))).astype(int).tolist()
    cv2.rectangle(rgb, (left, top), (right, bottom), colour, line)
    for point in np.rint(landmarks * 16).astype(int).tolist():
        cv2.circle(rgb, point, 12 * line, colour, cv2.FILLED, cv2.LINE_AA, shift=4)  # in sixteenths of a px
    enlarge = INSET * min(rgb.shape[0] / crop_size[1], rgb.shape[1] / crop_size[0])
    size = [max(1, round(side * enlarge)) for side in crop_size]
    inset = cv2.resize(mouth, size, interpolation=cv2.INTER_CUBIC)
    rgb[: size[1] + 2 * line, : size[0] + 2 * line] = WHITE
    rgb[line : line + size[1], line : line + size[0]] = inset
