"""TensorBoard's file on a full disk. Its contents: ``test_run_dir.py``."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from runs import log_of
from tensorboard.summary.writer.record_writer import RecordWriter
from tiny import Train


@pytest.mark.parametrize("records", [0, 1, 5])
@pytest.mark.parametrize("method", ["write", "flush"])
def test_training_goes_on_without_it(
    method: str, records: int, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = getattr(RecordWriter, method), []

    def full(writer: RecordWriter, *arguments: bytes) -> None:
        calls.append(1)
        if len(calls) > records:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(writer, *arguments)

    monkeypatch.setattr(RecordWriter, method, full)
    result = train(tmp_path / "run", "train.epochs=2")
    assert result.code == 0, result.err
    assert "Traceback" not in result.err
    assert len(log_of(tmp_path / "run")) == 2
    warning = "TensorBoard's file cannot be written (no space left on device); training goes on"
    assert len(calls) <= records or warning in result.err
