"""Shards of a corpus: which clips are in which, and the records of their parts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tiny import make_clip

from lipnet.config import CropConfig
from lipnet.data.corpus import Clip, Corpus
from lipnet.data.preprocessing.shards import (
    RECORD,
    Shard,
    find_parts,
    finish_part,
    parse_shard,
    read_left_out,
    shard_of,
    start_part,
)
from lipnet.errors import LipnetError


@pytest.mark.parametrize("text", ["0/4", "5/4", "x", "", "1", "1/0", "-1/4", "1/4/2", "1.0/4", "1/1000000"])
def test_shards_that_do_not_exist(text: str) -> None:
    with pytest.raises(LipnetError, match=f"^--shard {text}: give I/N, the I-th of N shards, such as"):
        parse_shard(text)


def test_shards_are_counted_from_1() -> None:
    assert parse_shard("1/4") == Shard(4, 1) and str(Shard(4, 1)) == "1/4"
    assert parse_shard("4/4").folder(Path("out")) == Path("out/.shards/4-of-4")


def test_each_clip_is_in_one_shard_and_shards_are_about_as_large() -> None:
    names = [f"s{speaker}/{clip}" for speaker in range(34) for clip in range(100)]
    counts = Counter(shard_of(name, 8) for name in names)
    assert set(counts) == {Shard(8, number) for number in range(1, 9)}
    assert min(counts.values()) > 0.8 * 425 and max(counts.values()) < 1.2 * 425
    assert {shard_of(name, 1) for name in names} == {Shard(1, 1)}


def test_the_shard_of_a_clip_never_changes() -> None:
    """Shards of one run may be cropped by different versions of Python, on different machines."""
    names = ("s1/bbaf2n", "s2/swiq9a", "s\udcff/x")
    assert [str(shard_of(name, 8)) for name in names] == ["5/8", "1/8", "8/8"]


def test_selection_keeps_the_order_and_the_problems_of_the_shard() -> None:
    clips = [Clip("s1", f"c{number}", Path(f"c{number}.mp4"), "bin blue", ()) for number in range(40)]
    problems = {f"s2/c{number}": f"reason {number}" for number in range(40)}
    parts = [Shard(3, number).select(Corpus(Path("root"), clips, problems, 5)) for number in (1, 2, 3)]
    for part in parts:
        assert part.clips == [clip for clip in clips if clip in part.clips] and len(part.clips) > 3
        assert part.skipped == 5
    assert sorted(clip.name for part in parts for clip in part.clips) == sorted(clip.name for clip in clips)
    assert {name: reason for part in parts for name, reason in part.problems.items()} == problems
    alone = Shard(3, 2).select(Corpus(Path("root"), [make_clip("s1", "bbaf2n")]))
    assert bool(alone.clips) == (shard_of("s1/bbaf2n", 3) == Shard(3, 2))


def test_a_part_is_finished_once_it_has_a_record(tmp_path: Path) -> None:
    assert read_left_out(tmp_path) is None
    start_part(tmp_path, CropConfig())
    finish_part(tmp_path, {"s\udcff/x": "no face"})
    assert read_left_out(tmp_path) == {"s\udcff/x": "no face"}
    for content in (b"", b"[]", b"\xff", b"[" * 99999):
        (tmp_path / RECORD).write_bytes(content)
        assert read_left_out(tmp_path) is None
    start_part(tmp_path, CropConfig())
    assert not (tmp_path / RECORD).exists()


def test_parts_are_found_in_their_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Shard(12, number).folder(tmp_path).mkdir(parents=True)
    (tmp_path / ".shards" / "notes-of-me").mkdir()
    assert find_parts(tmp_path) == [Shard(12, 1), Shard(12, 2), Shard(12, 10)]
    Shard(3, 1).folder(tmp_path).mkdir()
    with pytest.raises(LipnetError, match="has parts of 3 and of 12 shards; delete those"):
        find_parts(tmp_path)
