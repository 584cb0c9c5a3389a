"""Live recordings: pieces in, words out, while the recording goes on."""

from __future__ import annotations

import io
import time
from fractions import Fraction
from pathlib import Path
from queue import Full
from threading import Thread

import av
import pytest

from lipnet.app import live as live_module
from lipnet.app.examples import Examples
from lipnet.app.live import MAX_PIECES, LiveRecording, LiveRecordings, Pieces
from lipnet.errors import LipnetError
from lipnet.inference.reader import LipReader
from lipnet.video.decode import iter_frames
from lipnet.video.encode import to_video_frame

PIECE = 20_000  # bytes


@pytest.fixture(scope="module")
def reader() -> LipReader:
    return LipReader.load(device="cpu")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    examples = Examples(tmp_path_factory.mktemp("examples"))
    return examples.sentences[0], examples.video(examples.sentences[0])


@pytest.fixture(scope="module")
def recording(example: tuple[str, Path]) -> list[bytes]:
    """The example as a browser records it, VP8 in WebM, cut into pieces."""
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=Fraction(25), options={"deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 360, 288, "yuv420p", 2_000_000
        for rgb in iter_frames(example[1]):
            container.mux(stream.encode(to_video_frame(rgb)))
        container.mux(stream.encode())
    content = file.getvalue()
    return [content[at : at + PIECE] for at in range(0, len(content), PIECE)]


def test_frames_come_while_the_recording_goes_on(recording: list[bytes]) -> None:
    pieces = Pieces()
    frames = iter_frames(pieces)  # type: ignore[arg-type]
    half = len(recording) // 2
    for piece in recording[:half]:
        pieces.put(piece)
    got: list[int] = []
    thread = Thread(target=lambda: got.extend(frame.shape[0] for frame in frames))
    thread.start()
    deadline = time.monotonic() + 20
    while len(got) < 75 // 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 75 // 4 <= len(got) < 75 and thread.is_alive()
    for piece in [*recording[half:], b""]:
        pieces.put(piece)
    thread.join(20)
    assert len(got) == 75


def test_a_sentence_is_read(recording: list[bytes], reader: LipReader, example: tuple[str, Path]) -> None:
    live = LiveRecording(reader)
    for piece in [*recording, b""]:
        live.add(piece)
    live.finish()
    assert not live.running
    events = live.events()
    assert [event["text"] for event in events if "text" in event] == [example[0]]
    assert any(event.get("partial") for event in events)
    assert not live.events()


def test_what_is_no_video_is_a_problem(reader: LipReader) -> None:
    live = LiveRecording(reader)
    live.add(b"no video")
    live.add(b"")
    live.finish()
    [event] = live.events()
    assert event["problem"].startswith("webcam: cannot be read as a video")


def test_a_recording_ends_when_no_piece_comes(reader: LipReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "FIRST_PATIENCE_S", 0.05)
    live = LiveRecording(reader)
    live.finish()
    assert not live.running and "problem" in live.events()[0]


def test_pieces_that_nobody_reads_are_refused() -> None:
    pieces = Pieces()
    for _ in range(MAX_PIECES):
        pieces.put(b"x")
    with pytest.raises(Full):
        pieces.put(b"x")


def test_only_so_many_are_read_at_the_same_time(reader: LipReader) -> None:
    recordings = LiveRecordings(2)
    names = [recordings.start(reader, session) for session in "ab"]
    with pytest.raises(LipnetError, match="try again"):
        recordings.start(reader, "c")
    first, second = (recordings.find(name) for name in names)
    assert first is not None and second is not None
    first.add(b"")
    first.finish()
    assert recordings.find(names[0]) is first
    third = recordings.find(recordings.start(reader, "c"))
    assert third is not None and recordings.find(names[0]) is None
    again = recordings.find(recordings.start(reader, "b"))  # a session's new recording ends its old one
    assert again is not None and not second.running and recordings.find(names[1]) is None
    recordings.end("b")
    assert not again.running and third.running
    recordings.close()
    assert not third.running
