"""Samples and batches: frames, word classes and labels agree, whatever is cut, spliced or repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CROP, make_clip, pack, tiny_model
from torch import Tensor

from lipnet.augment import augment_pixels
from lipnet.config import AugmentConfig, TrainConfig
from lipnet.data import (
    IGNORE,
    WORD_CLASS,
    Batch,
    ClipDataset,
    Sample,
    SampleKey,
    collate,
    eval_loader,
)
from lipnet.decode import GreedyDecoder
from lipnet.engine import Learner, evaluate, train_one_epoch
from lipnet.grid import GRAMMAR, Clip, Word, is_grid_sentence
from lipnet.hardware import choose_hardware
from lipnet.model import LipNet
from lipnet.packed import PackedClip, PackedCorpus
from lipnet.sampler import EpochSampler, train_loader
from lipnet.text import LETTERS, TextError

OFF = AugmentConfig(resample=0.0, flip=0.0)
FIRST = ["bin", "blue", "at", "f", "two", "now"]
SECOND = ["lay", "green", "by", "m", "five", "please"]
CLASS_WORD = {index: word for word, index in WORD_CLASS.items()}


def dataset(
    root: Path, split: str = "all", augment: AugmentConfig | None = OFF, seed: int = 0
) -> ClipDataset:
    corpus = PackedCorpus(root)
    return ClipDataset(corpus, corpus.split(split), LETTERS, augment, seed)


@pytest.fixture(scope="module")
def two_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of ten frames in which no word is the same."""
    root = tmp_path_factory.mktemp("two")
    first = zip(FIRST, (1, 2, 4, 5, 7, 8), (2, 4, 5, 7, 8, 9), strict=True)
    second = zip(SECOND, (2, 3, 4, 5, 6, 8), (3, 4, 5, 6, 7, 9), strict=True)
    clips = [
        Clip("s1", clip_id, Path(), " ".join(word[0] for word in words), tuple(Word(*word) for word in words))
        for clip_id, words in (("bbaf2n", list(first)), ("lgbm5p", list(second)))
    ]
    pack(root, clips, [10, 10])
    return root


def samples(root: Path, augment: AugmentConfig, epochs: int = 20, trim: float = 0.0) -> Iterator[Sample]:
    data = dataset(root, augment=augment)
    for epoch, clip in product(range(epochs), range(len(data))):
        yield data[SampleKey(clip, epoch, trim)]


# Where each frame comes from: (speaker, place in its array) -> (clip, word class), told from the alignments.
Sources = dict[tuple[str, int], tuple[PackedClip, int]]


def sources(root: Path) -> Sources:
    found: Sources = {}
    for clip in PackedCorpus(root).clips.values():
        for frame in range(clip.frames):
            spoken = [word.text for word in clip.words if round(word.start) <= frame < round(word.end)]
            known = WORD_CLASS[spoken[0]] if spoken else 0
            found[clip.speaker, clip.start + frame] = (clip, known if clip.words else IGNORE)
    return found


def speaker_of(sample: Sample) -> str:
    return sample.name.split("/")[0]


def spoken(sample: Sample) -> list[str]:
    """The words that the frames' classes spell."""
    return [CLASS_WORD[int(word)] for word, _ in groupby(sample.words) if word > 0]


# Unchanged clips


def test_an_unchanged_clip(two_clips: Path) -> None:
    for augment in (None, OFF):
        sample = dataset(two_clips, augment=augment)[SampleKey(1)]
        assert sample.indices.tolist() == list(range(10, 20))
        words = [CLASS_WORD.get(int(word), "-") for word in sample.words]
        assert words == ["-", "-", "lay", "green", "by", "m", "five", "-", "please", "-"]
        assert (sample.name, sample.sentence) == ("s1/lgbm5p", "lay green by m five please")
        assert LETTERS.decode(sample.targets) == sample.sentence


