"""preprocess.py: bad input, parts of a corpus, import and export, and lists."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from noise_videos import FIXED, write_noise_videos
from tiny import (
    OVERRIDES,
    Result,
    assert_one_line,
    contents,
    make_clip,
    pack,
    render_clips,
    run_script,
    shell,
    write_list,
)

from lipnet.data.crop_store import CropStore
from lipnet.data.external_crops import KINDS
from lipnet.inference.reader import LipReader
from lipnet.utils.files import lock_folder


def test_bad_input_is_one_line(synthetic_corpus: Path, tmp_path: Path) -> None:
    def preprocess(corpus: Path, *more: object) -> Result:
        return run_script("preprocess", corpus, "--out", tmp_path / "out", *more)

    assert_one_line(preprocess(tmp_path / "gone"), tmp_path / "gone", "no such folder")
    assert_one_line(preprocess(tmp_path), tmp_path, "no videos")
    assert_one_line(preprocess(synthetic_corpus, "--speakers", "s9"), "no speaker 's9'", "s1, s2, s3")
    assert_one_line(preprocess(synthetic_corpus, "crop.widht=9"), "'crop.widht'", "did you mean 'crop.width'")
    assert_one_line(
        preprocess(synthetic_corpus, "--aligns", tmp_path / "gone"), tmp_path / "gone", "no such folder"
    )
    assert_one_line(
        preprocess(synthetic_corpus, "train.epochs=9"), "train.epochs=9", "crop. and model.alphabet="
    )
    assert_one_line(preprocess(synthetic_corpus, "--workers", 0), "--workers 0", "1 or more")
    assert contents(tmp_path) == {}
    pack(tmp_path, [make_clip("s1", "bbaf2n")], [75])
    before = contents(tmp_path)
    other = run_script("preprocess", synthetic_corpus, "--out", tmp_path, "crop.width=30")
    assert other.code == 2
    assert "width 24 there, 30 now" in other.err.splitlines()[-1]
    assert contents(tmp_path) == before


def test_a_corpus_of_unusable_files(grey_video: Path, text_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corpus" / "s1"
    folder.mkdir(parents=True)
    (folder / "bbaf2n.mp4").write_bytes(text_file.read_bytes())
    (folder / "lgbm5p.mp4").write_bytes(grey_video.read_bytes())
    result = shell("preprocess", tmp_path / "corpus", "--out", tmp_path / "out", "--workers", 1)
    assert (result.code, result.out) == (2, "") and "Traceback" not in result.err
    assert result.err.splitlines()[-1] == (
        f"error: {tmp_path / 'corpus'}: no clip could be cropped, for the reasons above"
    )
    assert contents(tmp_path / "out") == {}


def test_transcripts_in_another_alphabet(tmp_path: Path) -> None:
    """A corpus of digits, from its videos to a trained network."""
    [video] = render_clips(tmp_path / "videos", 1, 1, seed=3)
    video = video.rename(video.with_stem("a"))
    video.with_suffix(".txt").write_text("1, 2 0 3!")
    tokenizer, crops = "model.alphabet=' 0123456789'", tmp_path / "crops"
    fixed = ("crop.method=fixed", "crop.box=[10,42,8,56]", "crop.width=24", "crop.height=16")
    given = (tmp_path / "videos", "--out", crops, "--workers", 1, *fixed)
    refused = run_script("preprocess", *given)
    assert refused.code == 2 and "'1'" in refused.err
    assert run_script("preprocess", *given, tokenizer).code == 0
    [clip] = CropStore(crops).split("all")
    assert clip.sentence == "1 2 0 3"
    settings = (f"data.root={crops}", "data.train_split=all", f"run.dir={tmp_path / 'run'}", "train.epochs=1")
    trained = run_script("train", *OVERRIDES, "data.dev_splits=[]", *settings, tokenizer)
    assert trained.code == 0, trained.err
    reader = LipReader.load(tmp_path / "run" / "last.safetensors")
    assert reader.decoder.tokenizer.alphabet == " 0123456789" and not reader.decoder.grid_only


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_noise_videos(tmp_path_factory.mktemp("videos"))


def arrays(root: Path) -> dict[str, np.ndarray]:
    """The crops of every clip in a crop store."""
    store = CropStore(root)
    return {name: store.crops(clip) for name, clip in store.clips.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_exported_crops_can_be_imported(kind: str, videos: Path, tmp_path: Path) -> None:
    first = run_script("preprocess", videos, "--out", tmp_path / "a", *FIXED, "--export", kind)
    assert first.code == 0, first.err
    assert "4 clips cropped" in first.out and "face" not in first.out
    exported = tmp_path / f"a_{kind}"
    second = run_script("preprocess", exported, "--import", kind, "--out", tmp_path / "b", *FIXED)
    assert second.code == 0, second.err
    before, after = arrays(tmp_path / "a"), arrays(tmp_path / "b")
    assert list(before) == list(after) == ["s1/bbaf2n", "s1/lgbm5p", "s1/prwazs", "s2/swiq9a"]
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert CropStore(tmp_path / "b").clips["s2/swiq9a"].sentence == "set white in q nine again"


def test_a_part_can_be_cropped_first_and_the_rest_later(videos: Path, tmp_path: Path) -> None:
    part = run_script("preprocess", videos, "--out", tmp_path, *FIXED, "--first", 2, "--last", 2)
    assert "1 clips cropped" in part.out and list(arrays(tmp_path)) == ["s1/lgbm5p"]
    more = run_script("preprocess", videos, "--out", tmp_path, *FIXED, "--pattern", "s1/*.mp4")
    assert "2 clips cropped, 1 were there already" in more.out and len(arrays(tmp_path)) == 3


def test_a_box_beyond_the_frames(videos: Path, tmp_path: Path) -> None:
    wrong = [*FIXED[:3], "crop.box=[10,26,8,399]", "crop.width=24", "crop.height=16"]
    result = run_script("preprocess", videos, "--out", tmp_path, *wrong, "--speakers", "s2")
    assert result.code == 2 and "Traceback" not in result.err
    assert "crop.box [10, 26, 8, 399] reaches beyond its frames of 360x288 px" in result.err


def test_messages_about_lists(videos: Path, tmp_path: Path) -> None:
    """Own lists are copied without the clips that were left out; an edited list is not written again."""
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    shutil.copytree(videos, corpus)
    (corpus / "s1" / "lgbm5p.mp4").write_text("not a video")
    write_list(corpus / "splits" / "unseen_test.txt", ["s1/bbaf2n", "s1/lgbm5p"])
    first = run_script("preprocess", corpus, "--out", out, *FIXED)
    assert first.code == 1
    assert first.err.splitlines()[-1] == (
        f"{out}/splits/unseen_test.txt: without the clips that are not in {out} (1: s1/lgbm5p)"
    )
    assert [clip.name for clip in CropStore(out).split("unseen_test")] == ["s1/bbaf2n"]
    edited = write_list(out / "splits" / "unseen_test.txt", ["s1/prwazs"])
    again = run_script("preprocess", corpus, "--out", out, *FIXED)
    assert again.err.splitlines()[-1] == (
        f"{out}/splits: left as edited: unseen_test.txt; delete a list to have it written again"
    )
    assert edited.read_text() == "s1/prwazs\n"


def test_two_runs_into_one_folder(videos: Path, tmp_path: Path) -> None:
    """The second ends with one line, and the store is that of the first."""
    with lock_folder(tmp_path / "out"):
        refused = run_script("preprocess", videos, "--out", tmp_path / "out", *FIXED)
    assert_one_line(refused, tmp_path / "out", "another process is writing into this folder")
    assert run_script("preprocess", videos, "--out", tmp_path / "out", *FIXED).code == 0
    assert len(arrays(tmp_path / "out")) == 4
    assert not list((tmp_path / "out").glob(".*"))  # no lock and no temporary files


def test_a_corpus_that_has_changed(videos: Path, tmp_path: Path) -> None:
    """A replaced video is cropped again; one that has become unreadable, or is gone, leaves the store."""
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    shutil.copytree(videos, corpus)
    given = ("preprocess", corpus, "--out", out, *FIXED)
    assert run_script(*given).code == 0
    before = arrays(out)
    shutil.copy(videos / "s2" / "swiq9a.mp4", corpus / "s1" / "bbaf2n.mp4")
    (corpus / "s1" / "lgbm5p.mp4").write_bytes(b"no video any more")
    (corpus / "s1" / "prwazs.mp4").unlink()
    again = run_script(*given)
    assert again.code == 1 and "1 clips cropped, 1 were there already, 2 left out" in again.out
    assert "\n  s1/prwazs: " in again.err and "has been deleted" in again.err
    after = arrays(out)
    assert list(after) == ["s1/bbaf2n", "s2/swiq9a"]
    assert np.array_equal(after["s1/bbaf2n"], before["s2/swiq9a"])
    assert "nothing to do, all 2 clips are there\n" in run_script(*given).out


def test_new_transcripts_are_counted(videos: Path, tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    (corpus / "s1").mkdir(parents=True)
    shutil.copy(videos / "s1" / "bbaf2n.mp4", corpus / "s1" / "take.mp4")
    transcript = corpus / "s1" / "take.txt"
    transcript.write_text("one two")
    given = ("preprocess", corpus, "--out", out, *FIXED)
    assert run_script(*given).code == 0
    transcript.write_text("three four")
    assert "all 1 clips are there, 1 of them with new transcripts" in run_script(*given).out


def test_videos_that_are_mouths(videos: Path, tmp_path: Path) -> None:
    """No face is looked for: the frames are resized to the crop's size."""
    given = ("--workers", 1, "--speakers", "s2", "crop.method=none", "crop.width=24", "crop.height=16")
    result = run_script("preprocess", videos, "--out", tmp_path, *given)
    assert result.code == 0 and "face" not in result.out
    [crops] = arrays(tmp_path).values()
    assert crops.shape == (5, 16, 24, 3)


def test_the_face_to_crop_is_a_setting(synthetic_corpus: Path, tmp_path: Path) -> None:
    given = ("preprocess", synthetic_corpus, "--speakers", "s1", "--last", 2, "--workers", 1)
    assert_one_line(
        run_script(*given, "--out", tmp_path, "--face", "middle"), "crop.face 'middle'", "largest"
    )
    left = run_script(*given, "--out", tmp_path / "a", "--face", "left", "crop.width=24", "crop.height=16")
    assert "1 clips cropped" in left.out and "several" not in left.out
    assert CropStore(tmp_path / "a").crop.face == "left"
