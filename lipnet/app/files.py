"""The files of the page's sessions: uploaded videos and results. A session's are deleted when it ends."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from threading import Lock

from lipnet.errors import LipnetError

MAX_AGE_S = 24 * 3600.0  # of a session, since its last result
ENDED = "the session has ended; load the page again"
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
        self._last: dict[str, tuple[Path, str]] = {}
        self._ended: set[str] = set()
        self._used: dict[str, float] = {}  # when a session began its last result, s

    def new_result(self, session: str) -> Path:
        """An empty folder for a result. Of the session's older ones the last KEPT_RESULTS - 1 stay.

        Raises SessionEndedError if the session has ended, such as while its video waited to be read.
        """
        self._end_old_sessions()
        folder = self._results / secrets.token_urlsafe(16)
        with self._lock:
            if session in self._ended:
                raise SessionEndedError(ENDED)
            folder.mkdir()
            self._used[session] = time.monotonic()
            names = self._results_of[session]
            names.append(folder.name)
            old, names[:] = names[:-KEPT_RESULTS], names[-KEPT_RESULTS:]
        self._delete(old)
        return folder

    def find(self, result: str, name: str) -> Path | None:
        """The file of a result that a browser asks for, if there is one."""
        with self._lock:
            known = any(result in names for names in self._results_of.values())
        if not known or Path(name).name != name:
            return None
        path = self._results / result / name
        return path if os.path.isfile(path) else None  # Path.is_file may raise for a very long name

    def check_result(self, folder: Path) -> None:
        """Raises SessionEndedError if the result's session has ended."""
        if not folder.exists():
            raise SessionEndedError(ENDED)

    def add_upload(self, session: str, path: Path, name: str = "") -> None:
        """Note that a session has uploaded a file, which lies anywhere below ``uploads``.

        Args:
            name: that the user knows it by; "": that of the file.

        Raises LipnetError if it lies elsewhere or is gone.
        """
        if not path.resolve().is_relative_to(self.uploads.resolve()) or not path.is_file():
            raise LipnetError("the video is no longer there; upload or record it again")
        with self._lock:
            self._uploads_of[session].add(path)
            self._last[session] = path, name or path.name

    def last_upload(self, session: str) -> tuple[Path, str] | None:
        """A session's last upload, and the name that its user knows it by."""
        with self._lock:
            return self._last.get(session)

    def forget_upload(self, session: str) -> None:
        """The session has no last upload any more; the file stays until the session ends."""
        with self._lock:
            self._last.pop(session, None)

    def end(self, session: str) -> None:
        """Delete a session's files. An upload that another session has uploaded, too, stays for that one."""
        with self._lock:
            self._ended.add(session)
            self._last.pop(session, None)
            self._used.pop(session, None)
            results = self._results_of.pop(session, [])
            own = self._uploads_of.pop(session, set())
            own -= set().union(*self._uploads_of.values())
        self._delete(results)
        for path in own:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # something else is in the folder
                path.parent.rmdir()

    def _end_old_sessions(self) -> None:
        """Programs that use the page's addresses, not a browser, do not say when they have ended."""
        oldest = time.monotonic() - MAX_AGE_S
        with self._lock:
            old = [session for session, used in self._used.items() if used < oldest]
        for session in old:
            self.end(session)

    def close(self) -> None:
        """End all sessions: what is still being read ends, too."""
        with self._lock:
            sessions = {*self._results_of, *self._uploads_of}
        for session in sessions:
            self.end(session)

    def _delete(self, results: list[str]) -> None:
        for name in results:
            shutil.rmtree(self._results / name, ignore_errors=True)
