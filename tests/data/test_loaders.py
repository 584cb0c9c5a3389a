"""Batches: which clips they hold, how they are padded, and that seed and epoch alone decide."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CROP, OFF, dataset, make_clip, pack, tiny_model
from torch import Tensor

from lipnet.config import AugmentConfig, TrainConfig
from lipnet.data.crop_store import CropStore
from lipnet.data.dataset import Batch, ClipDataset, SampleKey
from lipnet.data.loaders import EpochSampler, collate, eval_loader, train_loader
from lipnet.data.transforms import IGNORE
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.device import choose_device
from lipnet.models.lipnet import LipNet
from lipnet.tokenizer import DEFAULT_TOKENIZER
from lipnet.training.engine import evaluate, train_one_epoch
from lipnet.training.optim import TrainState


def epoch_of(sampler: EpochSampler, epoch: int) -> list[list[SampleKey]]:
    sampler.epoch = epoch
    return list(sampler)


def test_an_epoch_is_a_function_of_seed_and_epoch(crop_store: Path) -> None:
    augment = replace(OFF, trim=1.0, word_clips=0.5)
    sampler = EpochSampler(dataset(crop_store, augment=augment), 3)
    epochs = [epoch_of(sampler, epoch) for epoch in range(4)]
    again = EpochSampler(dataset(crop_store, augment=augment), 3)
    assert [epoch_of(again, epoch) for epoch in (3, 1)] == [epochs[3], epochs[1]]
    assert all(a != b for i, a in enumerate(epochs) for b in epochs[:i])
    other = EpochSampler(dataset(crop_store, augment=augment, seed=1), 3)
    assert epoch_of(other, 0) != epochs[0]


def test_steps_of_any_epoch_are_known_beforehand(crop_store: Path) -> None:
    sampler = EpochSampler(dataset(crop_store, augment=replace(OFF, word_clips=1.0)), 3)
    clips = [sampler.clips(epoch) for epoch in range(40)]
    epochs = [epoch_of(sampler, epoch) for epoch in range(40)]
    assert [sampler.steps(one) for one in clips] == [len(batches) for batches in epochs]
    assert clips == [sum(map(len, batches)) for batches in epochs]
    assert clips[0] > clips[-1]


def test_an_epoch_has_every_clip_once(crop_store: Path) -> None:
    sampler = EpochSampler(dataset(crop_store, augment=replace(OFF, trim=0.6)), 3)
    for epoch in range(3):
        batches = epoch_of(sampler, epoch)
        assert len(batches) == len(sampler) and sorted(map(len, batches)) == [1, 3, 3, 3]
        assert sorted(key.clip for batch in batches for key in batch) == list(range(10))
        assert {key.epoch for batch in batches for key in batch} == {epoch}
        assert all(len({key.trim for key in batch}) == 1 for batch in batches)


def test_batches_of_like_length_pad_little(tmp_path: Path) -> None:
    # spoken for 6 to 65 of 80 frames, so that trimmed clips differ as much
    ids = ["".join(chars) for chars in product("bl", "bgrw", "a", "abcd", "12", "n")][:60]
    clips = []
    for i, clip_id in enumerate(ids):
        clip = make_clip("s1", clip_id, 80)
        words = tuple(
            replace(w, start=10 + k * (i + 6) / 6, end=10 + (k + 1) * (i + 6) / 6)
            for k, w in enumerate(clip.words)
        )
        clips.append(replace(clip, words=words))
    pack(tmp_path, clips, [80] * len(clips))
    data = dataset(tmp_path, augment=replace(OFF, trim=1.0))
    for batch in EpochSampler(data, 6):
        lengths = [len(data[key].indices) for key in batch]
        assert max(lengths) - min(lengths) <= 20


def test_how_much_silence_batches_lose(crop_store: Path) -> None:
    def drawn(trim: float) -> list[float]:
        sampler = EpochSampler(dataset(crop_store, augment=replace(OFF, trim=trim)), 1)
        return [batch[0].trim for epoch in range(100) for batch in epoch_of(sampler, epoch)]

    assert set(drawn(0.0)) == {0.0} and set(drawn(1.0)) == {1.0}
    some = [trim for trim in drawn(0.6) if trim < 1]
    assert 350 < len(some) < 450 and 0.45 < sum(some) / len(some) < 0.55


def test_clips_of_like_length_share_a_batch(crop_store: Path) -> None:
    sampler = EpochSampler(dataset(crop_store), 2)
    batches = [
        sorted(sampler.dataset.clips[key.clip].frames for key in batch) for batch in epoch_of(sampler, 0)
    ]
    assert sorted(batches) == [[40, 40], [74, 74], [75, 75], [75, 75], [300, 300]]


def test_single_word_clips_decay(crop_store: Path) -> None:
    corpus = CropStore(crop_store)
    clips = corpus.split("all") * 500
    data = ClipDataset(corpus, clips, DEFAULT_TOKENIZER, replace(OFF, word_clips=0.8, word_clip_decay=0.5))
    sampler = EpochSampler(data, 100)
    for epoch, rate in enumerate((0.8, 0.4, 0.2, 0.1)):
        keys = [key for batch in epoch_of(sampler, epoch) for key in batch]
        words = sum(key.single_word for key in keys)
        assert len(keys) - words == 5000
        assert words / 4000 == pytest.approx(rate, abs=0.03)  # a fifth of the clips is untimed


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


def test_loading_takes_none_of_the_trainings_random_numbers(crop_store: Path) -> None:
    sampler = EpochSampler(dataset(crop_store), 4)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(train_loader(sampler))
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_sees_whole_clips_in_order(crop_store: Path) -> None:
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


# Shares of speakers and of a corpus that is mixed in


def two_corpora(root: Path) -> ClipDataset:
    """Twelve clips of s1 and three of s2; mixed in, four of another s1."""
    ids = [f"bb{preposition}{letter}{digit}n" for preposition in "abi" for letter in "fm" for digit in "12"]
    pack(root / "main", [make_clip("s1", i) for i in ids], [75] * 12)
    pack(root / "main", [make_clip("s2", f"lg{i[2:]}") for i in ids[:3]], [75] * 3)
    pack(root / "mixed", [make_clip("s1", f"pr{i[2:]}") for i in ids[:4]], [75] * 4)
    main, mixed = CropStore(root / "main"), CropStore(root / "mixed")
    return ClipDataset(
        main, main.split("all"), DEFAULT_TOKENIZER, replace(OFF, splice=1.0), 0, (mixed, mixed.split("all"))
    )


def shares(sampler: EpochSampler, epochs: int) -> tuple[Counter[str], set[int]]:
    """How often each speaker comes an epoch, and the epochs' sizes. The mixed-in speaker is called m."""
    data, seen, sizes = sampler.dataset, Counter[str](), set()
    for epoch in range(epochs):
        keys = [key for batch in epoch_of(sampler, epoch) for key in batch]
        assert len(set(keys)) == len(keys)  # a clip that comes twice is changed in two ways
        seen.update("m" if key.clip >= data.main else data.clips[key.clip].speaker for key in keys)
        sizes.add(len(keys))
    return Counter({speaker: count / epochs for speaker, count in seen.items()}), sizes


