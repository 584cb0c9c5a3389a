"""Runs that are killed, and the comparison of two runs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lipnet.models.checkpoint import load_weights


class Killed(BaseException):
    """Ends a run like SIGKILL does: nothing in lipnet catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, target: str, call: int) -> None:
    """Raise Killed at the given call, counted from 1, of the function named ``target``."""
    module, _, name = target.rpartition(".")
    original, calls = getattr(importlib.import_module(module), name), []

    def killing(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return original(*arguments, **options)

    monkeypatch.setattr(target, killing)


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The log without its times."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in ("seconds", "clips_per_second")} for line in lines]


def assert_same_run(folder: Path, other: Path) -> None:
    """Logs and checkpoints are equal bit for bit."""
    assert log_of(folder) == log_of(other)
    for name in ("last", "best"):
        model, metadata = load_weights(folder / f"{name}.safetensors")
        other_model, other_metadata = load_weights(other / f"{name}.safetensors")
        for key in ("epoch", "dev"):
            assert metadata.info[key] == other_metadata.info[key]
        for key, value in model.state_dict().items():
            assert torch.equal(value, other_model.state_dict()[key]), (name, key)
