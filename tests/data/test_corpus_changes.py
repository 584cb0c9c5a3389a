"""A corpus that changes between two runs of preprocessing: what no longer counts leaves the crop store."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import CROP, contents, make_clip, random_crops

from lipnet.data.corpus import Clip, Corpus, select_clips
from lipnet.data.crop_store import CropStore, CropStoreWriter, note_deleted, remove_problems

IDS = ("bbaf2n", "lgbm5p", "prwazs")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Three clips each of s1 and s2 below tmp_path/corpus, packed into tmp_path/out."""
    clips = []
    for speaker in ("s1", "s2"):
        (tmp_path / "corpus" / speaker).mkdir(parents=True)
        for clip_id in IDS:
            video = tmp_path / "corpus" / speaker / f"{clip_id}.mpg"
            video.write_bytes(clip_id.encode())
            clips.append(replace(make_clip(speaker, clip_id, 5), video=video))
    corpus = Corpus(tmp_path / "corpus", clips)
    store(corpus, tmp_path / "out")
    return corpus


def store(corpus: Corpus, out: Path, seed: int = 0) -> list[str]:
    """Crop what is not there, as preprocess.py does. Returns the names of the clips that were cropped."""
    cropped = []
    for speaker in dict.fromkeys(clip.speaker for clip in corpus.clips):
        with CropStoreWriter(out, speaker, CROP) as writer:
            for clip in corpus.clips:
                if clip.speaker == speaker and not writer.is_current(clip):
                    writer.add(clip, random_crops(5, seed=seed), 5)
                    cropped.append(clip.name)
    return cropped


def without(corpus: Corpus, *names: str) -> Corpus:
    for clip in corpus.clips:
        if clip.name in names:
            clip.video.unlink()
    return Corpus(corpus.root, [clip for clip in corpus.clips if clip.name not in names])


def clip_named(corpus: Corpus, name: str) -> Clip:
    return next(clip for clip in corpus.clips if clip.name == name)


def test_an_unchanged_corpus_changes_nothing(corpus: Corpus, tmp_path: Path) -> None:
    before = contents(tmp_path / "out")
    assert store(corpus, tmp_path / "out") == []
    note_deleted(corpus, tmp_path / "out")
    assert remove_problems(corpus, tmp_path / "out") == []
    assert contents(tmp_path / "out") == before


def test_a_replaced_video_is_cropped_again(corpus: Corpus, tmp_path: Path) -> None:
    clip_named(corpus, "s1/bbaf2n").video.write_bytes(b"BBAF2N")  # as many bytes
    assert store(corpus, tmp_path / "out", seed=9) == ["s1/bbaf2n"]
    assert store(corpus, tmp_path / "out") == []
    after = CropStore(tmp_path / "out")
    assert np.array_equal(after.crops(after.clips["s1/bbaf2n"]), random_crops(5, seed=9))
    assert np.array_equal(after.crops(after.clips["s1/lgbm5p"]), random_crops(5, seed=0))


def test_an_index_without_the_videos_states_gets_them(corpus: Corpus, tmp_path: Path) -> None:
    path = tmp_path / "out" / "s1.index.json"
    complete = path.read_bytes()
    index = json.loads(complete)
    for entry in index["clips"].values():
        del entry["video"]
    path.write_text(json.dumps(index))
    assert CropStore(tmp_path / "out").clips["s1/bbaf2n"].video is None
    assert store(corpus, tmp_path / "out") == []
    assert path.read_bytes() == complete


def test_a_deleted_video_is_a_problem_once_and_leaves_the_store(corpus: Corpus, tmp_path: Path) -> None:
    rest = without(corpus, "s1/lgbm5p")
    note_deleted(rest, tmp_path / "out")
    assert list(rest.problems) == ["s1/lgbm5p"]
    assert "corpus/s1/lgbm5p.mpg: the video has been deleted" in rest.problems["s1/lgbm5p"]
    assert remove_problems(rest, tmp_path / "out") == ["s1/lgbm5p"]
    assert list(CropStore(tmp_path / "out").clips) == [clip.name for clip in rest.clips]
    rest.problems.clear()
    note_deleted(rest, tmp_path / "out")
    assert not rest.problems


def test_a_problem_leaves_the_store_but_not_a_clip_of_the_same_name(corpus: Corpus, tmp_path: Path) -> None:
    bad = Corpus(corpus.root, corpus.clips[1:], {"s1/bbaf2n": "no words", "s1/lgbm5p": "another of this id"})
    assert remove_problems(bad, tmp_path / "out") == ["s1/bbaf2n"]
    assert "s1/lgbm5p" in CropStore(tmp_path / "out").clips


def test_a_speaker_without_clips_leaves_no_files(corpus: Corpus, tmp_path: Path) -> None:
    rest = without(corpus, *(f"s2/{clip_id}" for clip_id in IDS))
    note_deleted(rest, tmp_path / "out")
    remove_problems(rest, tmp_path / "out")
    assert set(contents(tmp_path / "out")) == {"s1.u8", "s1.index.json"}


@pytest.mark.parametrize(
    ("speakers", "part", "deleted"),
    [
        (None, {}, ["s1/lgbm5p", "s2/prwazs"]),
        (["s1"], {}, ["s1/lgbm5p"]),
        (None, {"pattern": "s2/*"}, ["s2/prwazs"]),
        (None, {"pattern": "l*.mpg"}, ["s1/lgbm5p"]),
        (None, {"last": 2}, ["s1/lgbm5p"]),
        (None, {"first": 3}, ["s2/prwazs"]),
    ],
)
def test_only_selected_clips_are_deleted(
    speakers: list[str] | None, part: dict[str, object], deleted: list[str], corpus: Corpus, tmp_path: Path
) -> None:
    rest = without(corpus, "s1/lgbm5p", "s2/prwazs")
    note_deleted(rest, tmp_path / "out", speakers)
    rest = select_clips(rest, **part)  # type: ignore[arg-type]
    assert remove_problems(rest, tmp_path / "out") == deleted
    assert CropStore(tmp_path / "out").clips.keys() == {clip.name for clip in corpus.clips} - set(deleted)


def test_clips_of_another_corpus_stay(corpus: Corpus, tmp_path: Path) -> None:
    without(corpus, "s1/lgbm5p")
    (tmp_path / "second" / "s1").mkdir(parents=True)
    second = Corpus(tmp_path / "second")
    note_deleted(second, tmp_path / "out")
    assert not second.problems


def test_a_truncated_array_is_never_read_as_other_clips(corpus: Corpus, tmp_path: Path) -> None:
    """The index lacks the clips that were cut off before others are written to their place."""
    array = tmp_path / "out" / "s1.u8"
    array.write_bytes(array.read_bytes()[:-1])
    with CropStoreWriter(tmp_path / "out", "s1", CROP) as writer:
        writer.add(make_clip("s1", "swiq9a", 5), random_crops(5, seed=7), 5)
        assert "s1/prwazs" not in CropStore(tmp_path / "out").clips  # as a killed process leaves it
