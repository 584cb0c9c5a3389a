"""Broken and unsuitable files: a transcript, with warnings, or an error of one line; never a crash."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny import SCRIPTS
from video_files import words_that_differ, write_sound, write_video

from lipnet.data.splits import read_split
from lipnet.errors import LipnetError
from lipnet.inference.reader import LipReader
from lipnet.inference.transcript import Transcript
from lipnet.video.decode import iter_frames

MAX_SECONDS = 20.0  # to read any of the files, of 3 s or less


@pytest.fixture(scope="module")
def reader() -> LipReader:
    return LipReader.load(decoder="grammar")


@pytest.fixture(scope="module")
def clips(grid_root: Path) -> list[Path]:
    """Originals and re-encoded clips of several speakers, three seconds each."""
    names = read_split(grid_root / "splits" / "dev_unseen.txt")[::10]
    return [*sorted((grid_root / "original").glob("*/*.mpg")), *(grid_root / f"{n}.mp4" for n in names)]


def broken(clips: list[Path], rng: np.random.Generator) -> bytes:
    """A clip with some bytes flipped, cut short or out, or mixed with another one."""
    data = bytearray(clips[rng.integers(len(clips))].read_bytes())
    how = rng.integers(4)
    if how == 0:
        for place in rng.integers(0, len(data), int(10 ** rng.uniform(0, 4))):
            data[place] ^= 1 << rng.integers(8)
    elif how == 1:
        del data[rng.integers(len(data)) :]
    elif how == 2:
        first, last = sorted(rng.integers(0, len(data), 2))
        del data[first:last]
    else:
        other = clips[rng.integers(len(clips))].read_bytes()
        first, last = sorted(rng.integers(0, min(len(data), len(other)), 2))
        data[first:last] = other[first:last]
    return bytes(data)


def write_unsuitable_files(folder: Path, frames: list[np.ndarray]) -> list[Path]:
    """Files without a talking face, some of them made from ``frames`` of one, (H, W, 3) uint8 RGB."""
    (folder / "empty.mp4").write_bytes(b"")
    write_sound(folder / "sound.mp4")
    cv2.imwrite(str(folder / "image.png"), frames[0][..., ::-1])
    (folder / "image.mp4").write_bytes((folder / "image.png").read_bytes())
    write_video(folder / "one.mp4", frames[:1])
    write_video(folder / "ten.mp4", [frame[:10, :10] for frame in frames[:20]])
    noise = np.random.default_rng(0).integers(0, 256, (288, 360, 3), dtype=np.uint8)
    write_video(folder / "wall.mp4", [cv2.GaussianBlur(noise, None, 3)] * 75)
    write_video(folder / "odd.mkv", [frame[:287, :359] for frame in frames], codec="ffv1", pix_fmt="bgr0")
    whole = write_video(folder / "index.mp4", frames).read_bytes()
    (folder / "index.mp4").write_bytes(whole.replace(b"stsz", b"stzz"))
    return sorted(folder.iterdir())


def outcomes(reader: LipReader, paths: list[Path]) -> Iterator[tuple[Path, Transcript | LipnetError]]:
    """Read one by one, each in time."""
    for path in paths:
        started = time.monotonic()
        [(_, outcome)] = reader.read_all([path])
        assert time.monotonic() - started < MAX_SECONDS, path
        yield path, outcome


def assert_words_or_one_line(path: Path, outcome: Transcript | LipnetError) -> None:
    if isinstance(outcome, LipnetError):
        assert "\n" not in str(outcome) and str(outcome).startswith(str(path)), outcome
    else:
        assert outcome.words or outcome.warnings


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_broken_files(count: int, clips: list[Path], reader: LipReader, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i:03}{clips[i % len(clips)].suffix}" for i in range(count)]
    for path in paths:
        path.write_bytes(broken(clips, rng))
    read = 0
    for path, outcome in outcomes(reader, paths):
        assert_words_or_one_line(path, outcome)
        read += isinstance(outcome, Transcript)
    assert read > count / 2  # damage costs the frames that it hits, not the file


def test_files_that_show_no_talking_face(clips: list[Path], reader: LipReader, tmp_path: Path) -> None:
    frames = list(iter_frames(clips[-1]))
    paths = write_unsuitable_files(tmp_path, frames)
    found = dict(outcomes(reader, paths))
    for path, outcome in found.items():
        assert_words_or_one_line(path, outcome)
    readable = {path.name for path, outcome in found.items() if isinstance(outcome, Transcript)}
    assert "odd.mkv" in readable and not readable & {"empty.mp4", "sound.mp4", "ten.mp4", "wall.mp4"}
    odd = found[tmp_path / "odd.mkv"]
    plain = reader.read(clips[-1])
    assert isinstance(odd, Transcript) and words_that_differ(odd.text, plain.text) <= 1
    for name in readable & {"one.mp4", "image.png", "image.mp4"}:
        outcome = found[tmp_path / name]
        assert isinstance(outcome, Transcript) and outcome.warnings


@pytest.mark.slow
def test_in_a_folder_the_good_ones_are_read(clips: list[Path], tmp_path: Path) -> None:
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    write_unsuitable_files(folder, list(iter_frames(clips[-1])))
    (folder / "good.mp4").write_bytes(clips[-1].read_bytes())
    command = [sys.executable, SCRIPTS / "predict.py", folder, "--format", "json,srt", "--out", out]
    result = subprocess.run([*map(str, command), "--save", str(out)], capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    written = {path.name for path in out.iterdir()}
    assert {"good.json", "good.srt", "good.mp4", "odd.json", "predictions.csv"} <= written
    assert not [name for name in written if name.startswith((".", "empty", "sound", "wall"))]
    for name in ("empty.mp4", "sound.mp4", "wall.mp4", "ten.mp4"):
        assert sum(f"/{name}: " in line for line in result.stderr.splitlines()) == 1
