"""Several crop stores that are read as one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import (
    CROP,
    OFF,
    OVERRIDES,
    assert_one_line,
    make_clip,
    pack,
    run_script,
    write_list,
)

from lipnet.data.crop_store import CropStore, CropStoreError
from lipnet.data.dataset import ClipDataset, SampleKey
from lipnet.tokenizer import DEFAULT_TOKENIZER


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two shards: the first has two clips of s1 and one of s2, the second another of s1 and one of s3."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    clips = [make_clip("s1", "bbaf2n", 40), make_clip("s1", "lgbm5p", 41), make_clip("s2", "prwazs", 42)]
    pack(first, clips, [40, 41, 42], landmarks=True)
    pack(second, [make_clip("s1", "swiq9a", 43), make_clip("s3", "bgbt1s", 44)], [43, 44], landmarks=True)
    write_list(first / "splits" / "train.txt", ["s1/bbaf2n", "s3/bgbt1s"])
    write_list(second / "splits" / "train.txt", ["s1/swiq9a", "s3/bgbt1s"])
    write_list(second / "splits" / "dev.txt", ["s2/prwazs"])
    return first, second


def test_clips_are_those_of_all_stores(parts: tuple[Path, Path]) -> None:
    both = CropStore(*parts)
    alone = {name: (CropStore(root), root) for root in parts for name in CropStore(root).clips}
    assert list(both.clips) == list(alone) and len(both.clips) == 5
    for name, (store, root) in alone.items():
        clip = both.clips[name]
        assert clip == store.clips[name] and clip.root == root
        assert np.array_equal(both.crops(clip), store.crops(store.clips[name]))
        own, expected = both.landmarks(clip), store.landmarks(store.clips[name])
        assert own is not None and expected is not None and np.array_equal(own, expected)


def test_lists_are_looked_up_in_all_stores(
    parts: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = CropStore(*parts)
    assert [clip.name for clip in both.split("train")] == ["s1/bbaf2n", "s3/bgbt1s", "s1/swiq9a"]
    assert not caplog.messages
    assert [clip.name for clip in both.split("dev")] == ["s2/prwazs"]
    [warning] = caplog.messages
    assert str(parts[0]) in warning and "no list dev" in warning
    assert len(both.split("all")) == 5
    file = write_list(tmp_path / "mine.txt", ["s3/bgbt1s", "s2/prwazs"])
    assert [clip.name for clip in both.split(str(file))] == ["s3/bgbt1s", "s2/prwazs"]
    with pytest.raises(
        CropStoreError, match=r"no split 'test': give a list file, or one of: all, dev, train$"
    ):
        both.split("test")
    absent = write_list(tmp_path / "absent.txt", ["s3/bgbt1s", "s9/a"])
    with pytest.raises(CropStoreError, match=f"1 of 2 clips are not in {parts[0]}, {parts[1]}, such as s9/a"):
        both.split(str(absent))


def test_a_clip_in_two_stores_names_both(parts: tuple[Path, Path], tmp_path: Path) -> None:
    pack(tmp_path, [make_clip("s2", "bbaf2n"), make_clip("s2", "prwazs")], [75, 75])
    message = f"^s2/prwazs is in {parts[0]} and in {tmp_path}: name one of these only"
    with pytest.raises(CropStoreError, match=message):
        CropStore(*parts, tmp_path)
    with pytest.raises(CropStoreError, match=f"s1/bbaf2n is in {parts[0]} and in {parts[0]}"):
        CropStore(parts[0], parts[0])


def test_stores_must_have_crops_of_one_kind(parts: tuple[Path, Path], tmp_path: Path) -> None:
    pack(tmp_path / "wide", [make_clip("s9", "bbaf2n")], [75], replace(CROP, width=48))
    message = f"^{tmp_path / 'wide'} was cropped with crop.width=48, the crops in {parts[0]} need 24: "
    with pytest.raises(CropStoreError, match=message):
        CropStore(*parts, tmp_path / "wide")
    pack(tmp_path / "other", [make_clip("s9", "bbaf2n")], [75], replace(CROP, method="mtcnn"))
    assert len(CropStore(*parts, tmp_path / "other").clips) == 6  # both methods crop by the face
    with pytest.raises(CropStoreError, match=f"^{tmp_path}/nothing: not a crop store"):
        CropStore(parts[0], tmp_path / "nothing")


def test_words_are_spliced_within_one_array(parts: tuple[Path, Path]) -> None:
    """The frames of a sample are in one array, so that s1 of one store lends nothing to s1 of the other."""
    store = CropStore(*parts)
    clips = store.split("all")
    streams = ("pixels", "landmarks")
    data = ClipDataset(store, clips, DEFAULT_TOKENIZER, replace(OFF, splice=1.0), streams=streams)
    for index, clip in enumerate(clips):
        beside = [other for other in clips if other.source == clip.source]
        for epoch in range(5):
            sample = data[SampleKey(index, epoch)]
            assert np.array_equal(sample.array, store.array(clip))
            assert sample.indices.max() < sum(other.frames for other in beside)
            assert sample.landmarks is not None and np.isfinite(sample.landmarks).all()


def test_training_and_evaluation_draw_from_several_stores(parts: tuple[Path, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    root = f"data.root=[{parts[0]},{parts[1]}]"
    trained = run_script("train", *OVERRIDES, root, f"run.dir={run}", "train.epochs=1")
    assert trained.code == 0, trained.err
    assert "3 training clips" in trained.out
    assert json.loads((run / "log.jsonl").read_text())["dev"]["dev"]["sentences"] == 1
    assert run_script("train", "--resume", run).code == 0
    given = ("evaluate", "--weights", run / "last.safetensors", "--split", "all", "--decoder", "greedy")
    result = run_script(*given, "--data", *parts)
    assert "/30 words) " in result.out and " 5 clips, greedy" in result.out, result
    assert_one_line(run_script(*given, "--data", parts[0], parts[0]), f"s1/bbaf2n is in {parts[0]} and in")
