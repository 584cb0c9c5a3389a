"""Batches: how clips are collated and padded, in this process or by workers."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CROP, OFF, dataset, tiny_model
from torch import Tensor

from lipnet.config import AugmentConfig, TrainConfig
from lipnet.data.dataset import Batch, SampleKey
from lipnet.data.loading.loaders import collate, eval_loader, make_gatherer, train_loader
from lipnet.data.loading.processes import LoaderProcesses
from lipnet.data.loading.sampler import EpochSampler
from lipnet.data.transforms import IGNORE
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.device import choose_device
from lipnet.models.lipnet import LipNet
from lipnet.tokenizer import DEFAULT_TOKENIZER
from lipnet.training.engine import train_one_epoch
from lipnet.training.evaluation import evaluate
from lipnet.training.optim import TrainState


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
            batches += list(loader)
        return batches

    with_workers, without = epochs(2), epochs(0)
    assert len(with_workers) == len(without) == 6
    assert all(same(a, b) for a, b in zip(with_workers, without, strict=True))
    assert not same(without[0], without[3])


@pytest.mark.slow
def test_spawned_processes_give_the_same_batches(crop_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on systems that cannot fork."""
    for module in ("lipnet.utils.workers", "lipnet.data.loading.shared_memory"):
        monkeypatch.setattr(f"{module}.FORKS", False)
    data = dataset(crop_store, augment=None)
    spawned, here = (list(eval_loader(data, 4, workers)) for workers in (2, 0))
    assert len(here) == 3 and all(same(a, b) for a, b in zip(spawned, here, strict=True))


@pytest.mark.gpu
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_copied_to_a_gpu_while_it_computes(workers: int, crop_store: Path) -> None:
    """They are in page-locked memory, which is used again only when the GPU has copied a batch."""
    data, gpu = dataset(crop_store, augment=None), torch.device("cuda")
    keys = [[SampleKey(index % 10)] for index in range(100)]
    busy = torch.rand(4096, 4096, device=gpu)
    copied = []
    for batch in make_gatherer([data], 1, workers, pin=True).gather(data, keys):
        assert batch.frames.is_pinned() and batch.words.is_pinned() and batch.targets.is_pinned()
        for _ in range(5):
            busy = (busy @ busy).softmax(0)
        copied.append(batch.to(gpu, non_blocking=True))
    for keyed, batch in zip(keys, copied, strict=True):
        assert same(batch.to(torch.device("cpu")), collate([data[key] for key in keyed]))


def test_loading_does_not_draw_from_the_trainings_generator(crop_store: Path) -> None:
    sampler = EpochSampler(dataset(crop_store), 4)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(train_loader(sampler))
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_has_whole_clips_the_longest_first(crop_store: Path) -> None:
    data = dataset(crop_store, augment=None)
    batches = list(eval_loader(data, 4))
    assert (
        torch.cat([batch.lengths for batch in batches]).tolist() == [300] * 2 + [75] * 4 + [74] * 2 + [40] * 2
    )
    for batch in batches:
        assert batch.names == [data.clips[position].name for position in batch.positions]
    assert sorted(position for batch in batches for position in batch.positions) == list(range(10))


def test_clips_of_any_length_train_and_evaluate(crop_store: Path) -> None:
    device, model = choose_device("cpu"), LipNet(tiny_model(word_heads=True))
    sampler = EpochSampler(dataset(crop_store), 10)
    train_state = TrainState(model, TrainConfig(), len(sampler))
    (step,) = train_one_epoch(train_state, train_loader(sampler), TrainConfig(), OFF, device)
    assert step.clips == 10
    data = dataset(crop_store, augment=None)
    evaluation = evaluate(model, eval_loader(data, 10), GreedyDecoder(DEFAULT_TOKENIZER), device)
    assert evaluation.counts.sentences == 10 and evaluation.counts.words == 60


# Loader processes


def test_the_sets_of_a_run_share_their_processes(crop_store: Path) -> None:
    train, dev = dataset(crop_store, "train"), dataset(crop_store, "dev", augment=None)
    gatherer = make_gatherer([train, dev], 3, workers=1)
    for _ in range(2):
        for data in (train, dev):
            keys = [[SampleKey(index)] for index in range(len(data))]
            found = [batch.names for batch in gatherer.gather(data, keys)]
            assert found == [[clip.name] for clip in data.clips]
            assert len(multiprocessing.active_children()) == 1


def test_batches_that_are_kept_stay_as_they_are(crop_store: Path) -> None:
    """There is less shared memory than for all of them."""
    data = dataset(crop_store, augment=None)
    keys = [[SampleKey(index)] for index in range(10)]
    kept = list(make_gatherer([data], 1, workers=1).gather(data, keys))
    assert all(
        same(batch, collate([data[key] for key in [one]])) for batch, [one] in zip(kept, keys, strict=True)
    )


def test_memory_of_a_batch_is_used_again_when_nothing_of_it_is_left(crop_store: Path) -> None:
    data = dataset(crop_store, "train", augment=None)
    processes = make_gatherer([data], 1, workers=1)
    assert isinstance(processes, LoaderProcesses)
    words = []
    places = set()
    for batch in processes.gather(data, [[SampleKey(index % 7)] for index in range(20)]):
        places.add(batch.frames.data_ptr())
        words = [batch.words]  # a part of it keeps all of it
        del batch
    assert len(places) <= 4 and len(words) == 1
    del words
    assert len(processes._free) == 4


def test_a_batch_larger_than_its_memory_is_as_good(crop_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipnet.data.loading.processes.slot_size", lambda *_: 40 * 16 * 24 * 3 + 2000)
    data = dataset(crop_store, augment=None)
    keys = [[SampleKey(index)] for index in range(10)]
    for (key,), batch in zip(keys, make_gatherer([data], 1, workers=1).gather(data, keys), strict=True):
        assert same(batch, collate([data[key]]))
