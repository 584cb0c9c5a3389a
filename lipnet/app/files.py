"""The files of the page's sessions: uploaded videos and results. A session's are deleted when it ends."""

from __future__ import annotations

import secrets
import shutil
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from threading import Lock

from lipnet.errors import LipnetError

KEPT_RESULTS = 2  # of a session: the one that is shown, and the next one


class SessionEndedError(LipnetError):
    """A result whose session has ended meanwhile."""


class SessionFiles:
    """All files of the server, in one folder.

    Every result has a folder of its own, whose name cannot be guessed. Who knows it may read its files: only
    the session that it was made for is told.
    """

    def __init__(self, root: Path) -> None:
        """``root`` exists, and only this user may look into it."""
        self.uploads = root / "uploads"  # where Gradio saves them, in a folder named by their content
        self.examples = root / "examples"
        self._results = root / "results"
        for folder in (self.uploads, self.examples, self._results):
            folder.mkdir()
        self._lock = Lock()
        self._results_of: dict[str, list[str]] = defaultdict(list)  # oldest first
        self._uploads_of: dict[str, set[Path]] = defaultdict(set)

    def new_result(self, session: str) -> Path:
        """An empty folder for a result. Of the session's older ones the last KEPT_RESULTS - 1 stay."""
        folder = self._results / secrets.token_urlsafe(16)
        folder.mkdir()
        with self._lock:
            names = self._results_of[session]
            names.append(folder.name)
            old, names[:] = names[:-KEPT_RESULTS], names[-KEPT_RESULTS:]
        self._delete(old)
        return folder

    def find(self, result: str, name: str) -> Path | None:
        """The file of a result that a browser asks for, if there is one."""
        with self._lock:
            known = any(result in names for names in self._results_of.values())
        path = self._results / result / name
        return path if known and Path(name).name == name and path.is_file() else None

    def check_result(self, folder: Path) -> None:
        """Raises SessionEndedError if the result's session has ended."""
        if not folder.exists():
            raise SessionEndedError("the session has ended; load the page again")

    def add_upload(self, session: str, path: Path) -> None:
        """Note that a session has uploaded a file, which lies anywhere below ``uploads``.

        Raises LipnetError if it lies elsewhere or is gone.
        """
        if not path.resolve().is_relative_to(self.uploads.resolve()) or not path.is_file():
            raise LipnetError("the video is no longer there; upload or record it again")
        with self._lock:
            self._uploads_of[session].add(path)

    def end(self, session: str) -> None:
        """Delete a session's files. An upload that another session has uploaded, too, stays for that one."""
        with self._lock:
            results = self._results_of.pop(session, [])
            own = self._uploads_of.pop(session, set())
            own -= set().union(*self._uploads_of.values())
        self._delete(results)
        for path in own:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # something else is in the folder
                path.parent.rmdir()

    def close(self) -> None:
        """End all sessions: what is still being read ends, too."""
        with self._lock:
            sessions = {*self._results_of, *self._uploads_of}
        for session in sessions:
            self.end(session)

    def _delete(self, results: list[str]) -> None:
        for name in results:
            shutil.rmtree(self._results / name, ignore_errors=True)
