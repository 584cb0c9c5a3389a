"""The page's files: who may read them, and what is left when a session ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lipnet.app.files import KEPT_RESULTS, MAX_AGE_S, SessionEndedError, SessionFiles
from lipnet.errors import LipnetError


@pytest.fixture
def files(tmp_path: Path) -> SessionFiles:
    return SessionFiles(tmp_path)


def upload(files: SessionFiles, content: str = "video") -> Path:
    """A file as Gradio saves it."""
    path = files.uploads / content / "clip.mp4"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def test_a_session_s_files_are_deleted_when_it_ends(files: SessionFiles) -> None:
    results = [files.new_result(session) for session in ("a", "b")]
    for folder in results:
        (folder / "text.srt").write_text("text")
    path = upload(files)
    files.add_upload("a", path)
    files.end("a")
    assert not results[0].exists() and not path.exists() and not path.parent.exists()
    assert files.find(results[0].name, "text.srt") is None
    assert files.find(results[1].name, "text.srt") == results[1] / "text.srt"
    with pytest.raises(SessionEndedError, match="load the page again"):
        files.check_result(results[0])
    with pytest.raises(SessionEndedError, match="load the page again"):
        files.new_result("a")  # of a video that waited meanwhile
    files.end("a")
    files.end("unknown")
    files.close()
    assert not results[1].exists()


def test_an_upload_of_two_sessions_stays_until_both_have_ended(files: SessionFiles) -> None:
    path = upload(files)
    for session in ("a", "b"):
        files.add_upload(session, path)
    files.end("a")
    assert path.exists()
    files.end("b")
    assert not path.exists()


def test_old_results_of_a_session_are_deleted(files: SessionFiles) -> None:
    folders = [files.new_result("a") for _ in range(KEPT_RESULTS + 2)]
    assert [folder.exists() for folder in folders] == [False] * 2 + [True] * KEPT_RESULTS


def test_the_last_upload_is_the_one_that_is_read(files: SessionFiles) -> None:
    assert files.last_upload("a") is None
    first, second = upload(files, "1"), upload(files, "2")
    files.add_upload("a", first)
    assert files.last_upload("a") == (first, "clip.mp4")
    files.add_upload("a", second, "my clip.mp4")
    assert files.last_upload("a") == (second, "my clip.mp4") and files.last_upload("b") is None
    files.forget_upload("a")
    assert files.last_upload("a") is None
    files.end("a")
    assert not first.exists() and not second.exists()


def test_sessions_that_never_say_their_end_end_after_a_day(
    files: SessionFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = files.new_result("a")
    later = time.monotonic() + MAX_AGE_S + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    new = files.new_result("b")
    assert new.exists() and not old.exists()


def test_only_files_of_results_are_found(files: SessionFiles, tmp_path: Path) -> None:
    folder = files.new_result("a")
    (folder / "inner").mkdir()
    for path in (folder / "a.txt", folder / "inner" / "b.txt", files.uploads / "c.txt", tmp_path / "d.txt"):
        path.write_text("content")
    assert files.find(folder.name, "a.txt") == folder / "a.txt"
    for name in ("", ".", "..", "inner", "inner/b.txt", "../../d.txt", "absent.txt", "/etc/hostname"):
        assert files.find(folder.name, name) is None
    for result in ("", ".", "..", "../uploads", folder.name[:-1]):
        assert files.find(result, "a.txt") is None
        assert files.find(result, "c.txt") is None


def test_only_uploads_are_taken(files: SessionFiles, tmp_path: Path) -> None:
    (tmp_path / "private.mp4").write_text("content")
    (files.uploads / "link.mp4").symlink_to(tmp_path / "private.mp4")
    for name in ("absent.mp4", "../private.mp4", "link.mp4", ".", "/etc/hostname"):
        with pytest.raises(LipnetError, match="no longer there"):
            files.add_upload("a", files.uploads / name)
