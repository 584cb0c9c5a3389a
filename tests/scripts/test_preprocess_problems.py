"""preprocess.py: videos that are left out, full disks, and output that cannot be written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import video_files
from noise_videos import FIXED, write_noise_videos
from tiny import (
    SCRIPTS,
    Result,
    run_script,
)

from lipnet.data.crop_store import CropStore


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_videos(tmp_path_factory.mktemp("videos"))


def test_videos_that_are_too_large(videos: Path, tmp_path: Path) -> None:
    given = ("preprocess", videos, "--out", tmp_path / "out", "--speakers", "s2", *FIXED, "--max-pixels")
    result = run_script(*given, "359x288")
    assert result.code == 2
    assert "\n  s2/swiq9a: " in result.err and "pictures of 360x288 px have more than" in result.err
    assert "make them smaller, as by ffmpeg -i IN -vf scale=1280:-2 OUT, or give --max-pixels\n" in result.err
    assert run_script(*given, "360x288").code == 0


def test_a_video_of_still_pictures_is_named(videos: Path, tmp_path: Path) -> None:
    """Eight pictures that claim more than a minute; the warning of the pauses comes once, as a line."""
    root = tmp_path / "corpus" / "s1"
    shutil.copytree(videos / "s1", root)
    pictures = [video_files.numbered(number, 360, 288) for number in range(8)]
    video_files.write_video(root / "take.mkv", pictures, times_ms=[9900 * number for number in range(8)])
    (root / "take.txt").write_text("bin blue")
    result = run_script("preprocess", tmp_path / "corpus", "--out", tmp_path / "out", *FIXED)
    assert result.code == 1
    assert "\n  s1/take: " in result.err and "take.mkv: has 8 pictures for 1" in result.err
    [line] = [line for line in result.err.replace("\r", "\n").splitlines() if "shows still" in line]
    assert line.startswith(f"warning: {root}/take.mkv: shows still pictures for more than 60 s")


def test_a_clip_with_an_unexpected_error_is_named(videos: Path, tmp_path: Path) -> None:
    """A stand-in for any bug: an array file whose header needs more memory than there is."""
    root = tmp_path / "corpus" / "s1"
    root.mkdir(parents=True)
    np.save(root / "bbaf2n.npy", np.zeros((5, 16, 24, 3), np.uint8))
    content = (root / "bbaf2n.npy").read_bytes()
    (root / "lgbm5p.npy").write_bytes(content.replace(b"(5, 16,", b"(9" + b"0" * 14 + b", 16,", 1))
    given = ("preprocess", tmp_path / "corpus", "--import", "npy", "--out", tmp_path / "out", *FIXED)
    result = run_script(*given)
    assert result.code == 1 and "1 clips cropped, 0 were there already, 1 left out" in result.out
    assert "\n  s1/lgbm5p: " in result.err and "Traceback" not in result.err


def test_many_problems_are_counted(videos: Path, tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    shutil.copytree(videos, corpus)
    for index in range(30):
        (corpus / "s1" / f"take{index}.mp4").write_bytes(b"")
    result = run_script("preprocess", corpus, "--out", out, *FIXED)
    lines = result.err[result.err.index("left out 30 clips:") :].splitlines()
    assert len([line for line in lines if line.startswith("  s1/take")]) == 20
    assert f"  and 10 more, all of them in {out}/left_out.txt" in lines
    assert len((out / "left_out.txt").read_text().splitlines()) == 30
    shutil.rmtree(corpus)
    shutil.copytree(videos, corpus)
    assert run_script("preprocess", corpus, "--out", out, *FIXED).code == 0
    assert not (out / "left_out.txt").exists()


def unreadable_stdout(*arguments: object, encoding: str = "ascii", out: str = "/dev/full") -> Result:
    """The script with standard output that cannot be written, or in another encoding."""
    command = [sys.executable, str(SCRIPTS / "preprocess.py"), *map(str, arguments)]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    with open(out, "w") as file:
        done = subprocess.run(
            command, stdout=file, stderr=subprocess.PIPE, text=True, env=environment, timeout=60
        )
    return Result(done.returncode, "", done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_output_that_cannot_be_written(videos: Path, tmp_path: Path) -> None:
    given = (videos, "--speakers", "s2", "--out", tmp_path / "crops é", *FIXED)
    full = unreadable_stdout(*given)
    assert full.code == 2 and "Traceback" not in full.err
    assert "error: cannot write (no space left on device)" in full.err.splitlines()[-1]
    log = tmp_path / "log"
    assert unreadable_stdout(*given, out=str(log)).code == 0
    assert "crops \\xe9: nothing to do, all 1 clips are there" in log.read_text()


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limits of files' sizes")
def test_a_full_disk_keeps_the_clips_before(videos: Path, tmp_path: Path) -> None:
    """A limit of the size of files stands for it: the array of all clips may be as large as two of them."""
    import resource

    corpus, clip = tmp_path / "corpus" / "s1", min((videos / "s1").glob("*.mp4"))
    corpus.mkdir(parents=True)
    for clip_id in ("bbaf2n", "lgbm5p", "prwazs"):
        shutil.copy(clip, corpus / f"{clip_id}.mp4")
    given = (corpus.parent, "--out", tmp_path / "out", *FIXED)
    size = 5 * 24 * 16 * 3 * 2

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))

    command = [sys.executable, str(SCRIPTS / "preprocess.py"), *map(str, given)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 2
    error = done.stderr.splitlines()[-1]
    assert error.startswith(f"error: {tmp_path / 'out' / 's1.u8'}: file too large; check the path"), error
    assert list(CropStore(tmp_path / "out").clips) == ["s1/bbaf2n", "s1/lgbm5p"]
    assert (tmp_path / "out" / "s1.u8").stat().st_size == size
    assert "1 clips cropped, 2 were there already" in run_script("preprocess", *given).out
