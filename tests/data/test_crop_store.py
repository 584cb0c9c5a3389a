"""Crop stores: round trips, resuming after a kill, and errors."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import CROP, contents, make_clip, pack, random_crops, write_list

from lipnet.data.crop_store import CropStore, CropStoreError, CropStoreWriter, without_speakers
from lipnet.data.splits import write_splits

CLIPS = [
    make_clip("s1", "bbaf2n", 7),
    make_clip("s1", "lgbm5p", 5),
    make_clip("s1", "prwazs", 6, timed=False),
]
LENGTHS = (7, 5, 6)


def add(writer: CropStoreWriter, *numbers: int) -> None:
    for number in numbers:
        writer.add(CLIPS[number], random_crops(LENGTHS[number], seed=number), LENGTHS[number] - 1)


@pytest.fixture
def clean(tmp_path: Path) -> dict[str, bytes]:
    """The files of a run without interruption."""
    with CropStoreWriter(tmp_path / "clean", "s1", CROP) as writer:
        add(writer, 0, 1, 2)
    return contents(tmp_path / "clean")


def test_stored_crops_are_read_back(tmp_path: Path) -> None:
    other = make_clip("deep/s2", "swiq9a", 4)
    pack(tmp_path, [*CLIPS, other], [*LENGTHS, 4])
    store = CropStore(tmp_path)
    assert store.crop == CROP
    assert list(store.clips) == ["s1/bbaf2n", "s1/lgbm5p", "s1/prwazs", "deep/s2/swiq9a"]
    for seed, (clip, frames) in enumerate(zip([*CLIPS, other], (*LENGTHS, 4), strict=True)):
        stored = store.clips[clip.name]
        assert (stored.sentence, stored.words, stored.frames) == (clip.sentence, clip.words, frames)
        crops = store.array(stored)[stored.start : stored.start + frames]
        assert np.array_equal(crops, random_crops(frames, seed=seed))
        assert np.array_equal(store.crops(stored), crops)


def test_a_pickled_store_maps_its_files_again(tmp_path: Path) -> None:
    pack(tmp_path, CLIPS, LENGTHS)
    store = CropStore(tmp_path)
    before = store.array(store.clips["s1/bbaf2n"])
    pickled = pickle.dumps(store)
    assert len(pickled) < before.nbytes
    assert np.array_equal(pickle.loads(pickled).array(store.clips["s1/bbaf2n"]), before)


def test_killed_before_the_index_was_saved(tmp_path: Path, clean: dict[str, bytes]) -> None:
    with CropStoreWriter(tmp_path / "killed", "s1", CROP) as writer:
        add(writer, 0)
        writer.flush()
        add(writer, 2)
        shutil.copytree(tmp_path / "killed", tmp_path / "out")  # the files as a kill leaves them
    with (tmp_path / "out" / "s1.u8").open("ab") as array:
        array.write(bytes(20_000))  # more than the clips that follow, and not a whole number of frames
    assert len(CropStore(tmp_path / "out").clips) == 1
    with CropStoreWriter(tmp_path / "out", "s1", CROP) as writer:
        assert list(writer.clips) == ["bbaf2n"]
        add(writer, 1, 2)
    assert contents(tmp_path / "out") == clean


def test_an_interrupted_run_keeps_the_clips_before(tmp_path: Path, clean: dict[str, bytes]) -> None:
    with pytest.raises(KeyboardInterrupt), CropStoreWriter(tmp_path / "out", "s1", CROP) as writer:
        add(writer, 0, 1)
        raise KeyboardInterrupt
    with CropStoreWriter(tmp_path / "out", "s1", CROP) as writer:
        add(writer, 2)
    assert contents(tmp_path / "out") == clean


def test_opening_again_changes_nothing(tmp_path: Path, clean: dict[str, bytes]) -> None:
    with CropStoreWriter(tmp_path / "clean", "s1", CROP) as writer:
        assert len(writer.clips) == 3
    assert contents(tmp_path / "clean") == clean


def test_a_truncated_array_is_an_error_until_it_is_cropped_again(
    tmp_path: Path, clean: dict[str, bytes]
) -> None:
    array = tmp_path / "clean" / "s1.u8"
    array.write_bytes(array.read_bytes()[:-1])
    with pytest.raises(
        CropStoreError, match=r"s1\.u8: holds 17 of 18 frames; run scripts/preprocess\.py again"
    ):
        CropStore(tmp_path / "clean")
    with CropStoreWriter(tmp_path / "clean", "s1", CROP) as writer:
        assert list(writer.clips) == ["bbaf2n", "lgbm5p"]
        add(writer, 2)
    assert contents(tmp_path / "clean") == clean


def test_a_missing_array_is_an_error_until_it_is_cropped_again(
    tmp_path: Path, clean: dict[str, bytes]
) -> None:
    (tmp_path / "clean" / "s1.u8").unlink()
    with pytest.raises(CropStoreError, match=r"s1\.u8: missing; run scripts/preprocess\.py again"):
        CropStore(tmp_path / "clean")
    with CropStoreWriter(tmp_path / "clean", "s1", CROP) as writer:
        add(writer, 0, 1, 2)
    assert contents(tmp_path / "clean") == clean


def test_without_a_clip_no_file_is_left(tmp_path: Path) -> None:
    with CropStoreWriter(tmp_path, "s1", CROP):
        pass
    assert contents(tmp_path) == {}


def test_other_crop_settings_are_refused(tmp_path: Path, clean: dict[str, bytes]) -> None:
    with pytest.raises(CropStoreError, match=r"s1\.index\.json.*width 24 there, 32 now.*another --out"):
        CropStoreWriter(tmp_path / "clean", "s1", replace(CROP, width=32))
    assert contents(tmp_path / "clean") == clean
    with CropStoreWriter(tmp_path / "clean", "s2", replace(CROP, eye_distance=9.0)) as writer:
        add(writer, 0)
    with pytest.raises(CropStoreError, match="different crop settings"):
        CropStore(tmp_path / "clean")


def test_a_folder_that_is_no_crop_store(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CropStoreError, match=r"not a crop store; make one with scripts/preprocess\.py"):
            CropStore(folder)


@pytest.mark.parametrize("content", ["", "{}", "[1]", "null", '{"format": 0}', "words"])
def test_an_index_of_another_kind_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "s1.index.json").write_text(content)
    with pytest.raises(CropStoreError, match=r"s1\.index\.json: not the index of a crop store of format 2"):
        CropStore(tmp_path)
    with pytest.raises(CropStoreError, match=r"s1\.index\.json: not the index of a crop store of format 2"):
        CropStoreWriter(tmp_path, "s1", CROP)


def test_splits_by_name_and_by_file(crop_store: Path, tmp_path: Path) -> None:
    store = CropStore(crop_store)
    assert len(store.split("all")) == 10
    assert [clip.name for clip in store.split("dev")] == ["s2/bbwg6s", "s2/lgiu8a"]
    own = write_list(tmp_path / "own.txt", ["s2/lwik7a", "s1/bbaf2n"])
    assert [clip.name for clip in store.split(str(own))] == ["s2/lwik7a", "s1/bbaf2n"]


def test_unusable_splits_are_named(crop_store: Path, tmp_path: Path) -> None:
    store = CropStore(crop_store)
    with pytest.raises(CropStoreError, match="no split 'test': give a list file, or one of: all, dev, train"):
        store.split("test")
    absent = write_list(tmp_path / "absent.txt", ["s1/bbaf2n", "s9/swiz0n", "s9/swiz1n"])
    with pytest.raises(CropStoreError, match=r"absent\.txt: 2 of 3 clips are not in .*, such as s9/swiz0n; "):
        store.split(str(absent))
    with pytest.raises(CropStoreError, match=r"empty\.txt: the list is empty"):
        store.split(str(write_list(tmp_path / "empty.txt", [])))


def test_written_splits(tmp_path: Path) -> None:
    ids = ("bbaf2n", "lgbm5p", "prwazs", "swiq9a")
    pack(tmp_path / "out", [make_clip(speaker, id_, 2) for speaker in ("s1", "s3") for id_ in ids], [2] * 8)
    write_list(tmp_path / "corpus" / "splits" / "mine.txt", ["s1/bbaf2n"])
    lists = write_splits(tmp_path / "out", CropStore(tmp_path / "out").clips, tmp_path / "corpus").lists
    store = CropStore(tmp_path / "out")
    sizes = {name: len(store.split(name)) for name in lists}
    assert sizes == {
        "mine": 1,
        "unseen_train": 4,
        "unseen_test": 4,
        "unseen_fit": 3,
        "unseen_dev": 1,
        "overlapped_train": 6,
        "overlapped_test": 2,
        "overlapped_fit": 4,
        "overlapped_dev": 2,
    }
    write_splits(tmp_path / "out", CropStore(tmp_path / "out").clips, tmp_path / "corpus", ["s3/swiq9a"])
    assert [clip.name for clip in store.split("overlapped_test")] == ["s3/swiq9a"]


def test_a_corrected_transcript_replaces_the_stored_one(tmp_path: Path) -> None:
    clip = make_clip("s1", "bbaf2n", 2)
    pack(tmp_path, [clip], [2])
    corrected = replace(clip, words=clip.words[:1])
    for changed in (True, False):
        with CropStoreWriter(tmp_path, "s1", CROP) as writer:
            assert writer.relabel(corrected) == changed
    assert CropStore(tmp_path).clips["s1/bbaf2n"].words == corrected.words


def test_the_index_is_plain_json(tmp_path: Path, clean: dict[str, bytes]) -> None:
    index = json.loads(clean["s1.index.json"])
    assert index["clips"]["lgbm5p"]["start"] == 7
    assert index["clips"]["lgbm5p"]["words"][0][0] == "lay"
    assert index["clips"]["prwazs"]["words"] == []


def test_an_index_without_a_crop_method_is_of_dlib(tmp_path: Path, clean: dict[str, bytes]) -> None:
    path = tmp_path / "clean" / "s1.index.json"
    index = json.loads(path.read_text())
    del index["crop"]["method"], index["crop"]["box"]
    path.write_text(json.dumps(index))
    assert CropStore(tmp_path / "clean").crop == CROP
    with CropStoreWriter(tmp_path / "clean", "s1", CROP) as writer:
        assert len(writer.clips) == 3


def test_crops_of_a_box_and_of_a_face_do_not_go_together(tmp_path: Path, clean: dict[str, bytes]) -> None:
    faces = CropStore(tmp_path / "clean")
    faces.check_crop(replace(CROP, method="mtcnn"), "the weights need")  # looks alike
    box = replace(CROP, method="fixed", box=[0, 16, 0, 24])
    with pytest.raises(CropStoreError, match=r"crop\.method=dlib, the weights need fixed: preprocess into"):
        faces.check_crop(box, "the weights need")
    pack(tmp_path / "box", CLIPS[:1], LENGTHS[:1], box)
    boxes = CropStore(tmp_path / "box")
    boxes.check_crop(replace(box, eye_distance=9.0), "the weights need")
    with pytest.raises(
        CropStoreError, match=r"crop\.box=\[0, 16, 0, 24\], the weights need \[1, 17, 0, 24\]: "
    ):
        boxes.check_crop(replace(box, box=[1, 17, 0, 24]), "the weights need")
    with pytest.raises(CropStoreError, match=r"crop\.frame=\[\], the weights need \[360, 288\]: "):
        boxes.check_crop(replace(box, frame=[360, 288]), "the weights need")
    with pytest.raises(CropStoreError, match=r"crop\.eye_distance=72, the weights need 9\.5: "):
        faces.check_crop(replace(CROP, eye_distance=9.5), "the weights need")


def test_clips_without_some_speakers(tmp_path: Path) -> None:
    others = [make_clip("s2", "swiq9a", 4), make_clip("s3", "lgbm5p", 4)]
    pack(tmp_path, [*CLIPS, *others], [*LENGTHS, 4, 4])
    clips = CropStore(tmp_path).split("all")
    assert [clip.name for clip in without_speakers(clips, ["s1", "s3"])] == ["s2/swiq9a"]
    assert without_speakers(clips, []) == clips
    for speakers, message in (
        (["s9"], "s9 has no training clip"),
        (["s1", "s2", "s3"], "no training clip is left"),
    ):
        with pytest.raises(CropStoreError, match=message):
            without_speakers(clips, speakers)
