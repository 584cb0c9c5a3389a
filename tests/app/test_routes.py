"""The page's own addresses: files of results, pieces of recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from lipnet.app import routes as routes_module
from lipnet.app.files import SessionFiles
from lipnet.app.live import MAX_PIECES, LiveRecordings
from lipnet.app.routes import make_routes
from lipnet.inference.reader import LipReader


@pytest.fixture
def files(tmp_path: Path) -> SessionFiles:
    return SessionFiles(tmp_path)


@pytest.fixture
def recordings() -> LiveRecordings:
    return LiveRecordings(1)


@pytest.fixture
def client(files: SessionFiles, recordings: LiveRecordings) -> TestClient:
    return TestClient(Starlette(routes=make_routes(files, recordings)))


def test_files_are_served_while_their_session_lasts(client: TestClient, files: SessionFiles) -> None:
    folder = files.new_result("a")
    (folder / "captioned.mp4").write_bytes(bytes(range(200)))
    address = f"/result/{folder.name}/captioned.mp4"
    answer = client.get(address)
    assert answer.status_code == 200 and answer.content == bytes(range(200))
    assert answer.headers["content-type"] == "video/mp4" and "no-store" in answer.headers["cache-control"]
    part = client.get(address, headers={"Range": "bytes=10-19"})  # how a browser jumps in a video
    assert part.status_code == 206 and part.content == bytes(range(10, 20))
    for other in ("a" * 5000, "other.mp4", "..%2f..%2fuploads", "%2e%2e"):
        assert client.get(f"/result/{folder.name}/{other}").status_code == 404
    files.end("a")
    assert client.get(address).status_code == 404


def test_problems_of_recordings_are_told(
    client: TestClient,
    recordings: LiveRecordings,
    untrained_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = client.post("/live/unknown", content=b"x")
    assert answer.status_code == 404 and "start again" in answer.json()["events"][0]["problem"]
    name = recordings.start(LipReader.load(untrained_weights, device="cpu"), "a")
    monkeypatch.setattr(routes_module, "MAX_PIECE", 10)
    assert client.post(f"/live/{name}", content=b"x" * 11).status_code == 413
    recording = recordings.find(name)
    assert recording is not None
    answer = client.post(f"/live/{name}", content=b"")
    assert answer.status_code == 200 and not answer.json()["running"]
    assert "problem" in answer.json()["events"][0]
    for _ in range(MAX_PIECES):
        recording.add(b"x")
    assert client.post(f"/live/{name}", content=b"x").status_code == 503