def test_without_times_no_word_is_known(packed_corpus: Path) -> None:
    sample = dataset(packed_corpus)[SampleKey(4)]
    assert sample.name == "s1/bgbt1s" and set(sample.words) == {IGNORE}


def test_words_at_the_very_end_keep_a_frame(tmp_path: Path) -> None:
    words = (Word("bin", 0.0, 1.2), Word("hello", 1.2, 1.4), Word("now", 2.8, 9.0))
    pack(tmp_path, [Clip("a", "x", Path(), "bin hello now", words)], [3])
    sample = dataset(tmp_path)[SampleKey(0)]
    # Of a word beside GRID's 51 there is no class.
    assert sample.words.tolist() == [WORD_CLASS["bin"], IGNORE, WORD_CLASS["now"]]


def test_a_sentence_that_the_alphabet_lacks_is_an_error(tmp_path: Path) -> None:
    pack(tmp_path, [Clip("a", "x", Path(), "it's", ())], [3])
    with pytest.raises(TextError, match="it's"):
        dataset(tmp_path)


# Splicing


def test_splicing_equals_a_hand_made_table(two_clips: Path) -> None:
    """Two choices for each of five units; the silences at both ends are the clip's own."""
    units = (
        (("bin", [1]), ("lay", [12])),
        (("blue", [2, 3]), ("green", [13])),
        (("at f", [4, 5, 6]), ("by m", [14, 15])),
        (("two", [7]), ("five", [16, 17])),  # with the pause after it
        (("now", [8]), ("please", [18])),
    )
    ends = {"s1/bbaf2n": ([0], [9]), "s1/lgbm5p": ([10, 11], [19])}
    table = {
        (name, " ".join(text for text, _ in choice)): [
            *before,
            *(index for _, part in choice for index in part),
            *after,
        ]
        for name, (before, after) in ends.items()
        for choice in product(*units)
    }
    seen = {
        (sample.name, sample.sentence): sample.indices.tolist()
        for sample in samples(two_clips, replace(OFF, splice=1.0), epochs=400)
    }
    assert seen == table


def test_splicing_is_as_frequent_as_asked(two_clips: Path) -> None:
    own = Counter(
        word in ("bin", "blue", "at", "two", "now")
        for sample in samples(two_clips, replace(OFF, splice=0.4), epochs=500)
        if sample.name == "s1/bbaf2n"
        for word in sample.sentence.split()
        if word not in ("f", "m")
    )
    # A donor is drawn with probability 0.4 and is the clip itself half of the time.
    assert own[False] / own.total() == pytest.approx(0.2, abs=0.04)
    assert all(
        sample.sentence in ("bin blue at f two now", "lay green by m five please")
        for sample in samples(two_clips, OFF)
    )


@pytest.mark.parametrize(("resample", "trim"), [(0.0, 0.0), (0.0, 1.0), (0.05, 0.7)])
def test_label_alignment_and_frames_always_agree(packed_corpus: Path, resample: float, trim: float) -> None:
    origin = sources(packed_corpus)
    augment = replace(OFF, splice=0.6, resample=resample)
    for sample in samples(packed_corpus, augment, trim=trim):
        speaker = speaker_of(sample)
        assert len(sample.indices) == len(sample.words)
        assert LETTERS.decode(sample.targets) == sample.sentence
        assert is_grid_sentence(sample.sentence.split())
        came_from = [origin[speaker, int(index)] for index in sample.indices]
        assert [word for _, word in came_from] == sample.words.tolist()
        if IGNORE in sample.words:
            continue  # an untimed clip, which is never spliced
        if not resample:
            assert spoken(sample) == sample.sentence.split()
        # A word's frames come from one clip, which says that word in that slot.
        for word, run in groupby(zip(sample.words, came_from, strict=True), lambda pair: pair[0]):
            clips = {clip.name: clip for _, (clip, _) in run}
            if word > 0:
                (donor,) = clips.values()
                slot = next(
                    i for i, slot in enumerate(GRAMMAR) if CLASS_WORD[int(word)] in slot.words.values()
                )
                assert donor.speaker == speaker
                assert donor.words[slot].text == sample.sentence.split()[slot] == CLASS_WORD[int(word)]


