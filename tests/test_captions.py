"""The captioned video: the same pictures, times and sound, and words in the pictures while they are due."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import pytest
from video_files import number_of, numbered, write_video

import lipnet.captions
import lipnet.sound
import lipnet.video
from lipnet.captioned_video import burn_in
from lipnet.captions import LINGER_S
from lipnet.errors import LipnetError
from lipnet.face import STABLE, STABLE_FACE
from lipnet.transcript import FaceTrack, Sentence, TranscribedWord, Transcript
from lipnet.video import Picture, VideoError, iter_frames

CLIP = [numbered(index) for index in range(25)]
GREY = [np.full((144, 180, 3), 90, np.uint8)] * 50


def sentence(text: str, start: float = 0.4, each: float = 0.2) -> Sentence:
    """Words that follow each other from ``start`` on, ``each`` second long."""
    times = [start + each * index for index in range(len(text.split()) + 1)]
    words = [
        TranscribedWord(word, round(times[index], 3), round(times[index + 1], 3), 0.9)
        for index, word in enumerate(text.split())
    ]
    return Sentence(text, words[0].start, words[-1].end, 0.9, words, [])


def transcript(*sentences: Sentence, track: FaceTrack | None = None) -> Transcript:
    return Transcript("a.mp4", list(sentences), 50, 25.0, "greedy", False, [], track)


NOTHING_SAID = transcript()


class Shown(NamedTuple):
    """What a player would get out of a file."""

    pictures: list[np.ndarray]
    times: np.ndarray  # s
    end: float  # s: when the last picture goes


def shown(path: Path) -> Shown:
    with av.open(f"file:{path}") as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
        end = float((stream.start_time + stream.duration) * stream.time_base) if stream.duration else 0.0
        return Shown(pictures, np.array([frame.time for frame in frames]), end)


def add_sound(
    video: Path, path: Path, codec: str, rate: int = 44100, layout: str = "stereo", delay: float = 0.0
) -> Path:
    """The video with a click every quarter of a second, first at ``delay``, muxed into ``path``."""
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        pictures = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        for packet in packets:
            packet.stream = pictures
        sound = target.add_stream(codec, rate=rate, layout=layout, options={"strict": "experimental"})
        samples = np.zeros((1, rate), np.float32)
        for click in range(4):
            samples[0, click * rate // 4 :][: rate // 100] = 0.8
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, round(delay * rate), Fraction(1, rate)
        packets += [*sound.encode(frame), *sound.encode()]
        target.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return path


def clicks(path: Path) -> np.ndarray:
    """When the sound's clicks begin, in seconds after the first picture; empty without a sound."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0)) if container.streams.audio else []
    loud = [np.empty(0)]
    for frame in frames:
        samples = av.AudioResampler("fltp", "mono").resample(frame)[0].to_ndarray()[0]
        loud.append(frame.time + np.flatnonzero(np.abs(samples) > 0.3) / frame.sample_rate)
    times = np.concatenate(loud)
    return times[np.diff(times, prepend=-9.0) > 0.1] - shown(path).times[0]


