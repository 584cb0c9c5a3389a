"""Samples and batches: frames, word classes and labels agree, whatever is cut, spliced or repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest
from tiny import OFF, dataset, make_clip, pack

from lipnet.config import AugmentConfig
from lipnet.data import (
    IGNORE,
    SPLICE_LEAD,
    Sample,
    SampleKey,
)
from lipnet.grid import GRAMMAR, WORD_CLASS, Clip, Word, is_grid_sentence
from lipnet.packed import PackedClip, PackedCorpus
from lipnet.text import LETTERS, TextError

FIRST = ["bin", "blue", "at", "f", "two", "now"]
SECOND = ["lay", "green", "by", "m", "five", "please"]
CLASS_WORD = {index: word for word, index in WORD_CLASS.items()}


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


def leads(clip: PackedClip, frame: int) -> bool:
    """Whether a frame of the speaker's array may be cut off with the word that follows it."""
    starts = [round(word.start) for i, word in enumerate(clip.words) if i != 3]  # letters stay with "at"
    return any(start - SPLICE_LEAD <= frame - clip.start < start for start in starts)


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
    """Two choices for each of five units; the silences at both ends are the clip's own.

    A unit is cut one frame early where the word before it, or the silence, has two frames or three.
    """
    units = (
        (("bin", [1]), ("lay", [11, 12])),
        (("blue", [2]), ("green", [13])),
        (("at f", [3, 4, 5]), ("by m", [14, 15])),
        (("two", [6, 7]), ("five", [16])),
        (("now", [8]), ("please", [17, 18])),  # and the pause before it
    )
    ends = {"s1/bbaf2n": ([0], [9]), "s1/lgbm5p": ([10], [19])}
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


def test_no_word_loses_more_than_half_of_its_frames(tmp_path: Path) -> None:
    """Cuts come before the sound; letters are short, and their preposition's length does not help them."""
    lengths = {"bin": 6, "blue": 3, "at": 5, "f": 2, "two": 5, "now": 8}
    starts = dict(zip(lengths, np.cumsum([20, *lengths.values()]).tolist(), strict=False))
    words = tuple(Word(word, starts[word], starts[word] + length) for word, length in lengths.items())
    pack(tmp_path, [Clip("s1", "bbaf2n", Path(), " ".join(lengths), words)], [75])
    units = dataset(tmp_path, augment=replace(OFF, splice=1.0))._units(0)
    kept = Counter(
        word
        for unit in units
        for word in unit.words.tolist()
        if CLASS_WORD.get(word, "-") in unit.text.split()
    )
    assert {word: kept[WORD_CLASS[word]] for word in lengths} == {
        "bin": 4,
        "blue": 2,
        "at": 5,
        "f": 1,
        "two": 3,
        "now": 8,
    }


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
        own = [
            not leads(clip, int(index)) for (clip, _), index in zip(came_from, sample.indices, strict=True)
        ]
        assert all(
            word == label
            for (_, word), label, is_own in zip(came_from, sample.words.tolist(), own, strict=True)
            if is_own
        )
        if IGNORE in sample.words:
            continue  # an untimed clip, which is never spliced
        if not resample:
            assert spoken(sample) == sample.sentence.split()
        # A word's frames come from one clip, which says that word in that slot.
        for word, run in groupby(zip(sample.words, came_from, own, strict=True), lambda frame: frame[0]):
            clips = {clip.name: clip for _, (clip, _), is_own in run if is_own}
            if word > 0 and clips:
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


@pytest.mark.parametrize("keep_length", [False, True])
def test_frames_are_deleted_and_duplicated_at_the_asked_rate(packed_corpus: Path, keep_length: bool) -> None:
    origin = sources(packed_corpus)
    repeats: Counter[int] = Counter()
    augment = replace(OFF, resample=0.05, keep_length=keep_length)
    data = dataset(packed_corpus, augment=augment)
    lengths = set()
    for sample in samples(packed_corpus, augment, epochs=40):
        clip = next(clip for clip in data.clips if clip.name == sample.name)
        lengths.add(len(sample.indices) - clip.frames)
        counts = Counter(sample.indices.tolist())
        repeats.update(counts[frame] for frame in range(clip.start, clip.start + clip.frames))
        assert np.all(np.diff(sample.indices) >= 0)
        assert [origin[clip.speaker, int(i)][1] for i in sample.indices] == sample.words.tolist()
    assert set(repeats) == {0, 1, 2} and repeats.total() == 40 * 2 * (75 + 74 + 75 + 40 + 300)
    for count in (0, 2):
        assert repeats[count] / repeats.total() == pytest.approx(0.05, abs=0.004)  # 4 deviations
    assert lengths == {0} if keep_length else len(lengths) > 5


def test_speed_stretches_a_clip_evenly(packed_corpus: Path) -> None:
    origin = sources(packed_corpus)
    data = dataset(packed_corpus)
    factors = []
    for sample in samples(packed_corpus, replace(OFF, speed=0.2), epochs=40):
        clip = next(clip for clip in data.clips if clip.name == sample.name)
        length = len(sample.indices)
        factors.append(length / clip.frames)
        even = clip.start + (np.arange(length) + 0.5) / length * clip.frames - 0.5
        assert np.abs(sample.indices - even).max() <= 0.5 + 1e-6
        assert [origin[clip.speaker, int(i)][1] for i in sample.indices] == sample.words.tolist()
    assert 0.79 < min(factors) < 0.82 and 1.18 < max(factors) < 1.21


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