def test_each_speaker_is_spliced_from_his_own_array(packed_corpus: Path) -> None:
    corpus = PackedCorpus(packed_corpus)
    for sample in samples(packed_corpus, replace(OFF, splice=1.0), epochs=3):
        assert np.array_equal(sample.array[:2], corpus.array(speaker_of(sample))[:2])


def test_an_untimed_clip_is_neither_spliced_nor_a_donor(packed_corpus: Path) -> None:
    untimed = {"s1/bgbt1s": "bin green by t one soon", "s2/lgiu8a": "lay green in u eight again"}
    for sample in samples(packed_corpus, replace(OFF, splice=1.0), epochs=5, trim=1.0):
        if sample.name in untimed:
            assert sample.sentence == untimed[sample.name] and len(sample.indices) == 300
        else:
            assert len(sample.indices) < 150


def test_a_clip_that_breaks_off_is_neither_spliced_nor_a_donor(tmp_path: Path) -> None:
    """Its label names words of which it shows no frame."""
    whole = make_clip("s1", "bbaf2n"), make_clip("s1", "lgbm5p")
    pack(tmp_path, [*whole, make_clip("s1", "prwazs")], [75, 75, 30])
    for sample in samples(tmp_path, replace(OFF, splice=1.0)):
        if sample.name == "s1/prwazs":
            assert sample.sentence == "place red with a zero soon" and len(sample.indices) == 30
        else:
            assert spoken(sample) == sample.sentence.split()
            assert "place" not in sample.sentence


# Trimming, deleting and duplicating, single words


def test_words_that_are_not_grids_are_no_silence(tmp_path: Path) -> None:
    spoken = tuple(
        Word(word, 10 + 4 * i, 14 + 4 * i) for i, word in enumerate(["the", "cat", "sat", "in", "the", "hat"])
    )
    clip = Clip("s1", "own", Path("own.mp4"), "the cat sat in the hat", spoken)
    pack(tmp_path, [clip], [50])
    (sample, *_) = samples(tmp_path, OFF, epochs=1, trim=1.0)
    assert 24 <= len(sample.indices) <= 30 and {10, 33} <= set(sample.indices.tolist())


@pytest.mark.parametrize(
    ("trim", "before", "after"), [(1.0, (17, 20), (9, 10)), (0.5, (9, 10), (4, 5)), (0.0, (0, 0), (0, 0))]
)
def test_trimming_cuts_silence_alone(
    trim: float, before: tuple[int, int], after: tuple[int, int], tmp_path: Path
) -> None:
    # 20 silent frames before, 18 spoken ones, 10 after; a part of 0.85 to 1 of them is cut, times trim
    spans = tuple(Word(word, 20 + 3 * i, 23 + 3 * i) for i, word in enumerate(FIRST))
    pack(tmp_path, [Clip("s1", "bbaf2n", Path(), " ".join(FIRST), spans)], [48])
    firsts, lasts = set(), set()
    for sample in samples(tmp_path, OFF, epochs=100, trim=trim):
        first, last = int(sample.indices[0]), int(sample.indices[-1])
        assert sample.indices.tolist() == list(range(first, last + 1))
        assert np.count_nonzero(sample.words) == 18
        firsts.add(first)
        lasts.add(47 - last)
    assert (min(firsts), max(firsts)) == before and (min(lasts), max(lasts)) == after


