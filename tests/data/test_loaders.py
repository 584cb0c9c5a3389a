"""Batches: how clips are collated and padded, in this process or by workers."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny import CROP, OFF, dataset, tiny_model
from torch import Tensor

from lipnet.config import AugmentConfig, TrainConfig
from lipnet.data.dataset import Batch, Sample, SampleKey
from lipnet.data.loading.loaders import collate, eval_loader, loaded, train_loader
from lipnet.data.loading.sampler import EpochSampler
from lipnet.data.loading.shared_memory import check_shared_memory
from lipnet.data.transforms import IGNORE
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.device import choose_device
from lipnet.errors import TrainingError
from lipnet.models.lipnet import LipNet
from lipnet.tokenizer import DEFAULT_TOKENIZER
from lipnet.training.engine import train_one_epoch
from lipnet.training.evaluation import evaluate
from lipnet.training.optim import TrainState
from lipnet.utils.signals import signals_raised


def test_a_batch_is_gathered_and_padded(crop_store: Path) -> None:
    data = dataset(crop_store, augment=AugmentConfig(splice=0.5, resample=0.1))
    plans = [data[SampleKey(index)] for index in (3, 1, 9, 0)]
    batch = collate(plans)
    longest = max(len(plan.indices) for plan in plans)
    assert (
        batch.frames.shape == (4, longest, CROP.height, CROP.width, 3) and batch.frames.dtype == torch.uint8
    )
    assert batch.lengths.tolist() == [len(plan.indices) for plan in plans]
    labels = batch.targets.split(batch.target_lengths.tolist())
    for i, plan in enumerate(plans):
        length = len(plan.indices)
        for t, index in enumerate(plan.indices):
            assert np.array_equal(batch.frames[i, t], plan.array[index])
        assert not batch.frames[i, length:].any()
        assert batch.words[i].tolist() == plan.words.tolist() + [IGNORE] * (longest - length)
        assert DEFAULT_TOKENIZER.decode(labels[i].tolist()) == batch.sentences[i] == plan.sentence
    assert batch.names == ["s1/swiq9a", "s1/lgbm5p", "s2/lgiu8a", "s1/bbaf2n"]


def test_lengths_of_a_batch_stay_on_the_cpu(crop_store: Path) -> None:
    data = dataset(crop_store)
    batch = collate([data[SampleKey(index)] for index in (0, 3)])
    moved = batch.to(torch.device("meta"), non_blocking=True)
    devices = {name: getattr(moved, name).device.type for name in ("frames", "targets", "words")}
    assert set(devices.values()) == {"meta"}, devices
    assert moved.lengths is batch.lengths and moved.target_lengths is batch.target_lengths
    assert (moved.names, moved.sentences) == (batch.names, batch.sentences)


def same(first: Batch, second: Batch) -> bool:
    return all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in zip(first, second, strict=True)
    )


def test_worker_processes_give_the_same_batches(crop_store: Path) -> None:
    def epochs(workers: int) -> list[Batch]:
        sampler = EpochSampler(dataset(crop_store, augment=AugmentConfig(splice=0.5, trim=1.0)), 4)
        loader = train_loader(sampler, workers)
        batches = []
        for sampler.epoch in (0, 1):
            batches += list(loaded(loader))
        return batches

    with_workers, without = epochs(2), epochs(0)
    assert len(with_workers) == len(without) == 6
    assert all(same(a, b) for a, b in zip(with_workers, without, strict=True))
    assert not same(without[0], without[3])


def test_loading_does_not_draw_from_the_trainings_generator(crop_store: Path) -> None:
    sampler = EpochSampler(dataset(crop_store), 4)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(train_loader(sampler))
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_has_whole_clips_in_order(crop_store: Path) -> None:
    data = dataset(crop_store, augment=None)
    batches = list(eval_loader(data, 4))
    assert [name for batch in batches for name in batch.names] == [clip.name for clip in data.clips]
    assert torch.cat([batch.lengths for batch in batches]).tolist() == [75, 74, 75, 40, 300] * 2


def test_clips_of_any_length_train_and_evaluate(crop_store: Path) -> None:
    device, model = choose_device("cpu"), LipNet(tiny_model(word_heads=True))
    sampler = EpochSampler(dataset(crop_store), 10)
    train_state = TrainState(model, TrainConfig(), len(sampler))
    (step,) = train_one_epoch(train_state, train_loader(sampler), TrainConfig(), OFF, device)
    assert step.clips == 10
    data = dataset(crop_store, augment=None)
    evaluation = evaluate(model, eval_loader(data, 10), GreedyDecoder(DEFAULT_TOKENIZER), device)
    assert evaluation.counts.sentences == 10 and evaluation.counts.words == 60


def test_too_little_shared_memory_is_named(
    crop_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes hold four batches, and two are in use: of 3 clips, 300, 300, 75 ... frames long."""
    data = dataset(crop_store)
    needed = 1.25 * 3 * (300 + 75 + 74 + 40) * 16 * 24 * 3
    for free, fits in ((int(needed) + 1, True), (int(needed) - 1, False)):
        usage = (0, 0, free)
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: SimpleNamespace(free=usage[2]))
        monkeypatch.setattr("lipnet.data.loading.shared_memory.SHARED_MEMORY", tmp_path)
        eval_loader(data, 3, workers=0)
        if fits:
            eval_loader(data, 3, workers=2)
            continue
        for make in (lambda: eval_loader(data, 3, 2), lambda: train_loader(EpochSampler(data, 3), 2)):
            with pytest.raises(TrainingError, match=r"MB free, but the batches of 2 .*lower data\.workers"):
                make()


