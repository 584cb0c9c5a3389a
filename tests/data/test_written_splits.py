"""The lists of clips that preprocessing writes into ROOT/splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_files import write_text

from lipnet.data.splits import (
    SplitReport,
    read_split,
    split_dev,
    split_overlapped,
    split_unseen,
    write_splits,
)
from lipnet.errors import CorpusError

IDS = ("prwazs", "bbaf2n", "lgbm5p", "swiq9a")  # in natural order
NAMES = [f"{speaker}/{clip_id}" for speaker in ("s1", "s3", "s4") for clip_id in IDS]
SPLITS = ["unseen_train", "unseen_test", "overlapped_train", "overlapped_test"]
SPLITS += ["unseen_fit", "unseen_dev", "overlapped_fit", "overlapped_dev"]


def write_own(folder: Path, name: str, names: list[str]) -> Path:
    """A list of the corpus itself."""
    return write_text(folder / "corpus" / "splits" / f"{name}.txt", "".join(f"{clip}\n" for clip in names))


def write(folder: Path, names: list[str] = NAMES, overlapped: list[str] | None = None) -> SplitReport:
    (folder / "out").mkdir(exist_ok=True)
    return write_splits(folder / "out", names, folder / "corpus", overlapped)


def written(folder: Path) -> dict[str, list[str]]:
    return {path.stem: read_split(path) for path in (folder / "out" / "splits").glob("*.txt")}


def test_the_lists_of_a_corpus_without_lists(tmp_path: Path) -> None:
    report = write(tmp_path)
    lists = written(tmp_path)
    assert (report.lists, report.dropped, report.edited, report.notes()) == (SPLITS, {}, [], [])
    assert lists.keys() == set(SPLITS)
    for split, (train, test) in {
        "unseen": split_unseen(NAMES),
        "overlapped": split_overlapped(NAMES),
    }.items():
        assert (lists[f"{split}_train"], lists[f"{split}_test"]) == (train, test)
        assert (lists[f"{split}_fit"], lists[f"{split}_dev"]) == split_dev(train)
    assert {name: len(clips) for name, clips in lists.items()} == {
        "unseen_train": 8,
        "unseen_test": 4,
        "unseen_fit": 6,
        "unseen_dev": 2,
        "overlapped_train": 9,
        "overlapped_test": 3,
        "overlapped_fit": 6,
        "overlapped_dev": 3,
    }


def test_a_given_list_of_overlapped_test_clips(tmp_path: Path) -> None:
    write_own(tmp_path, "overlapped_test", ["s1/bbaf2n"])
    write(tmp_path, overlapped=["s3/swiq9a", "s9/absent"])
    lists = written(tmp_path)
    assert lists["overlapped_test"] == ["s3/swiq9a"]
    assert lists["overlapped_train"] == [name for name in NAMES if name != "s3/swiq9a"]
    with pytest.raises(CorpusError, match="the overlapped list names no clip of this corpus"):
        write(tmp_path, overlapped=["s9/absent"])


def test_an_empty_list_is_not_written(tmp_path: Path) -> None:
    assert "unseen_test" not in write(tmp_path, NAMES[4:]).lists
    assert "unseen_test" not in written(tmp_path)


def test_a_second_copy_of_a_clip_is_in_no_generated_list(tmp_path: Path) -> None:
    names = [f"{speaker}/{clip_id}" for speaker in ("original/s1", "original/s3", "s3") for clip_id in IDS]
    write(tmp_path, names)
    lists = written(tmp_path)
    speakers = {name: {clip.rpartition("/")[0] for clip in clips} for name, clips in lists.items()}
    assert speakers["unseen_train"] == {"s3"}
    assert speakers["unseen_test"] == {"original/s1"}
    assert speakers["overlapped_train"] == {"original/s1", "s3"}


def test_own_lists_come_along(tmp_path: Path) -> None:
    write_own(tmp_path, "mine", ["s3/prwazs", "s1/bbaf2n"])
    assert write(tmp_path).lists == ["mine", *SPLITS]
    assert written(tmp_path)["mine"] == ["s3/prwazs", "s1/bbaf2n"]


def test_own_lists_replace_generated_ones(tmp_path: Path) -> None:
    """The generated lists that go with an own one hold none of its clips, nor of its unseen speakers."""
    write_own(tmp_path, "unseen_test", ["s4/swiq9a", "s4/bbaf2n"])
    write_own(tmp_path, "overlapped_test", ["s1/lgbm5p"])
    write_own(tmp_path, "overlapped_dev", ["s3/lgbm5p", "s4/prwazs"])
    write(tmp_path)
    lists = written(tmp_path)
    assert lists["unseen_test"] == ["s4/swiq9a", "s4/bbaf2n"]
    assert lists["unseen_train"] == NAMES[:8]  # no clip of s4
    assert (lists["unseen_fit"], lists["unseen_dev"]) == split_dev(NAMES[:8])
    assert lists["overlapped_test"] == ["s1/lgbm5p"]
    assert lists["overlapped_train"] == [name for name in NAMES if name != "s1/lgbm5p"]
    assert lists["overlapped_dev"] == ["s3/lgbm5p", "s4/prwazs"]
    assert set(lists["overlapped_fit"]) == set(lists["overlapped_train"]) - set(lists["overlapped_dev"])


def test_an_own_training_list_leaves_the_rest_for_the_test(tmp_path: Path) -> None:
    write_own(tmp_path, "unseen_train", ["s1/bbaf2n", "s3/lgbm5p", "s3/prwazs", "s3/swiq9a"])
    write_own(tmp_path, "unseen_fit", ["s3/lgbm5p"])
    write_own(tmp_path, "overlapped_train", NAMES[:7])
    write(tmp_path)
    lists = written(tmp_path)
    assert lists["unseen_test"] == NAMES[8:]  # the speakers of whom no clip is trained on
    assert lists["unseen_fit"] == ["s3/lgbm5p"]
    assert lists["unseen_dev"] == ["s1/bbaf2n", "s3/prwazs", "s3/swiq9a"]
    assert lists["overlapped_test"] == NAMES[7:]
    assert (lists["overlapped_fit"], lists["overlapped_dev"]) == split_dev(NAMES[:7])


def test_a_copy_of_a_held_out_clip_is_not_trained_on(tmp_path: Path) -> None:
    write_own(tmp_path, "overlapped_test", ["original/s1/bbaf2n"])
    write(tmp_path, [*NAMES, "original/s1/bbaf2n"])
    assert "s1/bbaf2n" not in written(tmp_path)["overlapped_train"]


def test_clips_that_were_left_out_are_dropped_from_own_lists(tmp_path: Path) -> None:
    write_own(tmp_path, "dev", ["s1/bbaf2n", "s9/a", "s9/b", "s9/c", "s9/d"])
    write_own(tmp_path, "gone", ["s9/a"])
    report = write(tmp_path)
    assert report.dropped == {"dev": ["s9/a", "s9/b", "s9/c", "s9/d"], "gone": ["s9/a"]}
    assert report.notes() == [
        f"{tmp_path}/out/splits/dev.txt: without the clips that are not in {tmp_path}/out "
        "(4: s9/a, s9/b, s9/c, ...)",
        f"{tmp_path}/out/splits/gone.txt: not written, since none of its clips is in {tmp_path}/out "
        "(1: s9/a)",
    ]
    assert written(tmp_path)["dev"] == ["s1/bbaf2n"] and "gone" not in written(tmp_path)
    more = write(tmp_path, [*NAMES, "s9/a"])  # as after another run of preprocessing
    assert written(tmp_path)["dev"] == ["s1/bbaf2n", "s9/a"] and written(tmp_path)["gone"] == ["s9/a"]
    assert more.dropped == {"dev": ["s9/b", "s9/c", "s9/d"]} and more.edited == []


def test_lists_follow_the_crop_store(tmp_path: Path) -> None:
    write(tmp_path, NAMES[:8])
    before = written(tmp_path)
    assert write(tmp_path).edited == []
    assert before["unseen_train"] == NAMES[4:8] and written(tmp_path)["unseen_train"] == NAMES[4:]


def test_an_edited_list_stays(tmp_path: Path) -> None:
    write_own(tmp_path, "dev", ["s1/bbaf2n", "s1/lgbm5p", "s9/a"])
    write(tmp_path, NAMES[:8])
    splits = tmp_path / "out" / "splits"
    for name in ("dev", "unseen_train"):
        write_text(splits / f"{name}.txt", "s3/bbaf2n  # by hand\n")
    for _ in range(2):
        report = write(tmp_path)
        assert report.edited == ["dev", "unseen_train"]
        assert report.notes() == [
            f"{splits}: left as edited: dev.txt, unseen_train.txt; delete a list to have it written again"
        ]
        for name in report.edited:
            assert (splits / f"{name}.txt").read_text() == "s3/bbaf2n  # by hand\n"
    assert written(tmp_path)["overlapped_train"][-1].startswith("s4/")  # the others are up to date
    for name in report.edited:
        (splits / f"{name}.txt").unlink()
    assert write(tmp_path).edited == []
    assert written(tmp_path)["unseen_train"] == NAMES[4:]


def test_an_edit_that_was_undone_is_no_edit(tmp_path: Path) -> None:
    write(tmp_path, NAMES[:8])
    path = tmp_path / "out" / "splits" / "unseen_train.txt"
    original = path.read_bytes()
    write_text(path, "s3/bbaf2n\n")
    assert write(tmp_path).edited == ["unseen_train"]
    path.write_bytes(original)
    assert write(tmp_path).edited == []
    assert written(tmp_path)["unseen_train"] == NAMES[4:]


@pytest.mark.parametrize("record", [None, "", "[]", '{"unseen_train": 5}'])
def test_lists_of_an_unknown_origin_stay(record: str | None, tmp_path: Path) -> None:
    """Without a usable record of what was written, a list that differs counts as edited."""
    write(tmp_path, NAMES[:8])
    path = tmp_path / "out" / "splits" / ".written.json"
    path.unlink()
    if record is not None:
        write_text(path, record)
    before = written(tmp_path)
    assert write(tmp_path, NAMES[:8]).edited == []  # equal lists are known again
    path.unlink()
    assert set(write(tmp_path).edited) == {name for name in SPLITS if not name.endswith("unseen_test")}
    assert written(tmp_path) == before


def test_a_run_killed_between_two_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the lists that it wrote nor those that it did not are taken for edited ones."""
    write(tmp_path, NAMES[:8])
    replace = Path.replace

    def replace_some(self: Path, target: Path) -> Path:
        if target.stem == "overlapped_train":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_some)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path)
    monkeypatch.undo()
    assert written(tmp_path)["unseen_train"] == NAMES[4:]
    assert written(tmp_path)["overlapped_dev"] == split_dev(split_overlapped(NAMES[:8])[0])[1]
    assert write(tmp_path, NAMES[:10]).edited == []
    assert written(tmp_path)["unseen_train"] == NAMES[4:10]


def test_crops_beside_the_videos(tmp_path: Path) -> None:
    """Where crop store and corpus are one folder, own lists stay as they are; the others follow the store."""
    contents = {"unseen_test": b"# ours\ns4/bbaf2n\ns9/a\n", "mine": b"s9/a\n"}
    for name, content in contents.items():
        write_text(tmp_path / "splits" / f"{name}.txt", content.decode())
    for count in (10, 12):
        report = write_splits(tmp_path, NAMES[:count], tmp_path)
        assert report.edited == ["unseen_test"] and report.dropped == {}
        for name, content in contents.items():
            assert (tmp_path / "splits" / f"{name}.txt").read_bytes() == content
        assert read_split(tmp_path / "splits" / "unseen_train.txt") == NAMES[4:count]
        parts = [read_split(tmp_path / "splits" / f"overlapped_{part}.txt") for part in ("train", "test")]
        assert sorted(parts[0] + parts[1]) == sorted(NAMES[:count])
