"""synthesize.py: one process a folder, and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import SCRIPTS, assert_one_line, contents, run_script

from lipnet.utils.files import lock_folder


def test_two_runs_into_one_folder(tmp_path: Path) -> None:
    given = ("synthesize", "--out", tmp_path / "out", "--speakers", 1, "--sentences", 1, "--workers", 1)
    with lock_folder(tmp_path / "out"):
        assert_one_line(run_script(*given), tmp_path / "out", "another process is writing into this folder")
    assert run_script(*given).code == 0
    assert {Path(name).suffix for name in contents(tmp_path / "out")} == {".align", ".mp4", ".txt"}


def test_wrong_numbers_leave_no_folder(tmp_path: Path) -> None:
    result = run_script("synthesize", "--out", tmp_path / "out", "--speakers", 0)
    assert_one_line(result, "--speakers 0: give 1 or more")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGKILL", -9)])
def test_workers_end_with_the_script(name: str, code: int, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "synthesize.py"), "--out", str(tmp_path / "out")]
    running = subprocess.Popen(
        [*command, "--workers", "8"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    time.sleep(3)
    os.kill(running.pid, getattr(signal, name))
    sent = time.monotonic()
    _, error = running.communicate(timeout=20)  # until no process holds its streams
    assert running.returncode == code and b"Traceback" not in error
    assert time.monotonic() - sent < 3
