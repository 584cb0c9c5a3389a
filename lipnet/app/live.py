"""Live transcription of webcams: a browser sends the recording piece by piece, and gets words back.

The pieces are those of the browser's MediaRecorder (WebM, or MP4 in Safari), some every second. Gradio's own
webcam streams send single JPEG pictures, on two cores about ten a second, which is too few to read lips.
"""

from __future__ import annotations

import io
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Lock, Thread
from typing import Any, BinaryIO, cast

from lipnet.errors import LipnetError, problems_of
from lipnet.grid import FRAME_RATE
from lipnet.inference.reader import LipReader
from lipnet.video.decode import iter_frames

PATIENCE_S = 10.0  # without a piece until a recording counts as ended
FIRST_PATIENCE_S = 60.0  # the same before the first piece: the browser asks whether the webcam may be used
MAX_PIECES = 200  # that wait to be decoded
MAX_PIECE = 4 << 20  # bytes
Event = dict[str, Any]


class Pieces(io.RawIOBase):
    """The pieces of a recording as a file that is read while it grows."""

    name = "webcam"

    def __init__(self) -> None:
        self._queue: Queue[bytes] = Queue(MAX_PIECES)
        self._piece = memoryview(b"")
        self._patience = FIRST_PATIENCE_S
        self._ended = False

    def put(self, piece: bytes) -> None:
        """Add a piece; an empty one ends the file. Raises queue.Full if too many wait."""
        self._queue.put_nowait(piece)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for the next piece. The file ends, too, if none comes in time."""
        if not self._piece and not self._ended:
            with suppress(Empty):
                self._piece = memoryview(self._queue.get(timeout=self._patience))
            self._patience = PATIENCE_S
            self._ended = not self._piece
        count = min(len(buffer), len(self._piece))
        buffer[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count


class LiveRecording:
    """One recording that is read in a thread while it is made."""

    def __init__(self, reader: LipReader) -> None:
        self._reader = reader
        self._pieces = Pieces()
        self._events: deque[Event] = deque()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it is still being read."""
        return self._thread.is_alive()

    def add(self, piece: bytes) -> None:
        """Take the next piece; an empty one ends the recording. Raises queue.Full if too many wait."""
        self._pieces.put(piece)

    def finish(self) -> None:
        """Wait until all has been read."""
        self._thread.join(PATIENCE_S)

    def end(self) -> None:
        """Take no more pieces, and wait until those that came have been read."""
        with suppress(Full):
            self.add(b"")
        self.finish()

    def events(self) -> list[Event]:
        """What was read since the last call: the text so far, sentences that have ended, problems."""
        events = []
        while self._events:
            events.append(self._events.popleft())
        return events

    def _run(self) -> None:
        try:
            with problems_of("webcam"):
                self._events.extend(self._read())
        except LipnetError as error:
            self._events.append({"problem": str(error)})

    def _read(self) -> Iterator[Event]:
        for live in self._reader.listen(iter_frames(cast(BinaryIO, self._pieces), FRAME_RATE), "webcam"):
            if live.sentence is None:
                yield {"partial": live.text}
            else:
                sentence = live.sentence
                yield {
                    "text": sentence.text,
                    "start": sentence.start,
                    "end": sentence.end,
                    "confidence": sentence.confidence,
                }


class LiveRecordings:
    """The recordings that are read at present, by names that cannot be guessed."""

    def __init__(self, limit: int) -> None:
        """``limit``: how many are read at the same time."""
        self._limit = limit
        self._lock = Lock()
        self._recordings: dict[str, LiveRecording] = {}
        self._owned: dict[str, str] = {}  # the name of each session's

    def start(self, reader: LipReader, session: str) -> str:
        """Begin a session's recording, end the one before, and return the name of the new one.

        Raises LipnetError if there are too many of other sessions.
        """
        self.end(session)
        with self._lock:
            self._recordings = {name: one for name, one in self._recordings.items() if one.running}
            if len(self._recordings) >= self._limit:
                raise LipnetError("other webcams are being read; try again in a minute")
            name = secrets.token_urlsafe(16)
            self._recordings[name] = LiveRecording(reader)
            self._owned[session] = name
            return name

    def end(self, session: str) -> None:
        """End a session's recording, if it has one."""
        with self._lock:
            recording = self._recordings.pop(self._owned.pop(session, ""), None)
        if recording is not None:
            recording.end()

    def close(self) -> None:
        """End all recordings."""
        with self._lock:
            for recording in self._recordings.values():
                recording.end()

    def find(self, name: str) -> LiveRecording | None:
        """The recording of this name, also after its end until another one starts."""
        with self._lock:
            return self._recordings.get(name)
