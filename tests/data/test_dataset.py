"""Samples: frames, word classes and labels agree under every temporal augmentation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plans import CLASS_WORD, samples, sources
from tiny import OFF, dataset, make_clip, pack

from lipnet.config import AugmentConfig
from lipnet.data.alignments import Word
from lipnet.data.corpus import Clip
from lipnet.data.dataset import SampleKey, ctc_steps
from lipnet.data.transforms import IGNORE, long_words
from lipnet.grid import WORD_CLASS
from lipnet.tokenizer import DEFAULT_TOKENIZER, TokenizerError

FIRST = ["bin", "blue", "at", "f", "two", "now"]


def test_a_clip_without_augmentation(two_clips: Path) -> None:
    for augment in (None, OFF):
        sample = dataset(two_clips, augment=augment)[SampleKey(1)]
        assert sample.indices.tolist() == list(range(10, 20))
        words = [CLASS_WORD.get(int(word), "-") for word in sample.words]
        assert words == ["-", "-", "lay", "green", "by", "m", "five", "-", "please", "-"]
        assert (sample.name, sample.sentence) == ("s1/lgbm5p", "lay green by m five please")
        assert DEFAULT_TOKENIZER.decode(sample.targets) == sample.sentence


def test_without_timings_no_word_is_known(crop_store: Path) -> None:
    sample = dataset(crop_store)[SampleKey(4)]
    assert sample.name == "s1/bgbt1s" and set(sample.words) == {IGNORE}


def test_words_at_the_very_end_keep_a_frame(tmp_path: Path) -> None:
    words = (Word("bin", 0.0, 1.2), Word("hello", 1.2, 1.4), Word("now", 2.8, 4.0))
    pack(tmp_path, [Clip("a", "x", Path(), "bin hello now", words)], [3])
    sample = dataset(tmp_path)[SampleKey(0)]
    # Words other than GRID's 51 have no class.
    assert sample.words.tolist() == [WORD_CLASS["bin"], IGNORE, WORD_CLASS["now"]]


def test_a_sentence_that_the_alphabet_lacks_is_an_error(tmp_path: Path) -> None:
    pack(tmp_path, [Clip("a", "x", Path(), "it's", ())], [3])
    with pytest.raises(TokenizerError, match="it's"):
        dataset(tmp_path)


def test_words_without_a_class_are_not_trimmed_as_silence(tmp_path: Path) -> None:
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
def test_trimming_cuts_only_silence(
    trim: float, before: tuple[int, int], after: tuple[int, int], tmp_path: Path
) -> None:
    # 20 frames of silence, 18 of speech, 10 of silence; 0.85 to 1 of the silence is cut, times trim
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
def test_frames_are_deleted_and_duplicated_at_the_given_rate(crop_store: Path, keep_length: bool) -> None:
    origin = sources(crop_store)
    repeats: Counter[int] = Counter()
    augment = replace(OFF, resample=0.05, keep_length=keep_length)
    data = dataset(crop_store, augment=augment)
    lengths = set()
    for sample in samples(crop_store, augment, epochs=40):
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


def test_speed_resamples_a_clip_evenly(crop_store: Path) -> None:
    origin = sources(crop_store)
    data = dataset(crop_store)
    factors = []
    for sample in samples(crop_store, replace(OFF, speed=0.2), epochs=40):
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


def test_single_words(crop_store: Path) -> None:
    data, origin = dataset(crop_store), sources(crop_store)
    texts: Counter[str] = Counter()
    for index, clip in enumerate(data.clips):
        for word in long_words(clip):
            sample = data[SampleKey(index, word=word)]
            assert sample.sentence == clip.sentence.split()[word] and len(sample.indices) >= 3
            assert set(sample.words) == {WORD_CLASS[sample.sentence]}
            spoken_there = [
                i
                for (s, i), (c, word_class) in origin.items()
                if c.name == clip.name and CLASS_WORD.get(word_class) == sample.sentence
            ]
            assert sample.indices.tolist() == spoken_there
            texts[sample.sentence] += index == 0
    assert {text for text, count in texts.items() if count} == set(FIRST)
    assert [len(long_words(clip)) for clip in data.clips] == [6, 6, 6, 6, 0] * 2  # the fifth has no timings


def test_words_of_two_frames_are_too_short_for_a_clip(two_clips: Path) -> None:
    data = dataset(two_clips)
    assert all(word.end - word.start < 3 for clip in data.clips for word in clip.words)
    assert [long_words(clip) for clip in data.clips] == [[], []]


def test_a_sample_depends_only_on_its_key_and_the_seed(crop_store: Path) -> None:
    augment = AugmentConfig(splice=0.5, resample=0.1)
    key = SampleKey(2, epoch=3, trim=0.5)
    first, second = dataset(crop_store, augment=augment), dataset(crop_store, augment=augment)
    second[SampleKey(0)], second[SampleKey(1, 5)]
    expected = first[key].indices.tolist()
    assert second[key].indices.tolist() == expected
    assert first[key._replace(epoch=4)].indices.tolist() != expected
    assert dataset(crop_store, augment=augment, seed=1)[key].indices.tolist() != expected


@pytest.mark.parametrize(("text", "steps"), [("", 0), ("hi", 2), ("hello", 6), ("aaa", 5), ("a  a", 5)])
def test_ctc_needs_a_blank_between_equal_neighbours(text: str, steps: int) -> None:
    assert ctc_steps(DEFAULT_TOKENIZER.encode(text)) == steps


def test_clips_whose_text_is_too_long_for_their_frames(tmp_path: Path) -> None:
    """ "hello" needs six steps; three frames with two steps each are enough."""
    for clip_id, frames in (("a", 5), ("b", 6), ("c", 3)):
        clips = [Clip(f"s{clip_id}", clip_id, Path(), "hello", ())]
        pack(tmp_path, clips, [frames])
    data = dataset(tmp_path)
    assert [clip.id for clip in data.unalignable(1)] == ["a", "c"]
    assert data.unalignable(2) == []
