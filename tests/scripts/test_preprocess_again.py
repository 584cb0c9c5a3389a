"""preprocess.py on a corpus that has changed, and on one whose alignments are impossible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import CROP, Result, random_crops, run_script

from lipnet.data.clip_lists import read_split
from lipnet.data.crop_store import CropStore


def write_crops(
    folder: Path, clip_id: str, text: str = "0 5000 hello\n", frames: int = 5, seed: int = 0
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{clip_id}.npy", random_crops(frames, seed=seed))
    (folder / f"{clip_id}.align").write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for clip_id in ("a", "take#3", "last ", "two\nlines"):
        write_crops(tmp_path / "corpus" / "sp", clip_id)
    return tmp_path / "corpus"


def preprocess(root: Path, *arguments: object) -> Result:
    size = (f"crop.width={CROP.width}", f"crop.height={CROP.height}")
    out = root.parent / "out"
    return run_script("preprocess", root, "--import", "npy", "--out", out, "--workers", 1, *arguments, *size)


def test_lists_have_the_names_of_the_clips(root: Path) -> None:
    assert preprocess(root).code == 0
    out = root.parent / "out"
    names = {name for path in sorted((out / "splits").glob("overlapped_t*.txt")) for name in read_split(path)}
    assert names == set(CropStore(out).clips) == {"sp/a", "sp/take#3", "sp/last ", "sp/two\nlines"}


def test_words_that_do_not_fit_are_a_problem(root: Path) -> None:
    write_crops(root / "sp", "far", "0 1000000 hello\n1000000 2000000 world\n")
    write_crops(root / "sp", "back", "4000 1000 hello\n")
    result = preprocess(root)
    assert result.code == 1
    assert "sp/far: the alignment has 'hello' at frames 0 to 1000, the video has 5 frames; " in result.err
    assert "'hello' ends at 1000, before its start 4000" in result.err
    assert "4 clips cropped, 0 were there already, 2 left out" in result.out


def test_words_that_no_longer_fit_leave_the_store(root: Path) -> None:
    preprocess(root)
    (root / "sp" / "a.align").write_text("0 9000 hello\n")
    assert "left out 1 clips:\n  sp/a: the alignment has" in preprocess(root).err
    assert "sp/a" not in CropStore(root.parent / "out").clips


def test_what_has_changed_is_cropped_again_or_removed(root: Path) -> None:
    preprocess(root)
    write_crops(root / "sp", "a", seed=5)
    (root / "sp" / "take#3.align").write_text("hello 7\n")
    (root / "sp" / "last .npy").unlink()
    result = preprocess(root)
    assert result.code == 1 and "sp/take#3: " in result.err and "sp/last : " in result.err
    store = CropStore(root.parent / "out")
    assert set(store.clips) == {"sp/a", "sp/two\nlines"}
    assert np.array_equal(store.crops(store.clips["sp/a"]), random_crops(5, seed=5))


def test_a_part_of_the_corpus_leaves_the_others(root: Path) -> None:
    preprocess(root)
    assert preprocess(root, "--pattern", "a.*").code == 0
    assert preprocess(root, "--last", 1).code == 0
    assert len(CropStore(root.parent / "out").clips) == 4
