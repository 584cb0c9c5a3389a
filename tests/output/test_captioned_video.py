"""Captioned video: the same pictures at the same times, and no partial file after a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from captioned import CLIP, NO_WORDS, audio_codec, played, sentence, transcript, with_captions
from video_files import damage, number_of, numbered, write_video

import lipnet.output.captioned_video
import lipnet.video.decode
from lipnet.errors import LipnetError
from lipnet.output.captioned_video import burn_in
from lipnet.output.overlay import CaptionOverlay
from lipnet.video.decode import VideoError, iter_frames
from lipnet.video.resample import Picture


def test_pictures_keep_their_order_and_times(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", CLIP)
    target = with_captions(source)
    result = played(target)
    assert [number_of(picture) for picture in result.pictures] == list(range(25))
    np.testing.assert_allclose(result.times, played(source).times, atol=1e-5)
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.video[0].pix_fmt == "yuv420p"
    assert target.read_bytes().index(b"moov") < 100  # at the start, so that it plays while it loads


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(15), Fraction(25), Fraction(24000, 1001)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_constant_rates_keep_times_and_duration(tmp_path: Path, name: str, rate: Fraction) -> None:
    source = write_video(tmp_path / name, CLIP, rate=rate)
    result = played(with_captions(source))
    assert result.times[0] == 0
    np.testing.assert_allclose(np.diff(result.times), np.diff(played(source).times), atol=1e-4)
    assert result.end == pytest.approx(25 / rate, abs=0.001)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_variable_rate_is_kept(tmp_path: Path, name: str) -> None:
    times = np.cumsum([1000, 40, 40, 21, 33, 95, 40, 310, 17, 17, 40, 47, 80, 40])
    source = write_video(tmp_path / name, CLIP[:14], times_ms=times.tolist())
    result = played(with_captions(source))
    np.testing.assert_allclose(result.times, (times - times[0]) / 1000, atol=1e-5)
    assert result.end == pytest.approx((times[-1] - times[0]) / 1000 + 0.04, abs=0.001)


@pytest.mark.parametrize(("name", "codec"), [("a.h264", "libx264"), ("a.m1v", "mpeg1video")])
def test_a_stream_without_time_stamps_gets_a_constant_rate(tmp_path: Path, name: str, codec: str) -> None:
    result = played(with_captions(write_video(tmp_path / name, CLIP, codec=codec)))
    np.testing.assert_allclose(result.times, np.arange(25) / 25, atol=1e-5)
    assert result.end == pytest.approx(1.0, abs=0.001)


def test_times_always_increase(tmp_path: Path) -> None:
    first, second = (write_video(tmp_path / f"{i}.mpg", CLIP, codec="mpeg1video") for i in range(2))
    (tmp_path / "a.mpg").write_bytes(first.read_bytes() + second.read_bytes())
    steps = np.diff(played(with_captions(tmp_path / "a.mpg")).times)
    assert len(steps) >= 48
    assert steps.min() > 0.039 and steps.max() < 0.09

    far = write_video(tmp_path / "a.mkv", CLIP[:5], times_ms=[0, 40, 80, 36_000_000, 36_000_040])
    np.testing.assert_allclose(played(with_captions(far)).times, np.arange(5) / 25, atol=1e-5)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_rotation_is_applied_to_the_pixels(tmp_path: Path, rotation: int) -> None:
    upright = np.full((64, 128, 3), 40, np.uint8)
    upright[:24, :48] = (220, 60, 60)
    stored = np.rot90(upright, -rotation // 90)
    source = write_video(tmp_path / "a.mp4", [stored] * 3, rotation=rotation)
    with av.open(str(with_captions(source))) as container:
        frame = next(container.decode(video=0))
        assert frame.rotation == 0
        assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - upright).mean() < 8


@pytest.mark.parametrize("rotation", [0, 90])
def test_the_pixel_aspect_ratio_is_kept(tmp_path: Path, rotation: int) -> None:
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
    with av.open(str(with_captions(tmp_path / "a.mp4"))) as container:
        expected = Fraction(15, 16) if rotation else Fraction(16, 15)
        assert container.streams.video[0].sample_aspect_ratio == expected


def test_odd_sizes_are_padded_with_their_edge(tmp_path: Path) -> None:
    picture = np.full((63, 95, 3), 60, np.uint8)
    picture[-1:] = picture[:, -1:] = 200
    source = write_video(tmp_path / "a.mkv", [picture] * 5, codec="ffv1")
    burn_in(source, tmp_path / "b.mp4", NO_WORDS)
    result = played(tmp_path / "b.mp4").pictures[2].astype(int)
    assert result.shape == (64, 96, 3)
    assert np.abs(result[:63, :95] - picture).mean() < 4
    assert np.abs(result[-1] - 200).mean() < 8 and np.abs(result[:, -1] - 200).mean() < 8


def test_pictures_are_scaled_to_the_size_of_the_first(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.mpg", CLIP[:10], codec="mpeg1video")
    large = write_video(
        tmp_path / "large.mpg", [numbered(i, 256, 128) for i in range(10)], codec="mpeg1video"
    )
    (tmp_path / "a.mpg").write_bytes(small.read_bytes() + large.read_bytes())
    pictures = played(with_captions(tmp_path / "a.mpg")).pictures
    assert len(pictures) >= 18
    assert {picture.shape for picture in pictures} == {(64, 128, 3)}


@pytest.mark.parametrize(
    ("pix_fmt", "colours"),
    [("yuv420p", (2, 0)), ("yuv420p", (1, 1)), ("yuv420p", (5, 2)), ("yuv444p", (1, 1))],
)
def test_colours_are_preserved(tmp_path: Path, pix_fmt: str, colours: tuple[int, int]) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    for index, colour in enumerate([(200, 40, 40), (40, 180, 60), (30, 60, 190), (230, 190, 160)]):
        picture[:, index * 24 : (index + 1) * 24] = colour
    source = write_video(tmp_path / "a.mkv", [picture] * 3, pix_fmt=pix_fmt, colours=colours)
    before, after = (next(iter_frames(path)).astype(int) for path in (source, with_captions(source)))
    for column in range(12, 96, 24):
        assert np.abs(before[20:40, column] - after[20:40, column]).max() < 7


def test_damaged_packets_are_skipped(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (25, 64, 128, 3), dtype=np.uint8)
    source = write_video(tmp_path / "a.mkv", [a // 2 + b for a, b in zip(CLIP, noise, strict=True)])
    damage(source, 12, 1 / 4, 3 / 4, seed=1)
    result = played(with_captions(source))
    assert 10 <= len(result.times) <= 30
    assert (np.diff(result.times) > 0).all()
    assert capfd.readouterr().err == ""  # neither FFmpeg nor x264 prints anything


def test_gaps_from_damage_count_for_pictures_but_not_for_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = [np.full((144, 180, 3), 90, np.uint8)] * 4
    stamps = [(0.0, False), (0.04, False), (0.4, True), (0.44, False)]

    def decode(*arguments: object) -> Iterator[Picture]:
        yield from (Picture(picture.copy(), *stamp) for picture, stamp in zip(grey, stamps, strict=True))

    for module in (lipnet.video.decode, lipnet.output.captioned_video):
        monkeypatch.setattr(module, "decode_pictures", decode)
    source = write_video(tmp_path / "a.mp4", grey)
    assert len(list(iter_frames(source))) == 4  # so a word in the third picture is at 0.08 s
    result = played(with_captions(source, transcript(sentence("bin", 0.08))))
    np.testing.assert_allclose(result.times, [stamp for stamp, _ in stamps], atol=1e-5)
    bright = [bool((picture > 200).any()) for picture in result.pictures]
    assert bright == [False, False, True, True]


def test_paths_with_other_than_ascii_characters(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a b: é.mp4", CLIP[:5])
    target = tmp_path / "новая папка" / "ü: %d.MP4"
    burn_in(source, target, NO_WORDS)
    assert len(played(target).times) == 5
    assert os.listdir(target.parent) == [target.name]


def test_the_source_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_video(tmp_path / "a.mp4", CLIP[:5])
    content = source.read_bytes()
    (tmp_path / "link.mp4").symlink_to(source)
    monkeypatch.chdir(tmp_path)
    for target in (source, tmp_path / "link.mp4", Path("a.mp4"), Path("../") / tmp_path.name / "a.mp4"):
        with pytest.raises(LipnetError, match="is the video itself"):
            burn_in(source, target, NO_WORDS)
    assert source.read_bytes() == content


@pytest.mark.parametrize("name", ["b.avi", "b", "folder.mp4", "a.mp4/b.mp4"])
def test_an_impossible_target_is_a_one_line_error(tmp_path: Path, name: str) -> None:
    source = write_video(tmp_path / "a.mp4", CLIP[:5])
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(LipnetError) as raised:
        burn_in(source, tmp_path / name, NO_WORDS)
    assert str(raised.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(raised.value)
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "folder.mp4"]


@pytest.mark.parametrize("content", [None, b"", b"bin blue at f two now\n" * 100])
def test_an_unreadable_source_is_a_one_line_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(VideoError) as raised:
        burn_in(tmp_path / "a.mp4", tmp_path / "new" / "b.mp4", NO_WORDS)
    assert str(raised.value).startswith(f"{tmp_path / 'a.mp4'}: ")
    assert not (tmp_path / "new").exists()


def test_a_failure_leaves_the_existing_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_video(tmp_path / "a.mp4", CLIP)
    (tmp_path / "b.mp4").write_bytes(b"old")

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CaptionOverlay, "draw", fail)
    with pytest.raises(KeyboardInterrupt):
        burn_in(source, tmp_path / "b.mp4", transcript(sentence("bin blue")))
    assert (tmp_path / "b.mp4").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "b.mp4"]


def test_progress_is_told_and_may_end_the_writing(tmp_path: Path) -> None:
    source, target, done = write_video(tmp_path / "a.mp4", CLIP), tmp_path / "b.mp4", []
    burn_in(source, target, NO_WORDS, progress=done.append)
    assert done == pytest.approx([index / 25 for index in range(25)])
    content = target.read_bytes()

    def stop(seconds: float) -> None:
        raise LipnetError("enough")

    with pytest.raises(LipnetError, match=r"^enough$"):
        burn_in(source, target, NO_WORDS, progress=stop)
    assert target.read_bytes() == content and {path.name for path in tmp_path.iterdir()} == {"a.mp4", "b.mp4"}


def test_real_clips_keep_their_pictures_times_and_audio(grid_root: Path, tmp_path: Path) -> None:
    source = grid_root / "original/s1/sgib8n.mpg"
    target = tmp_path / "b.mp4"
    burn_in(source, target, transcript(sentence("set green in b eight now")))
    before, after = played(source), played(target)
    np.testing.assert_allclose(after.times - after.times[0], before.times - before.times[0], atol=1e-4)
    assert audio_codec(target) == "aac"
    assert cv2.PSNR(after.pictures[5][:200], before.pictures[5][:200]) > 35