def test_frames_are_deleted_and_duplicated_at_the_asked_rate(packed_corpus: Path) -> None:
    origin = sources(packed_corpus)
    repeats: Counter[int] = Counter()
    data = dataset(packed_corpus, augment=replace(OFF, resample=0.05))
    for sample in samples(packed_corpus, replace(OFF, resample=0.05), epochs=40):
        clip = next(clip for clip in data.clips if clip.name == sample.name)
        counts = Counter(sample.indices.tolist())
        repeats.update(counts[frame] for frame in range(clip.start, clip.start + clip.frames))
        assert np.all(np.diff(sample.indices) >= 0)
        assert [origin[clip.speaker, int(i)][1] for i in sample.indices] == sample.words.tolist()
    assert set(repeats) == {0, 1, 2} and repeats.total() == 40 * 2 * (75 + 74 + 75 + 40 + 300)
    for count in (0, 2):
        assert repeats[count] / repeats.total() == pytest.approx(0.05, abs=0.004)  # 4 deviations


def test_a_clip_never_loses_all_its_frames(tmp_path: Path) -> None:
    pack(tmp_path, [make_clip("s1", "bbaf2n", 75, timed=False)], [1])
    assert {len(sample.indices) for sample in samples(tmp_path, replace(OFF, resample=0.4), 200)} == {1, 2}


def test_single_words(packed_corpus: Path) -> None:
    data, origin = dataset(packed_corpus), sources(packed_corpus)
    texts: Counter[str] = Counter()
    for epoch, index in product(range(60), range(len(data))):
        sample = data[SampleKey(index, epoch, single_word=True)]
        clip = data.clips[index]
        if not clip.words:
            assert sample.sentence == clip.sentence and len(sample.indices) == clip.frames
            continue
        assert sample.sentence in clip.sentence.split() and len(sample.indices) >= 3
        assert set(sample.words) == {WORD_CLASS[sample.sentence]}
        spoken_there = [
            i
            for (s, i), (c, word) in origin.items()
            if c.name == clip.name and CLASS_WORD.get(word) == sample.sentence
        ]
        assert sample.indices.tolist() == spoken_there
        texts[sample.sentence] += index == 0
    assert {text for text, count in texts.items() if count} == set(FIRST)


def test_a_sample_depends_on_its_key_and_the_seed_alone(packed_corpus: Path) -> None:
    augment = AugmentConfig(splice=0.5, resample=0.1)
    key = SampleKey(2, epoch=3, trim=0.5)
    first, second = dataset(packed_corpus, augment=augment), dataset(packed_corpus, augment=augment)
    second[SampleKey(0)], second[SampleKey(1, 5)]
    expected = first[key].indices.tolist()
    assert second[key].indices.tolist() == expected
    assert first[key._replace(epoch=4)].indices.tolist() != expected
    assert dataset(packed_corpus, augment=augment, seed=1)[key].indices.tolist() != expected


# Batches


def epoch_of(sampler: EpochSampler, epoch: int) -> list[list[SampleKey]]:
    sampler.epoch = epoch
    return list(sampler)


def test_an_epoch_is_a_function_of_seed_and_epoch(packed_corpus: Path) -> None:
    augment = replace(OFF, trim=1.0, word_clips=0.5)
    sampler = EpochSampler(dataset(packed_corpus, augment=augment), 3)
    epochs = [epoch_of(sampler, epoch) for epoch in range(4)]
    again = EpochSampler(dataset(packed_corpus, augment=augment), 3)
    assert [epoch_of(again, epoch) for epoch in (3, 1)] == [epochs[3], epochs[1]]
    assert all(a != b for i, a in enumerate(epochs) for b in epochs[:i])
    other = EpochSampler(dataset(packed_corpus, augment=augment, seed=1), 3)
    assert epoch_of(other, 0) != epochs[0]


def test_steps_of_any_epoch_are_known_beforehand(packed_corpus: Path) -> None:
    sampler = EpochSampler(dataset(packed_corpus, augment=replace(OFF, word_clips=1.0)), 3)
    planned = [sampler.steps(epoch) for epoch in range(40)]
    assert planned == [len(epoch_of(sampler, epoch)) for epoch in range(40)]
    assert planned[0] > planned[-1]


