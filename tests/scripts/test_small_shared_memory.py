"""Training where /dev/shm is small, as it is in containers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import OVERRIDES, SCRIPTS


@pytest.mark.slow
def test_loader_processes_do_not_need_dev_shm(crop_store: Path, tmp_path: Path) -> None:
    """It holds less than one batch here."""
    small = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*small, "true"], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    settings = (f"data.root={crop_store}", f"run.dir={tmp_path / 'run'}", "train.epochs=2", "data.workers=2")
    command = [*small, sys.executable, str(SCRIPTS / "train.py"), *OVERRIDES, *settings]
    done = subprocess.run(command, cwd=SCRIPTS.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"; loaded by 2 processes, in \d+ MB of memory outside /dev/shm$", done.stdout, re.MULTILINE
    )
    assert "epoch 2" in done.stderr + done.stdout and "Traceback" not in done.stderr
    assert (tmp_path / "run" / "last.safetensors").exists()
