"""Atomic file writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lipnet.errors import LipnetError
from lipnet.utils.files import lock_folder, temporary_files, write_atomically


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_file_is_written_and_replaced_as_a_whole(tmp_path: Path) -> None:
    for content in (b"first", b"the second", b""):
        write_atomically(tmp_path / "file.json", content)
        assert files(tmp_path) == {"file.json": content}


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def disk_full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", disk_full)
    with pytest.raises(OSError, match="No space left") as error:
        write_atomically(path, b"new content")
    assert error.value.filename == str(path)  # and not the temporary file's
    assert files(tmp_path) == {"file.json": b"old"}


def test_a_target_that_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError) as error:
        write_atomically(folder, b"content")
    assert error.value.filename == str(folder)
    with pytest.raises(FileNotFoundError) as missing:
        write_atomically(tmp_path / "gone" / "file", b"content")
    assert missing.value.filename == str(tmp_path / "gone" / "file")
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_is_locked_for_other_processes(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    code = "import pathlib, sys; from lipnet.utils.files import lock_folder\n"
    code += "with lock_folder(pathlib.Path(sys.argv[1])): print('locked')"

    def other() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)

    with lock_folder(folder):
        refused = other()
        assert f"LipnetError: {folder}: another process is writing into this folder" in refused.stderr
        with pytest.raises(LipnetError, match="another process"), lock_folder(folder):
            pass
        assert files(folder).keys() == {".lock"}  # still held by the first
        (folder / "kept").write_bytes(b"")
    assert files(folder) == {"kept": b""}
    assert other().stdout == "locked\n"
    with lock_folder(tmp_path / "unused"):
        pass
    assert not (tmp_path / "unused").exists() and files(folder) == {"kept": b""}


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = "import os, pathlib, sys; from lipnet.utils.files import lock_folder\n"
    code += "with lock_folder(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", code, tmp_path])
    assert killed.returncode == -9 and files(tmp_path).keys() == {".lock"}
    with lock_folder(tmp_path):
        pass
    assert files(tmp_path) == {}


def test_temporary_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-old").mkdir()
    (tmp_path / ".unfinished-old" / "crops").write_bytes(b"x")
    (tmp_path / "kept").write_bytes(b"y")
    with temporary_files(tmp_path) as folder:
        (folder / "crops").write_bytes(b"z")
        assert folder.parent == tmp_path
        assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name, "kept"]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_names_of_any_length_that_the_file_system_allows(tmp_path: Path) -> None:
    longest = tmp_path / ("ä" * 127)
    write_atomically(longest, b"content")
    assert [path.name for path in tmp_path.iterdir()] == [longest.name]
    assert longest.read_bytes() == b"content"


def test_errors_name_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    for path in (tmp_path / ("x" * 256), tmp_path / "none" / "a.txt"):
        with pytest.raises(OSError) as caught:
            write_atomically(path, b"content")
        assert caught.value.filename == str(path) and ".part" not in str(caught.value)