def test_an_epoch_has_every_clip_once(packed_corpus: Path) -> None:
    sampler = EpochSampler(dataset(packed_corpus, augment=replace(OFF, trim=0.6)), 3)
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


def test_how_much_silence_batches_lose(packed_corpus: Path) -> None:
    def drawn(trim: float) -> list[float]:
        sampler = EpochSampler(dataset(packed_corpus, augment=replace(OFF, trim=trim)), 1)
        return [batch[0].trim for epoch in range(100) for batch in epoch_of(sampler, epoch)]

    assert set(drawn(0.0)) == {0.0} and set(drawn(1.0)) == {1.0}
    some = [trim for trim in drawn(0.6) if trim < 1]
    assert 350 < len(some) < 450 and 0.45 < sum(some) / len(some) < 0.55


def test_clips_of_like_length_share_a_batch(packed_corpus: Path) -> None:
    sampler = EpochSampler(dataset(packed_corpus), 2)
    batches = [
        sorted(sampler.dataset.clips[key.clip].frames for key in batch) for batch in epoch_of(sampler, 0)
    ]
    assert sorted(batches) == [[40, 40], [74, 74], [75, 75], [75, 75], [300, 300]]


def test_single_word_clips_decay(packed_corpus: Path) -> None:
    corpus = PackedCorpus(packed_corpus)
    clips = corpus.split("all") * 500
    data = ClipDataset(corpus, clips, LETTERS, replace(OFF, word_clips=0.8, word_clip_decay=0.5))
    sampler = EpochSampler(data, 100)
    for epoch, rate in enumerate((0.8, 0.4, 0.2, 0.1)):
        keys = [key for batch in epoch_of(sampler, epoch) for key in batch]
        words = sum(key.single_word for key in keys)
        assert len(keys) - words == 5000
        assert words / 4000 == pytest.approx(rate, abs=0.03)  # a fifth of the clips is untimed


def test_a_batch_is_gathered_and_padded(packed_corpus: Path) -> None:
    data = dataset(packed_corpus, augment=AugmentConfig(splice=0.5, resample=0.1))
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
        assert LETTERS.decode(labels[i].tolist()) == batch.sentences[i] == plan.sentence
    assert batch.names == ["s1/swiq9a", "s1/lgbm5p", "s2/lgiu8a", "s1/bbaf2n"]


def same(first: Batch, second: Batch) -> bool:
    return all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in zip(first, second, strict=True)
    )


def test_worker_processes_give_the_same_batches(packed_corpus: Path) -> None:
    def epochs(workers: int) -> list[Batch]:
        sampler = EpochSampler(dataset(packed_corpus, augment=AugmentConfig(splice=0.5, trim=1.0)), 4)
        loader = train_loader(sampler, workers)
        batches = []
        for sampler.epoch in (0, 1):
            batches += list(loader)
        return batches

    with_workers, without = epochs(2), epochs(0)
    assert len(with_workers) == len(without) == 6
    assert all(same(a, b) for a, b in zip(with_workers, without, strict=True))
    assert not same(without[0], without[3])


def test_loading_takes_none_of_the_trainings_random_numbers(packed_corpus: Path) -> None:
    sampler = EpochSampler(dataset(packed_corpus), 4)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(train_loader(sampler))
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_sees_whole_clips_in_order(packed_corpus: Path) -> None:
    data = dataset(packed_corpus, augment=None)
    batches = list(eval_loader(data, 4))
    assert [name for batch in batches for name in batch.names] == [clip.name for clip in data.clips]
    assert torch.cat([batch.lengths for batch in batches]).tolist() == [75, 74, 75, 40, 300] * 2


def test_clips_of_any_length_train_and_evaluate(packed_corpus: Path) -> None:
    hardware, model = choose_hardware("cpu"), LipNet(tiny_model(word_heads=True))
    sampler = EpochSampler(dataset(packed_corpus), 10)
    learner = Learner(model, TrainConfig(), len(sampler))
    (step,) = train_one_epoch(learner, train_loader(sampler), TrainConfig(), OFF, hardware)
    assert step.clips == 10
    data = dataset(packed_corpus, augment=None)
    evaluation = evaluate(model, eval_loader(data, 10), GreedyDecoder(LETTERS), hardware)
    assert evaluation.counts.sentences == 10 and evaluation.counts.words == 60


