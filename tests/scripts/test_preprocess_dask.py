"""preprocess.py --dask: the workers of a Dask cluster, one of which is killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noise_videos import FIXED, write_noise_videos
from tiny import SCRIPTS, assert_one_line, contents, make_clip, run_script

from lipnet.config import CropConfig
from lipnet.cropping.crop_file import CropFile
from lipnet.data.corpus import Clip
from lipnet.data.preprocessing import crop_clip, receive_crops, send_crops
from lipnet.errors import LipnetError
from lipnet.utils.pool import WorkerError
from lipnet.video.encode import write_video

REASON = "distributed is not installed: pip install -e '.[cluster]'"
CLIPS, FRAMES = 24, 10
CLIP_BYTES = FRAMES * 24 * 16 * 3


def test_without_distributed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    (tmp_path / "corpus").mkdir()
    write_noise_videos(tmp_path / "corpus")
    given = ("preprocess", tmp_path / "corpus", "--out", tmp_path / "out", *FIXED, "--dask", "host:8786")
    assert_one_line(run_script(*given), "--dask needs the package distributed: pip install -e '.[cluster]'")
    assert not (tmp_path / "out").exists()


def test_without_a_scheduler(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason=REASON)
    (tmp_path / "corpus").mkdir()
    write_noise_videos(tmp_path / "corpus")
    given = ("preprocess", tmp_path / "corpus", "--out", tmp_path / "out", *FIXED, "--dask")
    assert_one_line(run_script(*given, tmp_path / "gone.json"), f"--dask {tmp_path}/gone.json: no scheduler")


def test_crops_are_sent_as_bytes(tmp_path: Path) -> None:
    [video, *_] = sorted(write_noise_videos(tmp_path).rglob("*.mp4"))
    clip = Clip("s1", "bbaf2n", video, "bin blue", ())
    crop = CropConfig(method="fixed", box=[10, 26, 8, 32], width=24, height=16)

    def cut(clip: Clip, folder: Path) -> CropFile:
        return crop_clip(clip, folder, crop, 10**6)

    for folder in ("there", "here"):
        (tmp_path / folder).mkdir()
    expected = cut(clip, tmp_path)
    sent = send_crops(clip, tmp_path / "there", cut, crop)
    shutil.rmtree(tmp_path / "there")
    received = receive_crops(sent, tmp_path / "here")
    assert received.path.parent == tmp_path / "here"
    assert np.array_equal(received.crops(crop), expected.crops(crop))
    assert received == expected._replace(path=received.path)


def test_a_worker_that_lacks_something_says_so(tmp_path: Path) -> None:
    """Not that the clip is at fault: else it would be left out."""

    def cut(clip: Clip, folder: Path) -> CropFile:
        raise LipnetError("no face")

    with pytest.raises(WorkerError, match=r"^bbaf2n\.mp4: no such file there; give all workers the corpus"):
        send_crops(make_clip("s1", "bbaf2n"), tmp_path, cut, None)
    clip = Clip("s1", "bbaf2n", tmp_path, "bin blue", ())
    with pytest.raises(WorkerError, match=r"gone\.dat: no such landmark file"):
        send_crops(clip, tmp_path, cut, CropConfig(predictor=str(tmp_path / "gone.dat")))
    with pytest.raises(LipnetError, match="no face") as raised:
        send_crops(clip, tmp_path, cut, None)
    assert not isinstance(raised.value, WorkerError)


@pytest.fixture
def scheduler() -> Iterator[str]:
    distributed: Any = pytest.importorskip("distributed", reason=REASON)
    options = {"processes": False, "protocol": "tcp", "host": "127.0.0.1", "dashboard_address": ":0"}
    with distributed.LocalCluster(n_workers=0, **options) as local:
        yield local.scheduler_address


@pytest.fixture
def workers(scheduler: str, tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [sys.executable, "-m", "dask", "worker", scheduler, "--nthreads", "1", "--no-nanny"]
    command += ["--no-dashboard", "--local-directory", str(tmp_path / "scratch")]
    with (tmp_path / "log").open("wb") as log:
        started = [subprocess.Popen(command, stdout=log, stderr=log) for _ in range(2)]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.wait()


@pytest.mark.slow
def test_a_worker_is_killed_midway(
    scheduler: str, workers: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """Nothing is lost and nothing is there twice: the files are those that one process writes."""
    first = tmp_path / "corpus" / "s1" / "take00.mp4"
    first.parent.mkdir(parents=True)
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, 288, 360, 3), dtype=np.uint8)
    write_video(first, iter(frames), 360, 288)
    first.with_suffix(".txt").write_text("bin blue")
    for number in range(1, CLIPS):
        for suffix in (".mp4", ".txt"):
            shutil.copy(first.with_suffix(suffix), first.with_name(f"take{number:02d}{suffix}"))
    out, array = tmp_path / "out", tmp_path / "out" / "s1.u8"
    command = [sys.executable, SCRIPTS / "preprocess.py", first.parents[1], "--out", out, *FIXED]
    command += ["--dask", scheduler]
    program = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        while not array.exists() or array.stat().st_size < 3 * CLIP_BYTES:
            assert program.poll() is None
            time.sleep(0.001)
        workers[0].kill()
        assert array.stat().st_size < CLIPS * CLIP_BYTES
        printed, _ = program.communicate(timeout=120)
    finally:
        program.kill()
    assert program.returncode == 0 and f"{CLIPS} clips cropped, 0 were there already, 0 left out" in printed
    assert workers[1].poll() is None
    assert run_script("preprocess", first.parents[1], "--out", tmp_path / "one", *FIXED).code == 0
    assert contents(out) == contents(tmp_path / "one")