def sound_codec(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.audio[0].codec_context.codec.canonical_name


def test_a_clip_comes_back_in_order_and_in_time(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", CLIP)
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    result = shown(tmp_path / "b.mp4")
    assert [number_of(picture) for picture in result.pictures] == list(range(25))
    np.testing.assert_allclose(result.times, shown(source).times, atol=1e-5)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].pix_fmt == "yuv420p"
    assert (tmp_path / "b.mp4").read_bytes().index(b"moov") < 100  # in front: it plays while it loads


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(15), Fraction(25), Fraction(24000, 1001)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_steady_rates_keep_times_and_duration(tmp_path: Path, name: str, rate: Fraction) -> None:
    source = write_video(tmp_path / name, CLIP, rate=rate)
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    result = shown(tmp_path / "b.mp4")
    assert result.times[0] == 0
    np.testing.assert_allclose(np.diff(result.times), np.diff(shown(source).times), atol=1e-4)
    assert result.end == pytest.approx(25 / rate, abs=0.001)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_variable_rate_is_kept(tmp_path: Path, name: str) -> None:
    times = np.cumsum([1000, 40, 40, 21, 33, 95, 40, 310, 17, 17, 40, 47, 80, 40])
    source = write_video(tmp_path / name, CLIP[:14], times_ms=times.tolist())
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    result = shown(tmp_path / "b.mp4")
    np.testing.assert_allclose(result.times, (times - times[0]) / 1000, atol=1e-5)
    assert result.end == pytest.approx((times[-1] - times[0]) / 1000 + 0.04, abs=0.001)


@pytest.mark.parametrize(("name", "codec"), [("a.h264", "libx264"), ("a.m1v", "mpeg1video")])
def test_a_stream_without_times_gets_steady_ones(tmp_path: Path, name: str, codec: str) -> None:
    burn_in(write_video(tmp_path / name, CLIP, codec=codec), tmp_path / "b.mp4", NOTHING_SAID)
    result = shown(tmp_path / "b.mp4")
    np.testing.assert_allclose(result.times, np.arange(25) / 25, atol=1e-5)
    assert result.end == pytest.approx(1.0, abs=0.001)


def test_times_that_jump_are_made_to_grow(tmp_path: Path) -> None:
    first, second = (write_video(tmp_path / f"{i}.mpg", CLIP, codec="mpeg1video") for i in range(2))
    (tmp_path / "a.mpg").write_bytes(first.read_bytes() + second.read_bytes())
    burn_in(tmp_path / "a.mpg", tmp_path / "b.mp4", NOTHING_SAID)
    steps = np.diff(shown(tmp_path / "b.mp4").times)
    assert len(steps) >= 48
    assert steps.min() > 0.039 and steps.max() < 0.09

    far = write_video(tmp_path / "a.mkv", CLIP[:5], times_ms=[0, 40, 80, 36_000_000, 36_000_040])
    burn_in(far, tmp_path / "c.mp4", NOTHING_SAID)
    np.testing.assert_allclose(shown(tmp_path / "c.mp4").times, np.arange(5) / 25, atol=1e-5)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_rotation_is_applied_to_the_pixels(tmp_path: Path, rotation: int) -> None:
    upright = np.full((64, 128, 3), 40, np.uint8)
    upright[:24, :48] = (220, 60, 60)
    stored = np.rot90(upright, -rotation // 90)
    source = write_video(tmp_path / "a.mp4", [stored] * 3, rotation=rotation)
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    with av.open(str(tmp_path / "b.mp4")) as container:
        frame = next(container.decode(video=0))
        assert frame.rotation == 0
        assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - upright).mean() < 8


@pytest.mark.parametrize("rotation", [0, 90])
def test_pixels_that_are_not_square_keep_their_shape(tmp_path: Path, rotation: int) -> None:
    plain = write_video(tmp_path / "plain.mp4", CLIP[:3], rotation=rotation)
    with av.open(str(plain)) as container, av.open(str(tmp_path / "a.mp4"), "w") as target:
        track = target.add_stream_from_template(container.streams.video[0])
        track.codec_context.sample_aspect_ratio = Fraction(16, 15)
        if rotation:
            track.set_display_rotation(rotation)
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
    burn_in(tmp_path / "a.mp4", tmp_path / "b.mp4", NOTHING_SAID)
    with av.open(str(tmp_path / "b.mp4")) as container:
        expected = Fraction(15, 16) if rotation else Fraction(16, 15)
        assert container.streams.video[0].sample_aspect_ratio == expected


def test_odd_sizes_are_filled_up_with_their_edge(tmp_path: Path) -> None:
    picture = np.full((63, 95, 3), 60, np.uint8)
    picture[-1:] = picture[:, -1:] = 200
    source = write_video(tmp_path / "a.mkv", [picture] * 5, codec="ffv1")
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    result = shown(tmp_path / "b.mp4").pictures[2].astype(int)
    assert result.shape == (64, 96, 3)
    assert np.abs(result[:63, :95] - picture).mean() < 4
    assert np.abs(result[-1] - 200).mean() < 8 and np.abs(result[:, -1] - 200).mean() < 8


def test_a_picture_size_that_changes_midway_is_evened_out(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.mpg", CLIP[:10], codec="mpeg1video")
    large = write_video(
        tmp_path / "large.mpg", [numbered(i, 256, 128) for i in range(10)], codec="mpeg1video"
    )
    (tmp_path / "a.mpg").write_bytes(small.read_bytes() + large.read_bytes())
    burn_in(tmp_path / "a.mpg", tmp_path / "b.mp4", NOTHING_SAID)
    pictures = shown(tmp_path / "b.mp4").pictures
    assert len(pictures) >= 18
    assert {picture.shape for picture in pictures} == {(64, 128, 3)}


@pytest.mark.parametrize(
    ("pix_fmt", "colours"),
    [("yuv420p", (2, 0)), ("yuv420p", (1, 1)), ("yuv420p", (5, 2)), ("yuv444p", (1, 1))],
)
def test_colours_stay(tmp_path: Path, pix_fmt: str, colours: tuple[int, int]) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    for index, colour in enumerate([(200, 40, 40), (40, 180, 60), (30, 60, 190), (230, 190, 160)]):
        picture[:, index * 24 : (index + 1) * 24] = colour
    source = write_video(tmp_path / "a.mkv", [picture] * 3, pix_fmt=pix_fmt, colours=colours)
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    before, after = (next(iter_frames(path)).astype(int) for path in (source, tmp_path / "b.mp4"))
    for column in range(12, 96, 24):
        assert np.abs(before[20:40, column] - after[20:40, column]).max() < 7


def test_damaged_packets_are_skipped(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (25, 64, 128, 3), dtype=np.uint8)
    source = write_video(tmp_path / "a.mkv", [a // 2 + b for a, b in zip(CLIP, noise, strict=True)])
    damaged = bytearray(source.read_bytes())
    for place in np.random.default_rng(1).integers(len(damaged) // 4, len(damaged) * 3 // 4, 12):
        damaged[place] ^= 0xFF
    source.write_bytes(damaged)
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    result = shown(tmp_path / "b.mp4")
    assert 10 <= len(result.times) <= 30
    assert (np.diff(result.times) > 0).all()


@pytest.mark.parametrize(
    ("name", "codec", "becomes"),
    [
        ("a.mp4", "aac", "aac"),
        ("a.ts", "aac", "aac"),
        ("a.mp4", "mp3", "mp3"),
        ("a.mp4", "ac3", "ac3"),
        ("a.webm", "libopus", "opus"),
        ("a.mkv", "eac3", "eac3"),
        ("a.mov", "alac", "alac"),
        ("a.mkv", "pcm_s16le", "aac"),
        ("a.avi", "pcm_s16le", "aac"),
        ("a.webm", "vorbis", "aac"),
        ("a.mkv", "flac", "aac"),
        ("a.mpg", "mp2", "aac"),
    ],
)
def test_the_sound_stays_with_the_pictures(tmp_path: Path, name: str, codec: str, becomes: str) -> None:
    pictures = {"a.webm": "libvpx-vp9", "a.mpg": "mpeg1video"}.get(name, "libx264")
    video = write_video(tmp_path / f"video{Path(name).suffix}", CLIP, codec=pictures)
    source = add_sound(video, tmp_path / name, codec, 48000 if codec == "libopus" else 44100)
    burn_in(source, tmp_path / "b.mp4", transcript(sentence("bin blue")))
    assert sound_codec(tmp_path / "b.mp4") == becomes
    np.testing.assert_allclose(clicks(tmp_path / "b.mp4"), clicks(source), atol=0.003)
    assert len(clicks(source)) == 4
    before, after = shown(source), shown(tmp_path / "b.mp4")
    assert len(after.times) == len(before.times)
    np.testing.assert_allclose(np.diff(after.times), np.diff(before.times), atol=1e-4)


def test_sound_that_mp4_holds_is_not_touched(tmp_path: Path) -> None:
    source = add_sound(write_video(tmp_path / "v.mp4", CLIP), tmp_path / "a.mp4", "aac")
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    packets = []
    for path in (source, tmp_path / "b.mp4"):
        with av.open(str(path)) as container:
            packets.append([(bytes(packet), packet.pts) for packet in container.demux(audio=0)])
    assert packets[0] == packets[1]


def test_damaged_sound_keeps_its_other_parts(tmp_path: Path) -> None:
    source = add_sound(write_video(tmp_path / "v.mpg", CLIP, codec="mpeg1video"), tmp_path / "a.mpg", "mp2")
    first = clicks(source)[0]
    damaged = bytearray(source.read_bytes())
    for place in np.random.default_rng(0).integers(len(damaged) // 3, len(damaged), 20):
        damaged[place] ^= 0xFF
    source.write_bytes(damaged)
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    assert len(shown(tmp_path / "b.mp4").times) >= 20
    assert clicks(tmp_path / "b.mp4")[0] == pytest.approx(first, abs=0.003)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_that_starts_later_still_does(tmp_path: Path, codec: str) -> None:
    video = write_video(tmp_path / "video.mkv", CLIP)
    source = add_sound(video, tmp_path / "a.mkv", codec, delay=0.3)
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    assert clicks(tmp_path / "b.mp4")[0] == pytest.approx(0.3, abs=0.005)


def test_sound_at_a_rate_that_aac_has_not_got_is_resampled(tmp_path: Path) -> None:
    source = add_sound(write_video(tmp_path / "v.mkv", CLIP), tmp_path / "a.mkv", "pcm_s16le", 18900, "mono")
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    np.testing.assert_allclose(clicks(tmp_path / "b.mp4"), [0, 0.25, 0.5, 0.75], atol=0.003)


def test_sound_that_cannot_be_kept_does_not_lose_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = add_sound(write_video(tmp_path / "v.mp4", CLIP), tmp_path / "a.mkv", "mp3", 11025, "mono")
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)  # so few samples a second are not for mp3 in an MP4
    assert sound_codec(tmp_path / "b.mp4") == "aac"
    monkeypatch.setattr(lipnet.sound, "AAC_BITS", -5)
    burn_in(source, tmp_path / "c.mp4", NOTHING_SAID)
    assert len(clicks(tmp_path / "c.mp4")) == 0
    assert len(shown(tmp_path / "c.mp4").times) == 25


def test_sound_of_an_unknown_kind_is_left_out(tmp_path: Path) -> None:
    source = add_sound(write_video(tmp_path / "v.mkv", CLIP), tmp_path / "a.mkv", "pcm_s16le")
    source.write_bytes(source.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT"))
    burn_in(source, tmp_path / "b.mp4", NOTHING_SAID)
    assert len(clicks(tmp_path / "b.mp4")) == 0
    assert len(shown(tmp_path / "b.mp4").times) == 25


def drawn(folder: Path, pictures: Sequence[np.ndarray], what: Transcript, debug: bool = False) -> np.ndarray:
    """Where the captioned pictures differ from the plain ones, (T, H, W) bool."""
    source = write_video(folder / "source.mkv", pictures, codec="ffv1", pix_fmt="bgr0")
    burn_in(source, folder / "captioned.mp4", what, debug)
    after = np.stack(shown(folder / "captioned.mp4").pictures).astype(int)
    return np.abs(after - np.stack(pictures)).max(axis=-1) > 40


def test_words_are_there_from_when_they_are_spoken(tmp_path: Path) -> None:
    there = drawn(tmp_path, GREY, transcript(sentence("bin blue at", 0.4, 0.2)))
    assert not there[:, :72].any()  # the upper half stays as it is
    ink = there.sum(axis=(1, 2))
    gone = round((1.0 + LINGER_S) * 25)
    assert not ink[:10].any() and not ink[gone:].any()
    assert ink[10:gone].all()
    widths = [np.flatnonzero(frame.any(axis=0)) for frame in there[10:gone]]
    assert len({columns[0] for columns in widths}) == 1  # words stand still
    grown = [index + 11 for index in range(len(widths) - 1) if widths[index + 1][-1] > widths[index][-1] + 4]
    assert grown == [15, 20]
    text = np.flatnonzero(there[25].any(axis=0))
    assert text[0] + text[-1] == pytest.approx(180, abs=3)  # in the middle


def test_time_that_damage_swallowed_counts_for_pictures_but_not_for_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = [(0.0, False), (0.04, False), (0.4, True), (0.44, False)]

    def decode(*arguments: object) -> Iterator[Picture]:
        yield from ((picture.copy(), *stamp) for picture, stamp in zip(GREY, stamps, strict=False))

    monkeypatch.setattr(lipnet.video, "_decode", decode)
    source = write_video(tmp_path / "a.mp4", GREY[:4])
    assert len(list(iter_frames(source))) == 4  # so what is read of the third picture is said at 0.08 s
    burn_in(source, tmp_path / "b.mp4", transcript(sentence("bin", 0.08)))
    result = shown(tmp_path / "b.mp4")
    np.testing.assert_allclose(result.times, [stamp for stamp, _ in stamps], atol=1e-5)
    bright = [bool((picture > 200).any()) for picture in result.pictures]
    assert bright == [False, False, True, True]


def test_the_word_that_is_spoken_is_coloured(tmp_path: Path) -> None:
    drawn(tmp_path, GREY, transcript(sentence("bin blue", 0.4, 0.2)))
    pictures = np.stack(shown(tmp_path / "captioned.mp4").pictures).astype(int)
    coloured = (np.ptp(pictures, axis=-1) > 60).any(axis=1)  # (T, W)
    assert coloured[10:20].any(axis=1).all()
    assert not coloured[:10].any() and not coloured[20:].any()
    first, second = np.flatnonzero(coloured[12]), np.flatnonzero(coloured[17])
    assert first[-1] < second[0]


def test_the_next_sentence_takes_the_place_of_the_last(tmp_path: Path) -> None:
    both = transcript(sentence("set", 1.0), sentence("bin blue at", 0.2))
    there, alone = drawn(tmp_path, GREY, both), drawn(tmp_path, GREY, transcript(sentence("set", 1.0)))
    assert there[24].sum() > 2 * there[25].sum()
    assert (there[25:30] != alone[25:30]).mean() < 0.001


LONG = "in the beginning there was nothing at all to be heard but incomprehensibilities of every kind"


@pytest.mark.parametrize("size", [(180, 144), (72, 128), (320, 96), (64, 48)])
def test_a_long_sentence_stays_inside_the_picture(tmp_path: Path, size: tuple[int, int]) -> None:
    there = drawn(
        tmp_path, [np.full((size[1], size[0], 3), 90, np.uint8)] * 50, transcript(sentence(LONG, 0, 0.1))
    )
    assert there.any(axis=(1, 2)).all()
    assert not there[:, :, 0].any() and not there[:, :, -1].any()
    assert not there[:, -1].any()


def test_words_of_a_long_sentence_do_not_move(tmp_path: Path) -> None:
    there = drawn(tmp_path, GREY, transcript(sentence("place white with w seven please now", 0.0, 0.2)))
    for before, after in pairwise(there):
        assert (before & ~after).sum() <= 0.1 * before.sum()


def face_track(found: Sequence[bool]) -> FaceTrack:
    """A face in the middle of 180x144 px whose mouth crop shows what is left above of the middle."""
    landmarks = np.full((len(found), 68, 2), (90.0, 80.0), np.float32)
    landmarks[:, STABLE] = STABLE_FACE * 30 + (90, 60)
    to_crop = np.tile(np.diag([2.0, 2.0, 1.0]), (len(found), 1, 1))
    return FaceTrack(landmarks, np.array(found), to_crop)


def test_debug_draws_landmarks_box_and_crop(tmp_path: Path) -> None:
    picture = np.full((144, 180, 3), 90, np.uint8)
    picture[10:20, 20:40] = (30, 30, 220)
    what = transcript(track=face_track([True] * 10 + [False] * 5))
    there = drawn(tmp_path, [picture] * 20, what, debug=True)
    pictures = np.stack(shown(tmp_path / "captioned.mp4").pictures).astype(int)
    seen, filled = pictures[5], pictures[12]
    green, orange = (seen[..., 1] - seen[..., 0] > 80), (filled[..., 0] - filled[..., 2] > 80)
    assert what.track is not None
    for x, y in np.rint(what.track.landmarks[0]).astype(int):
        assert green[y - 2 : y + 3, x - 2 : x + 3].any()
        assert orange[y - 2 : y + 3, x - 2 : x + 3].any()
    assert green.any(axis=0).sum() > 60  # the box
    np.testing.assert_array_equal(there[14], there[19])  # beyond its end the track stands still
    blue = seen[:40, :70, 2] - seen[:40, :70, 0] > 80  # the crop's, (40 ... 80, 20 ... 40) of (100, 50)
    rows, columns = np.nonzero(blue[2:, 2:])
    scale = 63 / 100
    assert (columns.min(), columns.max()) == pytest.approx((40 * scale, 80 * scale), abs=3)
    assert rows.max() == pytest.approx(40 * scale, abs=3)


@pytest.mark.parametrize("track", [None, face_track([])])
def test_debug_without_a_track_draws_only_words(tmp_path: Path, track: FaceTrack | None) -> None:
    assert not drawn(tmp_path, GREY[:5], transcript(track=track), debug=True).any()


def test_a_track_is_not_drawn_unless_asked_for(tmp_path: Path) -> None:
    assert not drawn(tmp_path, GREY[:5], transcript(track=face_track([True] * 5))).any()


def test_paths_need_not_be_ascii(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a b: é.mp4", CLIP[:5])
    target = tmp_path / "новая папка" / "ü: %d.MP4"
    burn_in(source, target, NOTHING_SAID)
    assert len(shown(target).times) == 5
    assert os.listdir(target.parent) == [target.name]


def test_the_source_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_video(tmp_path / "a.mp4", CLIP[:5])
    content = source.read_bytes()
    (tmp_path / "link.mp4").symlink_to(source)
    monkeypatch.chdir(tmp_path)
    for target in (source, tmp_path / "link.mp4", Path("a.mp4"), Path("../") / tmp_path.name / "a.mp4"):
        with pytest.raises(LipnetError, match="is the video itself"):
            burn_in(source, target, NOTHING_SAID)
    assert source.read_bytes() == content


@pytest.mark.parametrize("name", ["b.avi", "b", "folder.mp4", "a.mp4/b.mp4"])
def test_a_target_that_cannot_be_is_one_line(tmp_path: Path, name: str) -> None:
    source = write_video(tmp_path / "a.mp4", CLIP[:5])
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(LipnetError) as raised:
        burn_in(source, tmp_path / name, NOTHING_SAID)
    assert str(raised.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(raised.value)
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "folder.mp4"]


@pytest.mark.parametrize("content", [None, b"", b"bin blue at f two now\n" * 100])
def test_no_video_is_one_line_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(VideoError) as raised:
        burn_in(tmp_path / "a.mp4", tmp_path / "new" / "b.mp4", NOTHING_SAID)
    assert str(raised.value).startswith(f"{tmp_path / 'a.mp4'}: ")
    assert not (tmp_path / "new").exists()


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_video(tmp_path / "a.mp4", CLIP)
    (tmp_path / "b.mp4").write_bytes(b"old")

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lipnet.captions, "_render", fail)
    with pytest.raises(KeyboardInterrupt):
        burn_in(source, tmp_path / "b.mp4", transcript(sentence("bin blue")))
    assert (tmp_path / "b.mp4").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "b.mp4"]


def test_real_clips_keep_their_pictures_times_and_sound(grid_root: Path, tmp_path: Path) -> None:
    source = grid_root / "original/s1/sgib8n.mpg"
    burn_in(source, tmp_path / "b.mp4", transcript(sentence("set green in b eight now")))
    before, after = shown(source), shown(tmp_path / "b.mp4")
    np.testing.assert_allclose(after.times - after.times[0], before.times - before.times[0], atol=1e-4)
    assert sound_codec(tmp_path / "b.mp4") == "aac"
    assert cv2.PSNR(after.pictures[5][:200], before.pictures[5][:200]) > 35
