"""The audio of a captioned video: kept, and in sync with the pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from captioned import CLIP, audio_codec, played, sentence, transcript, with_captions
from video_files import damage, write_video

import lipnet.video.audio


def clip_with_audio(
    path: Path, codec: str, rate: int = 44100, layout: str = "stereo", delay: float = 0.0
) -> Path:
    """Write a second of pictures, and a click every quarter of a second from ``delay`` seconds on."""
    pictures_codec = {".webm": "libvpx-vp9", ".mpg": "mpeg1video"}.get(path.suffix, "libx264")
    silent = write_video(path.with_stem("silent"), CLIP, codec=pictures_codec)
    with av.open(str(silent)) as source, av.open(str(path), "w") as target:
        pictures = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        for packet in packets:
            packet.stream = pictures
        audio = target.add_stream(codec, rate=rate, layout=layout, options={"strict": "experimental"})
        samples = np.zeros((1, rate), np.float32)
        for click in range(4):
            samples[0, click * rate // 4 :][: rate // 100] = 0.8
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, round(delay * rate), Fraction(1, rate)
        packets += [*audio.encode(frame), *audio.encode()]
        target.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return path


def clicks(path: Path) -> np.ndarray:
    """Times of the clicks, in seconds after the first picture; none if there is no audio."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0)) if container.streams.audio else []
    loud = [np.empty(0)]
    for frame in frames:
        samples = av.AudioResampler("fltp", "mono").resample(frame)[0].to_ndarray()[0]
        loud.append(frame.time + np.flatnonzero(np.abs(samples) > 0.3) / frame.sample_rate)
    times = np.concatenate(loud)
    return times[np.diff(times, prepend=-9.0) > 0.1] - played(path).times[0]


def assert_silent(path: Path) -> None:
    """All pictures are there, and no audio."""
    assert len(clicks(path)) == 0
    assert len(played(path).times) == len(CLIP)


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
def test_audio_stays_in_sync(tmp_path: Path, name: str, codec: str, becomes: str) -> None:
    source = clip_with_audio(tmp_path / name, codec, 48000 if codec == "libopus" else 44100)
    target = with_captions(source, transcript(sentence("bin blue")))
    assert audio_codec(target) == becomes
    np.testing.assert_allclose(clicks(target), clicks(source), atol=0.003)
    assert len(clicks(source)) == 4
    before, after = played(source), played(target)
    assert len(after.times) == len(before.times)
    np.testing.assert_allclose(np.diff(after.times), np.diff(before.times), atol=1e-4)


def test_audio_that_mp4_supports_is_copied(tmp_path: Path) -> None:
    source = clip_with_audio(tmp_path / "a.mp4", "aac")
    packets = []
    for path in (source, with_captions(source)):
        with av.open(str(path)) as container:
            packets.append([(bytes(packet), packet.pts) for packet in container.demux(audio=0)])
    assert packets[0] == packets[1]


def test_damaged_audio_keeps_its_other_parts(tmp_path: Path) -> None:
    source = clip_with_audio(tmp_path / "a.mpg", "mp2")
    first = clicks(source)[0]
    damage(source, 20, 1 / 3)
    target = with_captions(source)
    assert len(played(target).times) >= 20
    assert clicks(target)[0] == pytest.approx(first, abs=0.003)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_audio_that_starts_later_still_does(tmp_path: Path, codec: str) -> None:
    source = clip_with_audio(tmp_path / "a.mkv", codec, delay=0.3)
    assert clicks(with_captions(source))[0] == pytest.approx(0.3, abs=0.005)


def test_audio_at_a_rate_that_aac_lacks_is_resampled(tmp_path: Path) -> None:
    source = clip_with_audio(tmp_path / "a.mkv", "pcm_s16le", 18900, "mono")
    np.testing.assert_allclose(clicks(with_captions(source)), [0, 0.25, 0.5, 0.75], atol=0.003)


def test_without_usable_audio_the_video_is_still_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clip_with_audio(tmp_path / "a.mkv", "mp3", 11025, "mono")
    assert audio_codec(with_captions(source)) == "aac"  # MP4 does not support mp3 at this sample rate
    monkeypatch.setattr(lipnet.video.audio, "AAC_BIT_RATE", -5)
    assert_silent(with_captions(source))


def test_audio_of_an_unknown_codec_is_left_out(tmp_path: Path) -> None:
    source = clip_with_audio(tmp_path / "a.mkv", "pcm_s16le")
    source.write_bytes(source.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT"))
    assert_silent(with_captions(source))
