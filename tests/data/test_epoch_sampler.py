"""The clips of an epoch and their order: they depend only on seed and epoch."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import cast

import pytest
from tiny import OFF, dataset, make_clip, pack

from lipnet.data.alignments import Word
from lipnet.data.crop_store import CropStore, StoredClip
from lipnet.data.dataset import ClipDataset, SampleKey
from lipnet.data.loading.sampler import EpochSampler
from lipnet.errors import ConfigError
from lipnet.tokenizer import DEFAULT_TOKENIZER


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


@pytest.mark.parametrize("word_clips", [0.0, 1.0])
@pytest.mark.parametrize("balance", [1.0, 0.3])
def test_the_length_of_any_epoch_is_known_beforehand(
    balance: float, word_clips: float, crop_store: Path
) -> None:
    corpus = CropStore(crop_store)
    augment = replace(OFF, word_clips=word_clips)
    mixed_in = (corpus, corpus.split("dev"))
    data = ClipDataset(corpus, corpus.split("train"), DEFAULT_TOKENIZER, augment, 0, mixed_in)
    for mix in (0.0, 0.3, 1.0):
        sampler = EpochSampler(data, 3, balance, mix)
        items = [sampler.items(epoch) for epoch in range(40)]
        epochs = [epoch_of(sampler, epoch) for epoch in range(40)]
        assert [sampler.steps(count) for count in items] == [len(batches) for batches in epochs]
        assert items == [sum(map(len, batches)) for batches in epochs]
        assert items[0] > items[-1] or not word_clips


def test_epochs_are_counted_without_listing_their_items() -> None:
    """The whole corpus for 100 epochs; listing took 10 s."""
    words = tuple(
        Word(word, 10 + 6 * i, 16 + 6 * i) for i, word in enumerate(["bin", "blue", "at", "f", "two", "now"])
    )
    clips = [
        StoredClip(f"s{i % 33}", str(i), 75 * i, 75, 75, "bin blue at f two now", words) for i in range(28800)
    ]
    data = ClipDataset(cast(CropStore, None), clips, DEFAULT_TOKENIZER, OFF)
    sampler = EpochSampler(data, 50, balance=0.85)
    started = time.process_time()
    assert [sampler.items(epoch) for epoch in range(100)] == [28800] * 100
    assert time.process_time() - started < 0.1


def test_an_epoch_has_every_clip_once(crop_store: Path) -> None:
    sampler = EpochSampler(dataset(crop_store, augment=replace(OFF, trim=0.6)), 3)
    for epoch in range(3):
        batches = epoch_of(sampler, epoch)
        assert len(batches) == len(sampler) and sorted(map(len, batches)) == [1, 3, 3, 3]
        assert sorted(key.clip for batch in batches for key in batch) == list(range(10))
        assert {key.epoch for batch in batches for key in batch} == {epoch}
        assert all(len({key.trim for key in batch}) == 1 for batch in batches)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_processes_share_the_batches(count: int, crop_store: Path) -> None:
    """Together they have the batches of one process with as many times the clips."""
    data = dataset(crop_store, augment=replace(OFF, trim=0.6))
    for size in (1, 2):
        alone = EpochSampler(data, count * size)
        shares = [EpochSampler(data, size, rank=rank, count=count) for rank in range(count)]
        for epoch in range(3):
            parts = [epoch_of(share, epoch) for share in shares]
            together = [sorted(key for part in batch for key in part) for batch in zip(*parts, strict=True)]
            assert len(together) == len(shares[0]) and all(part for batch in parts for part in batch)
            rest = 10 % (count * size)
            if rest == 0 or rest >= count:
                assert together == [sorted(batch) for batch in epoch_of(alone, epoch)]
            assert sorted(key.clip for batch in together for key in batch) == list(range(10))


def test_more_processes_than_clips_are_refused(crop_store: Path) -> None:
    with pytest.raises(ConfigError, match="an epoch of 10 clips cannot be shared by 11 processes; start few"):
        EpochSampler(dataset(crop_store), 3, count=11)


def test_batches_of_similar_length_have_little_padding(tmp_path: Path) -> None:
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


def test_the_part_of_silence_that_batches_lose(crop_store: Path) -> None:
    def drawn(trim: float) -> list[float]:
        sampler = EpochSampler(dataset(crop_store, augment=replace(OFF, trim=trim)), 1)
        return [batch[0].trim for epoch in range(100) for batch in epoch_of(sampler, epoch)]

    assert set(drawn(0.0)) == {0.0} and set(drawn(1.0)) == {1.0}
    some = [trim for trim in drawn(0.6) if trim < 1]
    assert 350 < len(some) < 450 and 0.45 < sum(some) / len(some) < 0.55


def test_clips_of_similar_length_share_a_batch(crop_store: Path) -> None:
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
        words = Counter(key.word for key in keys)
        assert words.pop(None) == 5000
        for word in range(6):  # all words of a clip, or none
            assert words[word] / 4000 == pytest.approx(rate, abs=0.03)  # a fifth of the clips has no timings
        with_words = Counter(key.clip for key in keys if key.word is not None)
        assert set(with_words.values()) == {6}


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
    """Mean occurrences of each speaker in an epoch (m: mixed in), and the epochs' sizes."""
    data, seen, sizes = sampler.dataset, Counter[str](), set()
    for epoch in range(epochs):
        keys = [key for batch in epoch_of(sampler, epoch) for key in batch]
        assert len(set(keys)) == len(keys)  # copies of a clip differ in their augmentation
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
    """Two corpora may use the same name for two speakers."""
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