def test_clips_that_are_slowed_down_need_more_shared_memory(
    two_clips: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lipnet.data.loading.shared_memory.SHARED_MEMORY", tmp_path)
    fitting = 0.0
    for speed in (0.0, 0.5):
        data = dataset(two_clips, augment=replace(OFF, speed=speed))
        needed = 1.25 * (1 + speed) * 2 * max(clip.frames for clip in data.clips) * 16 * 24 * 3
        assert needed > fitting
        fitting = needed + 1
        for free, fits in ((fitting, True), (needed - 1, False)):
            usage = SimpleNamespace(free=free)
            monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
            with nullcontext() if fits else pytest.raises(TrainingError, match="MB free"):
                check_shared_memory(data, 2, 1)


def test_full_shared_memory_is_named_at_once(two_clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error reaches the main process, which would otherwise wait for the batch."""

    def no_space(_: Tensor) -> Tensor:
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    monkeypatch.setattr(Tensor, "share_memory_", no_space)
    with pytest.raises(TrainingError, match=r"^/dev/shm: full; lower data\.workers"):
        list(loaded(eval_loader(dataset(two_clips), 2, workers=1)))
    assert len(list(eval_loader(dataset(two_clips), 2))) == 1  # it is not used without loader processes


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_that_fails_says_why_in_one_line(workers: int, two_clips: Path, tmp_path: Path) -> None:
    shutil.copytree(two_clips, tmp_path / "copy")
    data = dataset(tmp_path / "copy")
    (tmp_path / "copy" / "s1.u8").unlink()
    with pytest.raises(TrainingError, match=r"^\S*s1\.u8: missing; run scripts/preprocess\.py again$"):
        list(loaded(eval_loader(data, 2, workers)))


def test_a_loader_process_that_is_killed_is_named(two_clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipnet.data.loading.loaders.CHECK_S", 0.5)
    monkeypatch.setattr("lipnet.data.loading.loaders.collate", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(TrainingError, match=r"^DataLoader worker .* memory ran out; lower data\.workers"):
        list(loaded(eval_loader(dataset(two_clips), 2, 1)))


def test_a_loader_process_that_is_asked_to_end_gives_no_traceback(
    crop_store: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lipnet.data.loading.loaders.CHECK_S", 0.5)
    with signals_raised():
        batches = loaded(eval_loader(dataset(crop_store), 1, 1))
        next(batches)
        for process in multiprocessing.active_children():
            process.terminate()
            process.join()
        with pytest.raises(TrainingError, match=r"^DataLoader worker "):
            list(batches)
    assert "Traceback" not in capfd.readouterr().err


def test_a_loader_process_that_is_killed_raises_in_the_next_batch_only(
    crop_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception at any other moment would be a traceback, or be lost."""
    monkeypatch.setattr("lipnet.data.loading.loaders.CHECK_S", 0.5)
    batches = loaded(eval_loader(dataset(crop_store), 1, 1))
    next(batches)
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    time.sleep(0.1)
    with pytest.raises(TrainingError, match=r"^DataLoader worker .* exited unexpectedly"):
        list(batches)


@pytest.mark.parametrize("error", [ConnectionResetError(104, "Connection reset by peer"), EOFError()])
def test_a_batch_whose_loader_process_is_gone(error: Exception) -> None:
    """A batch in shared memory is fetched from the process that made it."""

    def batches() -> Iterator[Batch]:
        raise error
        yield

    with pytest.raises(TrainingError, match=r"^DataLoader worker exited unexpectedly, .*lower data\.workers"):
        list(loaded(batches()))


def test_a_slow_batch_is_waited_for(two_clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_collate(samples: Sequence[Sample]) -> Batch:
        time.sleep(0.7)
        return collate(samples)

    monkeypatch.setattr("lipnet.data.loading.loaders.CHECK_S", 0.2)
    monkeypatch.setattr("lipnet.data.loading.loaders.collate", slow_collate)
    assert len(list(loaded(eval_loader(dataset(two_clips), 1, 1)))) == 2
    monkeypatch.setattr("lipnet.data.loading.loaders.TIMEOUT_S", 0.4)
    with pytest.raises(TrainingError, match=r"^DataLoader timed out after 0 seconds; lower data\.workers"):
        list(loaded(eval_loader(dataset(two_clips), 1, 1)))
