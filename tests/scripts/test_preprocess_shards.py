"""preprocess.py --shard and --merge: the shards of a job array give what one process writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny import (
    CROP,
    Result,
    assert_one_line,
    contents,
    random_crops,
    random_landmarks,
    run_script,
    write_list,
)

from lipnet.data.crop_store import CropStore, CropStoreWriter
from lipnet.data.preprocessing import merging
from lipnet.data.preprocessing.shards import RECORD, Shard, shard_of
from lipnet.utils import workers
from lipnet.utils.pool import attempt, opened

SIZE = (f"crop.width={CROP.width}", f"crop.height={CROP.height}")


class SerialPool:
    """A pool of workers that does all tasks in this process."""

    def __init__(self, _: int, function: Callable[[object], object]) -> None:
        self.function = function

    def __enter__(self) -> SerialPool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, tasks: Iterable[object]) -> Iterator[object]:
        for task in tasks:
            yield opened(attempt(self.function, task))


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WorkerPool", SerialPool)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Crops of two speakers, one of them without landmarks; with an own list and clips that are left out."""
    root = tmp_path / "corpus"
    for number, name in enumerate(["sp/a", "sp/b", "sp/c", "sp/d", "sp/e", "sp/f", "x/g", "x/h", "x/i"]):
        path = root / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, random_crops(4 + number, seed=number))
        path.with_suffix(".align").write_text("0 3000 hello\n")
        if name.startswith("sp/") and name != "sp/d":
            np.save(path.with_suffix(".landmarks.npy"), random_landmarks(4 + number, number))
    (root / "sp" / "b.align").write_text("0 900000 hello\n")  # longer than its crops
    (root / "sp" / "c.align").write_text("hello 7\n")
    (root / "x" / "h.npy").write_bytes(b"no array")
    write_list(root / "splits" / "mine.txt", ["sp/a", "sp/b", "x/i"])
    return root


def preprocess(corpus: Path, out: str, *arguments: object) -> Result:
    given = ("--import", "npy", "--out", corpus.parent / out, "--workers", 1, *arguments)
    return run_script("preprocess", corpus, *given, *SIZE)


def crop_shards(corpus: Path, out: str, count: int) -> Path:
    for number in range(1, count + 1):
        assert preprocess(corpus, out, "--shard", f"{number}/{count}").code in (0, 1)
    return corpus.parent / out


def messages(result: Result) -> str:
    """What is on standard error below the bar."""
    return result.err[result.err.index("left out") :]


def test_shards_merged_are_what_one_process_writes(corpus: Path) -> None:
    one = preprocess(corpus, "one")
    out = crop_shards(corpus, "out", 2)
    assert sorted(path.name for path in out.iterdir()) == [".shards"]
    merged = preprocess(corpus, "out", "--merge")
    assert contents(out) == contents(corpus.parent / "one")
    assert (one.code, merged.code) == (1, 1)
    assert "6 clips merged, 0 were there already, 3 left out" in merged.out
    assert messages(merged).replace(str(out), str(corpus.parent / "one")) == messages(one)
    names = ["sp/a", "sp/d", "sp/e", "sp/f", "x/g", "x/i"]
    assert list(CropStore(out).clips) == names
    assert sum(CropStore(out).clips[name].landmarks for name in names) == 3
    again = preprocess(corpus, "out")
    assert "nothing to do, all 6 clips are there" in again.out and again.code == 1


def test_more_shards_than_clips(corpus: Path) -> None:
    out = crop_shards(corpus, "out", 12)
    assert preprocess(corpus, "out", "--merge").code == 1
    preprocess(corpus, "one")
    assert contents(out) == contents(corpus.parent / "one")


