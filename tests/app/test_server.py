"""scripts/app.py: addresses, bad input, start and end."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import pytest
from page_server import PageServer
from tiny import assert_one_line, run_script

from lipnet.app.server import PREFIX, check_address, delete_left_behind
from lipnet.errors import LipnetError
from lipnet.utils.files import LOCK_NAME, lock_folder


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_computer_needs_no_password(host: str) -> None:
    assert check_address(host, None) is None
    assert check_address(host, "a:b:c") == ("a", "b:c")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "lab.example"])
def test_other_computers_need_a_password(host: str) -> None:
    with pytest.raises(LipnetError, match="--auth USER:PASSWORD"):
        check_address(host, None)
    assert check_address(host, "user:word") == ("user", "word")


@pytest.mark.parametrize("auth", ["", "user", "user:", ":word"])
def test_incomplete_passwords_are_refused(auth: str) -> None:
    with pytest.raises(LipnetError, match="USER:PASSWORD"):
        check_address("127.0.0.1", auth)


def test_bad_input(text_file: Path, tmp_path: Path) -> None:
    assert_one_line(run_script("app", "--port", 0, "--weights", text_file), text_file, "not lipnet weights")
    absent = tmp_path / "absent"
    assert_one_line(run_script("app", "--port", 0, "--weights", absent), absent, "no such weights file")
    assert_one_line(run_script("app", "--host", "0.0.0.0"), "0.0.0.0", "--auth")
    assert_one_line(run_script("app", "--host", "192.0.2.1", "--auth", "a:b"), "192.0.2.1", "--port")
    assert_one_line(run_script("app", "--port", 70000), "70000", "--port")


def test_files_of_killed_servers_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    killed, running, new = (tmp_path / f"{PREFIX}{name}" for name in ("killed", "running", "new"))
    for folder in (killed, running, new):
        folder.mkdir()
        (folder / "video.mp4").write_text("video")
    (killed / LOCK_NAME).touch()
    with lock_folder(running):
        delete_left_behind()
    assert not killed.exists() and (running / "video.mp4").exists() and (new / "video.mp4").exists()


@pytest.mark.slow
def test_the_server_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with PageServer() as server:
            assert list(tmp_path.glob("lipnet-*/results"))
            assert_one_line(run_script("app", "--port", server.port), str(server.port), "another --port")
            assert server.end(number) == code
        assert not list(tmp_path.glob("lipnet-*"))
