"""The files of the page's sessions: uploaded videos and results. A session's are deleted when it ends."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from lipnet.errors import LipnetError

MAX_AGE_S = 24 * 3600.0  # of a session, since its last upload or result
ENDED = "the session has ended; load the page again"
KEPT_RESULTS = 2  # of a session: the one that is shown, and the next one


class SessionEndedError(LipnetError):
    """A result whose session has ended meanwhile."""


@dataclass
class _Session:
    results: list[str] = field(default_factory=list)  # names of their folders, oldest first
    uploads: set[Path] = field(default_factory=set)
    last: tuple[Path, str] | None = None  # the last upload, and the name that its user knows it by
    used: float = field(default_factory=time.monotonic)  # when something was last added, s


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
        self._sessions: dict[str, _Session] = defaultdict(_Session)
        self._ended: set[str] = set()

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
            self._sessions[session].used = time.monotonic()
            names = self._sessions[session].results
            names.append(folder.name)
            old, names[:] = names[:-KEPT_RESULTS], names[-KEPT_RESULTS:]
        self._delete(old)
        return folder

    def find(self, result: str, name: str) -> Path | None:
        """The file of a result that a browser asks for, if there is one."""
        with self._lock:
            known = any(result in session.results for session in self._sessions.values())
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
            self._sessions[session].used = time.monotonic()
            self._sessions[session].uploads.add(path)
            self._sessions[session].last = path, name or path.name

    def last_upload(self, session: str) -> tuple[Path, str] | None:
        """A session's last upload, and the name that its user knows it by."""
        with self._lock:
            return self._sessions[session].last if session in self._sessions else None

    def forget_upload(self, session: str) -> None:
        """The session has no last upload any more; the file stays until the session ends."""
        with self._lock:
            if session in self._sessions:
                self._sessions[session].last = None

    def end(self, session: str) -> None:
        """Delete a session's files. An upload that another session has uploaded, too, stays for that one."""
        with self._lock:
            self._ended.add(session)
            ended = self._sessions.pop(session, _Session())
            others = set().union(*(other.uploads for other in self._sessions.values()))
        self._delete(ended.results)
        for path in ended.uploads - others:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # something else is in the folder
                path.parent.rmdir()

    def _end_old_sessions(self) -> None:
        """Programs that use the page's addresses, not a browser, do not say when they have ended."""
        oldest = time.monotonic() - MAX_AGE_S
        with self._lock:
            old = [name for name, session in self._sessions.items() if session.used < oldest]
        for session in old:
            self.end(session)

    def close(self) -> None:
        """End all sessions: what is still being read ends, too."""
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            self.end(session)

    def _delete(self, results: list[str]) -> None:
        for name in results:
            shutil.rmtree(self._results / name, ignore_errors=True)