def test_a_shard_is_continued(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = corpus.parent / "out"
    with interrupted(CropStoreWriter, "add", 2):
        assert preprocess(corpus, "out", "--shard", "1/1").code == 130
    assert not (Shard(1, 1).folder(out) / RECORD).exists()
    assert_one_line(preprocess(corpus, "out", "--merge"), out, "1 of 1 parts are missing", "run --shard 1/1")
    assert (
        "5 clips cropped, 1 were there already, 3 left out" in preprocess(corpus, "out", "--shard", "1/1").out
    )
    with interrupted(CropStoreWriter, "__exit__", 1):
        assert preprocess(corpus, "out", "--shard", "1/1").code == 130
    assert_one_line(preprocess(corpus, "out", "--merge"), "not finished")


class interrupted:  # noqa: N801 - used as a function
    """Ctrl-C at the ``count``-th call of an attribute of a class or a module."""

    def __init__(self, owner: object, name: str, count: int) -> None:
        self.patch, self.owner, self.name, self.left = pytest.MonkeyPatch(), owner, name, count

    def __enter__(self) -> None:
        whole = getattr(self.owner, self.name)

        def broken(*arguments: object, **options: object) -> object:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
            return whole(*arguments, **options)

        self.patch.setattr(self.owner, self.name, broken)

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


@pytest.mark.parametrize("count", [1, 3, 6])
def test_a_merge_is_continued(count: int, corpus: Path) -> None:
    preprocess(corpus, "one")
    out = crop_shards(corpus, "out", 3)
    with interrupted(CropStoreWriter, "add", count):
        assert preprocess(corpus, "out", "--merge").code == 130
    assert preprocess(corpus, "out", "--merge").code == 1
    assert contents(out) == contents(corpus.parent / "one")


def test_a_merge_that_ends_while_it_removes_the_parts(corpus: Path) -> None:
    for name in ("sp/b", "sp/c", "x/h"):  # else left out, which only the parts know
        (corpus / f"{name}.npy").unlink()
    preprocess(corpus, "one")
    out = crop_shards(corpus, "out", 3)
    # The first call removes the folder of temporary files.
    with interrupted(merging.shutil, "rmtree", 2):
        assert preprocess(corpus, "out", "--merge").code == 130
    assert not (out / ".shards").exists()
    assert "nothing to do, all 6 clips are there" in preprocess(corpus, "out", "--merge").out
    assert contents(out) == contents(corpus.parent / "one")


def test_arguments_that_contradict_each_other(corpus: Path) -> None:
    before = contents(corpus.parent)
    for shard in ("0/4", "5/4", "x"):
        assert_one_line(preprocess(corpus, "out", "--shard", shard), f"--shard {shard}: give I/N")
    both = preprocess(corpus, "out", "--shard", "1/2", "--merge")
    assert_one_line(both, "--merge with --shard", "give one of them")
    assert_one_line(preprocess(corpus, "out", "--merge", "--dask", "x:1"), "--merge with --dask")
    nothing = preprocess(corpus, "out", "--merge")
    assert_one_line(nothing, f"{corpus.parent / 'out'}: has no parts to merge; run --shard 1/N to N/N first")
    assert contents(corpus.parent) == before


def test_parts_that_cannot_be_merged(corpus: Path) -> None:
    out = crop_shards(corpus, "out", 3)
    parts = out / ".shards"
    before = contents(out)
    (parts / "2-of-3").rename(parts / "other")
    assert_one_line(
        preprocess(corpus, "out", "--merge"), f"{parts}: 1 of 3 parts are missing", "--shard 2/3,"
    )
    (parts / "other").rename(parts / "2-of-3")
    (parts / "1-of-2").mkdir()
    assert_one_line(preprocess(corpus, "out", "--merge"), f"{parts}: has parts of 2 and of 3 shards")
    (parts / "1-of-2").rmdir()
    wider = run_script("preprocess", corpus, "--import", "npy", "--out", out, "--merge", "crop.width=30")
    assert_one_line(wider, "-of-3: cropped with other settings (width 24 there, 30 now")
    refused = run_script(
        "preprocess", corpus, "--import", "npy", "--out", out, "--shard", "1/3", "crop.width=30"
    )
    assert_one_line(refused, "1-of-3: cropped with other settings")  # and stays finished
    narrower = preprocess(corpus, "out", "--merge", "--speakers", "sp")
    assert_one_line(narrower, "clips are not in the corpus as --merge has it, such as x/", "the arguments of")
    index = next(parts.rglob("x.index.json"))
    index.rename(corpus / "kept")
    index.write_text("{")
    assert_one_line(preprocess(corpus, "out", "--merge"), f": delete {index.parent} and run --shard ")
    (corpus / "kept").rename(index)
    np.save(corpus / "x" / "k.npy", random_crops(5))
    (corpus / "x" / "k.align").write_text("0 3000 hello\n")
    shard = shard_of("x/k", 3)
    lacking = preprocess(corpus, "out", "--merge")
    assert_one_line(
        lacking, "1 clips of the corpus are in no part, such as x/k", f"run --shard {shard} again"
    )
    assert contents(out) == before
    preprocess(corpus, "out", "--shard", shard)
    np.save(corpus / "sp" / "e.npy", random_crops(5, seed=99))
    changed = preprocess(corpus, "out", "--merge")
    assert changed.code == 2
    line = f"sp/e.npy: has changed since it was cropped; run --shard {shard_of('sp/e', 3)} again"
    assert line in changed.err.splitlines()[-1]
    preprocess(corpus, "out", "--shard", shard_of("sp/e", 3))
    assert "merged" in preprocess(corpus, "out", "--merge").out
    preprocess(corpus, "one")
    store, expected = CropStore(out), CropStore(corpus.parent / "one")
    assert list(store.clips) == list(expected.clips)
    assert all(
        np.array_equal(store.crops(store.clips[name]), expected.crops(clip))
        for name, clip in expected.clips.items()
    )


def test_clips_that_the_crop_store_has_stay(corpus: Path) -> None:
    """Shards of a speaker who comes later are merged into what is there, which can be used meanwhile."""
    out = corpus.parent / "out"
    preprocess(corpus, "out", "--speakers", "sp")
    for number in (1, 2):
        preprocess(corpus, "out", "--speakers", "x", "--shard", f"{number}/2")
    assert list(CropStore(out).clips) == ["sp/a", "sp/d", "sp/e", "sp/f"]
    merged = preprocess(corpus, "out", "--speakers", "x", "--merge")
    assert "2 clips merged, 0 were there already, 1 left out" in merged.out
    assert list(CropStore(out).clips) == ["sp/a", "sp/d", "sp/e", "sp/f", "x/g", "x/i"]


def test_shards_export_into_one_folder(corpus: Path) -> None:
    for number in (1, 2):
        preprocess(corpus, "out", "--shard", f"{number}/2", "--export", "npy")
    exported = contents(corpus.parent / "out_npy")
    shutil.rmtree(corpus.parent / "out_npy")
    preprocess(corpus, "out", "--merge", "--export", "npy")
    assert contents(corpus.parent / "out_npy") == exported and len(exported) == 9