@pytest.mark.parametrize(
    ("balance", "mix", "expected"),
    [
        (1.0, 0.0, {"s1": 12, "s2": 3}),
        (0.0, 0.0, {"s1": 7.5, "s2": 7.5}),
        (0.5, 0.0, {"s1": 10, "s2": 5}),
        (1.0, 1.0, {"s1": 12, "s2": 3, "m": 15}),
        (1.0, 0.1, {"s1": 12, "s2": 3, "m": 1.5}),
    ],
)
def test_shares_of_speakers(balance: float, mix: float, expected: dict[str, float], tmp_path: Path) -> None:
    seen, sizes = shares(EpochSampler(two_corpora(tmp_path), 4, balance, mix), epochs=200)
    assert seen == pytest.approx(expected, abs=0.25)
    assert max(sizes) - min(sizes) <= 1


def test_mixed_in_clips_are_spliced_among_themselves(tmp_path: Path) -> None:
    """Two corpora may use one name for two people."""
    data = two_corpora(tmp_path)
    commands = {index: set[str]() for index in range(len(data))}
    for index, epoch in product(range(len(data)), range(20)):
        sample = data[SampleKey(index, epoch)]
        commands[index].add(sample.sentence.split()[0])
        folder = Path(str(getattr(sample.array, "filename", ""))).parent.name
        assert folder == ("mixed" if index >= data.main else "main")
    assert all(commands[index] == {"place"} for index in range(data.main, len(data)))
    assert all(commands[index] == {"bin"} for index in range(12))


def test_copies_of_a_clip_in_one_epoch_differ(tmp_path: Path) -> None:
    data = two_corpora(tmp_path)
    spliced = {tuple(data[SampleKey(0, 0, copy=copy)].indices.tolist()) for copy in range(5)}
    assert len(spliced) == 5
