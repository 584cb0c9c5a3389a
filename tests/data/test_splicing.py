"""Spliced sentences: frames, word classes and labels agree, from whichever clips the words are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest
from plans import CLASS_WORD, samples, sources, spoken
from tiny import OFF, make_clip, pack

from lipnet.data.alignments import Word
from lipnet.data.corpus import Clip
from lipnet.data.crop_store import CropStore, StoredClip
from lipnet.data.dataset import Sample
from lipnet.data.transforms import IGNORE, SPLICE_LEAD, frame_words, splice_units
from lipnet.grid import GRAMMAR, WORD_CLASS, is_grid_sentence
from lipnet.tokenizer import DEFAULT_TOKENIZER


def leads(clip: StoredClip, frame: int) -> bool:
    """Whether a frame of the speaker's array may be cut together with the word that follows it."""
    starts = [
        round(word.start) for i, word in enumerate(clip.words) if i != 3
    ]  # letters are cut together with their preposition
    return any(start - SPLICE_LEAD <= frame - clip.start < start for start in starts)


def speaker_of(sample: Sample) -> str:
    return sample.name.split("/")[0]


def test_splicing_equals_a_table_by_hand(two_clips: Path) -> None:
    """Two choices for each of five units; the silence at both ends is the clip's own.

    A unit is cut one frame early if the word or silence before it has two or three frames.
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
    """Cuts precede the sound; how much a letter loses does not depend on its preposition's length."""
    lengths = {"bin": 6, "blue": 3, "at": 5, "f": 2, "two": 5, "now": 8}
    starts = dict(zip(lengths, np.cumsum([20, *lengths.values()]).tolist(), strict=False))
    words = tuple(Word(word, starts[word], starts[word] + length) for word, length in lengths.items())
    pack(tmp_path, [Clip("s1", "bbaf2n", Path(), " ".join(lengths), words)], [75])
    (clip,) = CropStore(tmp_path).clips.values()
    units = splice_units(clip, frame_words(clip))
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


def test_splicing_has_the_given_probability(two_clips: Path) -> None:
    own = Counter(
        word in ("bin", "blue", "at", "two", "now")
        for sample in samples(two_clips, replace(OFF, splice=0.4), epochs=500)
        if sample.name == "s1/bbaf2n"
        for word in sample.sentence.split()
        if word not in ("f", "m")
    )
    # With probability 0.4 a word is from a random clip, half of the time the same one.
    assert own[False] / own.total() == pytest.approx(0.2, abs=0.04)
    assert all(
        sample.sentence in ("bin blue at f two now", "lay green by m five please")
        for sample in samples(two_clips, OFF)
    )


@pytest.mark.parametrize(("resample", "trim"), [(0.0, 0.0), (0.0, 1.0), (0.05, 0.7)])
def test_label_alignment_and_frames_always_agree(crop_store: Path, resample: float, trim: float) -> None:
    origin = sources(crop_store)
    augment = replace(OFF, splice=0.6, resample=resample)
    for sample in samples(crop_store, augment, trim=trim):
        speaker = speaker_of(sample)
        assert len(sample.indices) == len(sample.words)
        assert DEFAULT_TOKENIZER.decode(sample.targets) == sample.sentence
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
        # The frames of a word are from one clip, which has that word in that slot.
        for word, run in groupby(zip(sample.words, came_from, own, strict=True), lambda frame: frame[0]):
            clips = {clip.name: clip for _, (clip, _), is_own in run if is_own}
            if word > 0 and clips:
                (donor,) = clips.values()
                slot = next(
                    i for i, slot in enumerate(GRAMMAR) if CLASS_WORD[int(word)] in slot.words.values()
                )
                assert donor.speaker == speaker
                assert donor.words[slot].text == sample.sentence.split()[slot] == CLASS_WORD[int(word)]


def test_words_are_spliced_within_a_speaker(crop_store: Path) -> None:
    corpus = CropStore(crop_store)
    for sample in samples(crop_store, replace(OFF, splice=1.0), epochs=3):
        assert np.array_equal(sample.array[:2], corpus.array(corpus.clips[sample.name])[:2])


def test_clips_without_timings_are_not_spliced(crop_store: Path) -> None:
    untimed = {"s1/bgbt1s": "bin green by t one soon", "s2/lgiu8a": "lay green in u eight again"}
    for sample in samples(crop_store, replace(OFF, splice=1.0), epochs=5, trim=1.0):
        if sample.name in untimed:
            assert sample.sentence == untimed[sample.name] and len(sample.indices) == 300
        else:
            assert len(sample.indices) < 150


def test_truncated_clips_are_not_spliced(tmp_path: Path) -> None:
    """The end of their last word is missing."""
    whole = make_clip("s1", "bbaf2n"), make_clip("s1", "lgbm5p")
    short = make_clip("s1", "prwazs", 30)
    short = replace(short, words=(*short.words[:-1], replace(short.words[-1], end=31)))
    pack(tmp_path, [*whole, short], [75, 75, 30])
    for sample in samples(tmp_path, replace(OFF, splice=1.0)):
        if sample.name == "s1/prwazs":
            assert sample.sentence == "place red with a zero soon" and len(sample.indices) == 30
        else:
            assert spoken(sample) == sample.sentence.split()
            assert "place" not in sample.sentence
