"""TensorBoard's file on a full disk. Its contents: ``test_tensorboard_contents.py``."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from runs import log_of
from tensorboard.summary.writer.record_writer import RecordWriter
from tiny import Train


@pytest.mark.parametrize("records", [0, pytest.param(1, marks=pytest.mark.slow), 5])
@pytest.mark.parametrize("method", ["write", pytest.param("flush", marks=pytest.mark.slow)])
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


def test_names_that_are_not_utf8(train: Train, crop_store: Path, tmp_path: Path) -> None:
    shutil.copytree(crop_store, tmp_path / "store")
    index = tmp_path / "store" / "s2.index.json"
    index.write_text(index.read_text().replace("bbwg6s", "caf\\udce9"))
    (tmp_path / "store" / "splits" / "dev.txt").write_text('"s2/caf\\udce9"\n')
    result = train(tmp_path / "run", "train.epochs=1", f"data.root={tmp_path / 'store'}")
    assert result.code == 0, result.err
    [events] = (tmp_path / "run").glob("events.*")
    assert b"s2/caf\\udce9" in events.read_bytes()
