"""Atomic file writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipnet.utils.files import write_atomically


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
