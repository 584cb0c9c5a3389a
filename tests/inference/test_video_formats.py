"""Real clips in other containers, codecs, frame rates, sizes and poses give the same words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest
from video_files import words_that_differ, write_video

from lipnet.data.splits import read_split
from lipnet.inference.reader import LipReader
from lipnet.video.decode import iter_frames

Frames = Sequence[np.ndarray]
CLIPS = 10


def resample(frames: Frames, rate: Fraction) -> Frames:
    """The picture shown at each moment of another rate."""
    count = int(len(frames) * rate / 25)
    return [frames[min(int((i + Fraction(1, 2)) * 25 / rate), len(frames) - 1)] for i in range(count)]


def sized(width: int, height: int) -> Callable[[Frames], Frames]:
    """Scaled to fit, black bars beside."""

    def change(frames: Frames) -> Frames:
        scale = min(width / frames[0].shape[1], height / frames[0].shape[0])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scaled = [cv2.resize(frame, None, fx=scale, fy=scale, interpolation=how) for frame in frames]
        rest = width - scaled[0].shape[1], height - scaled[0].shape[0]
        bars = rest[1] // 2, rest[1] - rest[1] // 2, rest[0] // 2, rest[0] - rest[0] // 2
        return [cv2.copyMakeBorder(frame, *bars, cv2.BORDER_CONSTANT) for frame in scaled]

    return change


def padded(frames: Frames) -> Frames:
    return [cv2.copyMakeBorder(frame, 20, 160, 220, 30, cv2.BORDER_CONSTANT) for frame in frames]


def rolled(frames: Frames) -> Frames:
    height, width = frames[0].shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 10, 1)
    return [cv2.warpAffine(f, turn, (width, height), borderMode=cv2.BORDER_REPLICATE) for f in frames]


def grey(frames: Frames) -> Frames:
    return [cv2.cvtColor(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) for f in frames]


def with_rate(rate: Fraction) -> Callable[[Path, Frames], Path]:
    return lambda path, frames: write_video(path, resample(frames, rate), rate)


def with_variable_rate(path: Path, frames: Frames) -> Path:
    """Pictures at uneven times, a tenth of them missing."""
    rng = np.random.default_rng(0)
    kept = [0, *(i for i in range(1, len(frames)) if rng.random() > 0.1)]
    times = [40 * i + (0 if i == 0 else int(rng.integers(-12, 13))) for i in kept]
    return write_video(path, [frames[i] for i in kept], times_ms=times)


def changed(change: Callable[[Frames], Frames]) -> Callable[[Path, Frames], Path]:
    return lambda path, frames: write_video(path, change(frames))


def turned(path: Path, frames: Frames) -> Path:
    return write_video(path, [np.rot90(frame).copy() for frame in frames], rotation=-90)


VARIANTS: dict[str, tuple[str, Callable[[Path, Frames], Path]]] = {
    "MPEG-1": ("mpg", lambda path, frames: write_video(path, frames, codec="mpeg1video")),
    "H.264": ("mp4", write_video),
    "VP9": ("webm", lambda path, frames: write_video(path, frames, codec="libvpx-vp9")),
    "MJPEG": ("avi", lambda path, frames: write_video(path, frames, codec="mjpeg", pix_fmt="yuvj420p")),
    "15 fps": ("mp4", with_rate(Fraction(15))),
    "24 fps": ("mp4", with_rate(Fraction(24))),
    "29.97 fps": ("mp4", with_rate(Fraction(30000, 1001))),
    "50 fps": ("mp4", with_rate(Fraction(50))),
    "60 fps": ("mp4", with_rate(Fraction(60))),
    "variable rate": ("mp4", with_variable_rate),
    "180x144": ("mp4", changed(sized(180, 144))),
    "720x576": ("mp4", changed(sized(720, 576))),
    "1920x1080": ("mp4", changed(sized(1920, 1080))),
    "off centre": ("mp4", changed(padded)),
    "rolled": ("mp4", changed(rolled)),
    "turned": ("mp4", turned),
    "grey": ("mp4", changed(grey)),
}
REPORTED_ONLY = {"15 fps", "180x144"}


@pytest.fixture(scope="module")
def reader() -> LipReader:
    return LipReader.load(decoder="grammar")


@pytest.fixture(scope="module")
def clips(grid_root: Path, reader: LipReader) -> list[tuple[Frames, str]]:
    """Frames of seen and unseen speakers' clips, and the text of each clip as it is."""
    splits = [read_split(grid_root / "splits" / f"{name}.txt") for name in ("dev_seen", "dev_unseen")]
    names = [name for split in splits for name in split[:: 2 * len(split) // CLIPS][: CLIPS // 2]]
    paths = [grid_root / f"{name}.mp4" for name in names]
    return [(list(iter_frames(path)), reader.read(path).text) for path in paths]


IN_DEFAULT_SUITE = {"MPEG-1", "variable rate"}


@pytest.mark.parametrize(
    "variant",
    [
        variant if variant in IN_DEFAULT_SUITE else pytest.param(variant, marks=pytest.mark.slow)
        for variant in VARIANTS
    ],
)
def test_a_variant_of_a_clip_gives_the_same_words(
    variant: str,
    clips: list[tuple[Frames, str]],
    reader: LipReader,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    suffix, write = VARIANTS[variant]
    differing = [
        words_that_differ(text, reader.read(write(tmp_path / f"{i}.{suffix}", frames)).text)
        for i, (frames, text) in enumerate(clips)
    ]
    record_property(variant, differing)
    print(f"{variant}: words that differ in each clip: {differing}")
    if variant not in REPORTED_ONLY:
        assert median(differing) <= 1 and max(differing) <= 2, differing
