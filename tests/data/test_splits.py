"""Lists of clips: reading them, and the paper's two splits."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice, product
from pathlib import Path

import pytest
from corpus_files import write_text

from lipnet.data.splits import read_split, split_overlapped, split_unseen
from lipnet.errors import CorpusError
from lipnet.grid import GRAMMAR


def test_a_split_list(tmp_path: Path) -> None:
    text = "\ufeff# ours\r\ns1/bbaf2n\r\n\r\n  s2/lgbm5p  # a comment\r\n"
    assert read_split(write_text(tmp_path / "a.txt", text)) == ["s1/bbaf2n", "s2/lgbm5p"]
    with pytest.raises(CorpusError, match=r"nothing\.txt"):
        read_split(tmp_path / "nothing.txt")


@pytest.fixture(scope="module")
def names() -> list[str]:
    """As many clips as the corpus has: 33 speakers (21 has no video), 1000 each, no sentence twice."""
    ids = ("".join(characters) for characters in product(*(slot.words for slot in GRAMMAR)))
    return [
        f"s{speaker}/{clip_id}" for speaker in range(1, 35) if speaker != 21 for clip_id in islice(ids, 1000)
    ]


def per_speaker(names: list[str]) -> Counter[str]:
    return Counter(name.split("/")[0] for name in names)


def test_the_unseen_split_holds_out_four_speakers(names: list[str]) -> None:
    train, test = split_unseen(names)
    assert per_speaker(test) == dict.fromkeys(("s1", "s2", "s20", "s22"), 1000)
    assert len(train) == 29_000 and set(train) | set(test) == set(names)
    assert split_unseen(["original/s1/bbaf2n"]) == ([], ["original/s1/bbaf2n"])


def test_the_overlapped_split_holds_out_255_clips_of_each_speaker(names: list[str]) -> None:
    train, test = split_overlapped(names)
    assert per_speaker(test) == dict.fromkeys(per_speaker(names), 255)
    assert len(test) == 33 * 255 and len(train) == 33 * 745
    assert sorted(train + test) == sorted(names)
    places = [int(names.index(name)) % 1000 for name in test[:255]]
    assert 400 < sum(places) / len(places) < 600  # a random choice, not the first ones


def test_the_draw_depends_on_the_seed_and_the_speaker_alone(names: list[str]) -> None:
    test = split_overlapped(names, seed=0)[1]
    some = [name for name in names if name.split("/")[0] in ("s3", "s17")]
    assert split_overlapped(some[::-1], seed=0)[1][::-1] == [name for name in test if name in set(some)]
    assert split_overlapped(names, seed=1)[1] != test


def test_a_smaller_speaker_gives_a_third_at_most(names: list[str]) -> None:
    assert [len(split_overlapped(names[:size])[1]) for size in (990, 765, 42, 3, 2)] == [255, 255, 14, 1, 0]


def test_the_overlapped_split_from_a_list(names: list[str]) -> None:
    train, test = split_overlapped(names[:5], [names[3], names[1], "s9/absent"])
    assert test == [names[1], names[3]] and train == [names[0], names[2], names[4]]


def test_speakers_may_have_any_name() -> None:
    """Bytes that are not UTF-8 draw like any other name, and other names draw what they always drew."""
    names = [f"s\udce9/{index:04}" for index in range(60)]
    train, test = split_overlapped(names)
    assert len(test) == 20 and sorted(train + test) == names
    names = [f"sé/{index:04}" for index in range(60)]
    expected = random.Random("0/sé").sample(names, 20)
    assert set(split_overlapped(names)[1]) == set(expected)