# Pixels


def random_clips(*shape: int) -> Tensor:
    return torch.randint(256, (*shape, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_pixels_stay_where_all_is_off() -> None:
    frames = random_clips(3, 2, 4, 5)
    assert torch.equal(augment_pixels(frames, OFF), frames)


def test_flipping_mirrors_whole_clips() -> None:
    frames = random_clips(2, 2, 4, 5)
    assert torch.equal(augment_pixels(frames, replace(OFF, flip=1.0)), frames.flip(3))
    frames = random_clips(200, 2, 2, 3)
    torch.manual_seed(0)
    flipped = augment_pixels(frames, replace(OFF, flip=0.5))
    mirrored = [torch.equal(after, before.flip(2)) for after, before in zip(flipped, frames, strict=True)]
    kept = [torch.equal(after, before) for after, before in zip(flipped, frames, strict=True)]
    assert sum(mirrored) + sum(kept) == 200 and 75 < sum(mirrored) < 125


def test_shifts_repeat_the_border() -> None:
    frames = random_clips(200, 2, 4, 5)
    torch.manual_seed(0)
    shifted = augment_pixels(frames, replace(OFF, shift=2))
    seen = set()
    for before, after in zip(frames.numpy(), shifted.numpy(), strict=True):
        padded = np.pad(before, ((0, 0), (2, 2), (2, 2), (0, 0)), "edge")
        (move,) = [
            (down, right)
            for down, right in product(range(-2, 3), repeat=2)
            if np.array_equal(after, padded[:, 2 - down : 6 - down, 2 - right : 7 - right])
        ]
        seen.add(move)
    assert seen == set(product(range(-2, 3), repeat=2))


def test_brightness_adds_one_number_to_a_clip() -> None:
    frames = 100 + random_clips(50, 2, 4, 5) % 50
    torch.manual_seed(0)
    added = augment_pixels(frames, replace(OFF, brightness=0.1)).int() - frames.int()
    low, high = added.flatten(1).aminmax(dim=1)
    assert torch.equal(low, high)
    assert -26 <= int(low.min()) < -20 and 20 < int(low.max()) <= 26


def test_contrast_stretches_about_the_mean() -> None:
    frames = 100 + random_clips(50, 2, 4, 5) % 50
    torch.manual_seed(0)
    changed = augment_pixels(frames, replace(OFF, contrast=0.2)).double().flatten(1)
    before = frames.double().flatten(1)
    torch.testing.assert_close(changed.mean(1), before.mean(1), rtol=0, atol=0.5)
    factors = changed.std(1) / before.std(1)
    assert 0.79 < float(factors.min()) < 0.85 and 1.15 < float(factors.max()) < 1.21


def test_bright_pixels_do_not_wrap() -> None:
    frames = (
        torch.tensor([0, 255], dtype=torch.uint8).repeat(40, 1, 3, 2)[..., None].expand(-1, -1, -1, -1, 3)
    )
    torch.manual_seed(0)
    changed = augment_pixels(frames, replace(OFF, brightness=0.3, contrast=0.3))
    assert int(changed[..., 0, :].max()) < 130 < int(changed[..., 1, :].min())


def test_pixel_changes_follow_torchs_seed() -> None:
    config = AugmentConfig(shift=3, brightness=0.1, contrast=0.2)
    frames, changed = random_clips(4, 3, 6, 8), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        changed.append(augment_pixels(frames, config))
    assert torch.equal(changed[0], changed[1]) and not torch.equal(changed[0], changed[2])
    assert changed[0].dtype == torch.uint8 and changed[0].shape == frames.shape
