"""Corpus discovery: clips, their transcripts and speakers, and the selection of a part."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_files import ALIGNMENT, SENTENCE, WORDS_OF_ALIGNMENT, write_text

from lipnet.data.corpus import Clip, Corpus, find_clips, select_clips
from lipnet.data.splits import read_split
from lipnet.errors import CorpusError


@pytest.mark.parametrize(
    "place",
    [
        "align/s1/bbaf2n.align",
        "s1/align/bbaf2n.align",
        "alignments/s1/bbaf2n.align",
        "s1/bbaf2n.align",
        "align/bbaf2n.align",
        "s1/bbaf2n.txt",
        "../flat/bbaf2n.align",
        "../flat/s1/bbaf2n.align",
    ],
)
@pytest.mark.parametrize("suffix", ["mpg", "MP4"])
def test_an_alignment_is_found_in_every_layout(place: str, suffix: str, tmp_path: Path) -> None:
    root, flat = tmp_path / "corpus", tmp_path / "flat"
    flat.mkdir()
    video = write_text(root / "s1" / f"bbaf2n.{suffix}")
    write_text(root / place, ALIGNMENT)
    corpus = find_clips(root, flat if "flat" in place else None)
    assert not corpus.problems
    (clip,) = corpus.clips
    assert (clip.name, clip.video, clip.sentence, clip.words) == (
        "s1/bbaf2n",
        video,
        SENTENCE,
        WORDS_OF_ALIGNMENT,
    )


def test_without_an_alignment_the_id_supplies_the_sentence(tmp_path: Path) -> None:
    write_text(tmp_path / "s1" / "bbaf2n.mpg")
    (clip,) = find_clips(tmp_path).clips
    assert (clip.sentence, clip.words) == (SENTENCE, ())


def test_an_alignment_of_another_sentence_is_a_problem(tmp_path: Path) -> None:
    for clip_id in ("bbaf2n", "lgbm5p"):
        write_text(tmp_path / "s1" / f"{clip_id}.mpg")
    write_text(tmp_path / "align" / "s1" / "lgbm5p.align", ALIGNMENT)
    corpus = find_clips(tmp_path)
    assert [clip.name for clip in corpus.clips] == ["s1/bbaf2n"]
    assert list(corpus.problems) == ["s1/lgbm5p"]
    assert (
        SENTENCE in corpus.problems["s1/lgbm5p"]
        and "lay green by m five please" in corpus.problems["s1/lgbm5p"]
    )


def test_a_corpus_with_its_own_sentences(tmp_path: Path) -> None:
    folder = tmp_path / "anna"
    for name in ("one.webm", "two.mov", "three.avi", "empty.mkv", "one.mov", "notes.pdf"):
        write_text(folder / name)
    write_text(folder / "one.txt", "Good morning")
    write_text(folder / "two.align", "0 5000 good\n5000 9000 night\n")
    write_text(folder / "empty.txt", "  \n")
    corpus = find_clips(tmp_path)
    assert {clip.name: clip.sentence for clip in corpus.clips} == {
        "anna/one": "good morning",
        "anna/two": "good night",
    }
    assert set(corpus.problems) == {"anna/three", "anna/empty", "anna/one.webm"}  # the last: an id twice


def test_a_flat_folder_of_videos_is_one_speaker(tmp_path: Path) -> None:
    write_text(tmp_path / "clips" / "bbaf2n.mp4")
    assert [clip.name for clip in find_clips(tmp_path / "clips").clips] == ["clips/bbaf2n"]


def speakers_of(corpus: Corpus) -> list[str]:
    return list(dict.fromkeys(clip.speaker for clip in corpus.clips))


def test_speakers_are_in_natural_order_and_can_be_chosen(tmp_path: Path) -> None:
    for speaker in ("s10", "s2", "s1", ".hidden"):
        write_text(tmp_path / speaker / "bbaf2n.mpg")
    assert speakers_of(find_clips(tmp_path)) == ["s1", "s2", "s10"]
    assert speakers_of(find_clips(tmp_path, speakers=["s10"])) == ["s10"]
    with pytest.raises(CorpusError, match="no speaker 's3'; there are s1, s2, s10"):
        find_clips(tmp_path, speakers=["s3"])


def test_unusable_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nowhere: no such folder"):
        find_clips(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="no videos"):
        find_clips(tmp_path)
    write_text(tmp_path / "s1" / "bbaf2n.mpg")
    with pytest.raises(CorpusError, match="aligns: no such folder"):
        find_clips(tmp_path, tmp_path / "aligns")


def test_real_clips_agree_with_their_alignments(grid_root: Path) -> None:
    corpus = find_clips(grid_root, speakers=["s1", "s3", "s4", "s5", "s30", "s32", "s33", "s34"])
    assert len(corpus.clips) == 994 and not corpus.problems
    assert all(len(clip.words) == 6 for clip in corpus.clips)
    known = {clip.name for clip in corpus.clips}
    sizes = {"train": 864, "dev_seen": 100, "dev_unseen": 30}
    for name, size in sizes.items():
        split = read_split(grid_root / "splits" / f"{name}.txt")
        assert len(split) == size and known.issuperset(split)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Clips a to e of s1 and s2; s1/c and s2/f.mpg are problems."""
    clips = [
        Clip(speaker, name, tmp_path / speaker / f"{name}.{'mpg' if name < 'd' else 'mp4'}", "bin", ())
        for speaker in ("s1", "s2")
        for name in "abcde"
        if (speaker, name) != ("s1", "c")
    ]
    return Corpus(
        tmp_path, clips, {"s1/c": "no alignment", "s2/f.mpg": "another video in the folder has the same id"}
    )


@pytest.mark.parametrize(
    ("wanted", "expected", "problems"),
    [
        ({}, "s1/a s1/b s1/d s1/e s2/a s2/b s2/c s2/d s2/e", "s1/c s2/f.mpg"),
        ({"pattern": "*.mpg"}, "s1/a s1/b s2/a s2/b s2/c", "s1/c s2/f.mpg"),
        ({"pattern": "s2/*"}, "s2/a s2/b s2/c s2/d s2/e", "s2/f.mpg"),
        ({"pattern": "s1/[bc].*"}, "s1/b", "s1/c"),
        ({"first": 3, "last": 4}, "s1/d s2/c s2/d", "s1/c"),
        ({"first": 5}, "s1/e s2/e", "s2/f.mpg"),
        ({"pattern": "*.mp4", "last": 1}, "s2/d", "s1/c"),
    ],
)
def test_a_part_of_a_corpus(corpus: Corpus, wanted: dict[str, object], expected: str, problems: str) -> None:
    part = select_clips(corpus, **wanted)  # type: ignore[arg-type]
    assert " ".join(clip.name for clip in part.clips) == expected
    assert " ".join(part.problems) == problems


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"pattern": "s9/*"}, "select none of its 9 clips"),
        ({"pattern": "..mpg"}, "select none of its 9 clips"),
        ({"first": 7}, "select none of its 9 clips"),
        ({"first": 0}, "first clip 0 of each speaker: count from 1"),
        ({"first": 4, "last": 3}, "clips 4 to 3 of each speaker"),
    ],
)
def test_an_empty_part(corpus: Corpus, wanted: dict[str, object], reason: str) -> None:
    with pytest.raises(CorpusError, match=reason):
        select_clips(corpus, **wanted)  # type: ignore[arg-type]
