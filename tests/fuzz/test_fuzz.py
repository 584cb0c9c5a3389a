"""Mutated files of every kind that the programs read: none may give a traceback, hang or take much memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import pool
from fuzz.inputs import ORDER, Input, make_input, write_valid
from fuzz.readers import outcome

COUNT, SEED = 60, 0


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "valid"
    write_valid(folder)
    return folder


def test_valid_inputs_are_read(valid: Path) -> None:
    """Otherwise the mutations would test the first check of each reader alone."""
    for kind in sorted(set(ORDER)):
        whole = kind in ("index", "resume")
        for path in [valid / kind] if whole else sorted((valid / kind).iterdir()):
            assert outcome(kind, path, valid) == "read", path


def test_mutated_inputs(valid: Path, tmp_path: Path) -> None:
    inputs = (make_input(valid, tmp_path, SEED, number) for number in range(COUNT))
    findings = [finding for finding in pool.read_all(inputs, valid, workers=2) if finding is not None]
    assert not findings, "\n".join(f"{finding.input}: {finding.detail}" for finding in findings)


def test_an_input_depends_on_its_seed_and_number_alone(valid: Path, tmp_path: Path) -> None:
    def contents(folder: str, number: int) -> list[bytes]:
        (tmp_path / folder).mkdir(exist_ok=True)
        path = make_input(valid, tmp_path / folder, SEED, number).path
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return [file.read_bytes() for file in files if file.is_file()]

    for number in range(1, len(ORDER)):
        if ORDER[number] != "resume":  # PyTorch's files differ in their order
            assert contents("a", number) == contents("b", number)


@pytest.mark.slow
def test_a_hang_memory_and_a_crash_are_found(
    valid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By limits that every video passes."""
    item = Input(0, "alignment", "a.align", valid / "alignment" / "a.align")
    worker = pool.Worker(valid)
    try:
        assert worker.read(item) is None
        unknown = worker.read(item._replace(kind="unknown"))
        assert unknown is not None and unknown.what == "KeyError: 'unknown'" and "Traceback" in unknown.detail
        video = item._replace(kind="video", path=min((valid / "video").iterdir()))
        monkeypatch.setattr(pool, "MAX_S", 0.0)
        hang = worker.read(video)
        assert hang is not None and hang.what.startswith("hangs")
        monkeypatch.undo()
        monkeypatch.setattr(pool, "MAX_BYTES", 1)
        memory = worker.read(video)
        assert memory is not None and memory.what.startswith("memory")
        monkeypatch.undo()
        assert worker.read(video) is None
    finally:
        worker.stop()
