"""Processes that gather batches: how many there are, and what happens when one fails or is killed."""

from __future__ import annotations

import math
import multiprocessing
import os
import re
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import OFF, dataset

from lipnet.data.dataset import Batch, Sample
from lipnet.data.loading import shared_memory
from lipnet.data.loading.loaders import collate, eval_loader
from lipnet.data.loading.processes import loader_workers, slot_size
from lipnet.data.loading.shared_memory import Empty
from lipnet.errors import LipnetError, TrainingError
from lipnet.utils.signals import signals_raised


def test_with_little_memory_fewer_processes_are_used(
    crop_store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each process needs two batches, and two more are in use, of three clips that are 300 frames long."""
    data = dataset(crop_store, augment=None)
    batch = 3 * (300 * (16 * 24 * 3 + 512) + 4096)
    for batches, workers in ((8, 3), (7, 2), (4, 1), (3, 0)):
        caplog.clear()
        monkeypatch.setattr("lipnet.data.loading.processes.free_memory", lambda n=batches: n * 1.05 * batch)
        assert loader_workers(3, [data], 3, with_gpu=False) == workers
        assert len(caplog.messages) == (workers < 3)
        assert workers == 3 or f"data.workers is {workers} here" in caplog.messages[0]
    with_speed = dataset(crop_store, augment=replace(OFF, speed=0.5))
    assert slot_size([with_speed], 3) > 1.5 * slot_size([data], 3)


def test_free_memory_is_that_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, limit = tmp_path / "meminfo", tmp_path / "memory.max"
    monkeypatch.setattr(shared_memory, "MEMORY_STATE", state)
    monkeypatch.setattr(shared_memory, "MEMORY_LIMITS", (limit,))
    assert shared_memory.free_memory() == math.inf
    state.write_text("MemTotal: 9 kB\nMemAvailable:   5 kB\n")
    for text, free in (("max\n", 5120), ("4096\n", 4096), ("9000\n", 5120)):
        limit.write_text(text)
        assert shared_memory.free_memory() == free


def test_processes_by_the_number_of_cores(crop_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = [dataset(crop_store, augment=None)]
    for cores, programs, workers in ((1, 1, 1), (4, 1, 3), (64, 1, 8), (16, 8, 1), (64, 8, 7)):
        monkeypatch.setattr("lipnet.data.loading.processes.core_count", lambda cores=cores: cores)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(programs))
        assert loader_workers("auto", data, 1, with_gpu=True) == workers
        assert loader_workers("auto", data, 1, with_gpu=False) == 0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_that_fails_says_why_in_one_line(workers: int, two_clips: Path, tmp_path: Path) -> None:
    shutil.copytree(two_clips, tmp_path / "copy")
    data = dataset(tmp_path / "copy")
    (tmp_path / "copy" / "s1.u8").unlink()
    with pytest.raises(LipnetError, match=r"^\S*s1\.u8: missing; run scripts/preprocess\.py again$"):
        list(eval_loader(data, 2, workers))


KILLED = r"^a loader process was killed, perhaps because memory ran out; lower data\.workers \(0 loads in "


def test_a_loader_process_that_is_killed_is_named(two_clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lipnet.data.loading.processes.collate", lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    )
    with pytest.raises(TrainingError, match=KILLED):
        list(eval_loader(dataset(two_clips), 2, 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_loader_process_that_is_killed_raises_in_the_next_batch_only(
    number: int, crop_store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An exception at any other moment would be a traceback, or be lost. One that did nothing is replaced."""
    with signals_raised():
        batches = iter(eval_loader(dataset(crop_store), 1, 1))
        next(batches)
        for process in multiprocessing.active_children():
            assert process.pid is not None
            os.kill(process.pid, number)
            process.join()
        time.sleep(0.1)
        try:
            assert len(list(batches)) == 9
        except TrainingError as error:
            assert re.match(KILLED, str(error))
    assert "Traceback" not in capfd.readouterr().err


def test_after_a_pass_that_is_broken_off_the_next_one_is_whole(crop_store: Path) -> None:
    loader = eval_loader(dataset(crop_store), 1, 2)
    expected = [batch.names for batch in eval_loader(dataset(crop_store), 1)]
    passes = [iter(loader) for _ in range(3)]
    assert [next(one).names for one in passes] == [expected[0]] * 3
    del passes[0]
    assert [batch.names for batch in passes[1]] == expected[1:]
    with pytest.raises(AssertionError, match="another pass"):
        next(passes[0])


def test_a_slow_batch_is_waited_for(two_clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_collate(samples: Sequence[Sample], empty: Empty) -> Batch:
        time.sleep(0.7)
        return collate(samples, empty)

    monkeypatch.setattr("lipnet.data.loading.processes.collate", slow_collate)
    assert len(list(eval_loader(dataset(two_clips), 1, 1))) == 2
    monkeypatch.setattr("lipnet.data.loading.processes.PATIENCE_S", 0.2)
    with pytest.raises(TrainingError, match=r"^loader processes: no .* within 0 s; lower data\.workers"):
        list(eval_loader(dataset(two_clips), 1, 1))
