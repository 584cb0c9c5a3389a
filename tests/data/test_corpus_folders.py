"""Which folders and files of a corpus are read: links, equal names, suffixes, hidden files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from corpus_files import ALIGNMENT, SENTENCE, write_text

from lipnet.data.corpus import VIDEO_SUFFIXES, Corpus, check_words, find_clips
from lipnet.data.external_crops import find_crops
from lipnet.data.references import find_references
from lipnet.errors import CorpusError
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer


def names(corpus: Corpus) -> list[str]:
    assert not corpus.problems
    return [clip.name for clip in corpus.clips]


def test_a_folder_with_the_name_of_the_corpus(tmp_path: Path) -> None:
    root = tmp_path / "same"
    write_text(root / "bbaf2n.mpg")
    assert names(find_clips(root)) == ["same/bbaf2n"]
    write_text(root / "same" / "bbaf2n.mpg")
    assert names(find_clips(root)) == ["same/bbaf2n", "same_root/bbaf2n"]
    assert {clip.video.parent for clip in find_clips(root).clips} == {root, root / "same"}
    write_text(root / "same_root" / "bbaf2n.mpg")
    assert len(names(find_clips(root))) == 3


def test_each_real_folder_is_read_once(tmp_path: Path) -> None:
    root, outside = tmp_path / "corpus", tmp_path / "outside"
    for folder in (root / "s1", root / "z" / "s2", outside):
        write_text(folder / "bbaf2n.mpg")
    for link, target in (
        ("s1/up", ".."),
        ("z/s2/top", "../.."),
        ("self", "."),
        ("a", "z"),  # the real folder gives the speaker its name
        ("above", "../.."),  # a folder that the corpus is in
        ("linked", "../outside"),
        ("again", "linked"),
        ("nowhere", "missing"),
        ("ring", "ring"),
    ):
        (root / link).symlink_to(target, target_is_directory=True)
    assert names(find_clips(root)) == ["again/bbaf2n", "s1/bbaf2n", "z/s2/bbaf2n"]


def test_a_corpus_below_a_link_to_it(tmp_path: Path) -> None:
    write_text(tmp_path / "real" / "s1" / "bbaf2n.mpg")
    (tmp_path / "link").symlink_to("real", target_is_directory=True)
    assert names(find_clips(tmp_path / "link")) == ["s1/bbaf2n"]


def test_files_with_other_suffixes_are_counted(tmp_path: Path) -> None:
    assert {".mpg", ".m4v", ".wmv", ".3gp", ".flv", ".ts", ".mts", ".mpeg", ".gif", ".apng"} <= VIDEO_SUFFIXES
    assert {".y4m", ".h264", ".hevc", ".mp4", ".avi", ".mov", ".mkv", ".webm"} <= VIDEO_SUFFIXES
    for suffix in VIDEO_SUFFIXES:
        write_text(tmp_path / "s1" / f"{suffix[1:]}{suffix.upper()}")
        write_text(tmp_path / "s1" / f"{suffix[1:]}.txt", "bin")
    assert set(names(find_clips(tmp_path))) == {f"s1/{suffix[1:]}" for suffix in VIDEO_SUFFIXES}
    assert find_clips(tmp_path).skipped == 0
    for name in ("s1/a.rm", "s1/b.vob", "s1/c", "notes.pdf"):
        write_text(tmp_path / name)
    for name in ("s1/a.srt", "s1/a.ALIGN", "s1/._b.vob", ".DS_Store"):
        write_text(tmp_path / name)
    assert find_clips(tmp_path).skipped == 4


@pytest.mark.parametrize("kind", ["videos", "npy", "png"])
def test_companion_files_are_ignored(kind: str, tmp_path: Path) -> None:
    clip = {"videos": "bbaf2n.mpg", "npy": "bbaf2n.npy", "png": "bbaf2n/mouth_000.png"}[kind]
    for name in ("s1", "._s1"):
        write_text(tmp_path / name / clip)
    write_text((tmp_path / "s1" / clip).with_name(f"._{Path(clip).name}"))
    write_text(tmp_path / "s1" / f"._{clip}")
    write_text(tmp_path / "s1" / "bbaf2n.align", ALIGNMENT)
    write_text(tmp_path / "s1" / "._bbaf2n.align", "\0\5\x16\7Mac OS X")
    corpus = find_clips(tmp_path) if kind == "videos" else find_crops(tmp_path, kind)
    assert names(corpus) == ["s1/bbaf2n"]


@pytest.mark.parametrize("suffix", ["ALIGN", "TXT", "Txt", "srt", "VTT"])
def test_transcripts_with_any_suffix(suffix: str, tmp_path: Path) -> None:
    text = f"WEBVTT\n\n00:00.000 --> 00:03.000\n{SENTENCE}\n" if suffix in ("srt", "VTT") else SENTENCE
    video = write_text(tmp_path / "s1" / "one.mp4")
    transcript = write_text(tmp_path / "s1" / f"one.{suffix}", text)
    write_text(tmp_path / "s1" / f"._one.{suffix}", "\0\5\x16\7Mac OS X")
    (clip,) = find_clips(tmp_path).clips
    assert clip.sentence == SENTENCE
    references = find_references(transcript.parent, {video: Path("one")}, DEFAULT_TOKENIZER)
    assert references == {video: SENTENCE}


def test_an_alignment_is_preferred_to_text_and_text_to_subtitles(tmp_path: Path) -> None:
    write_text(tmp_path / "s1" / "one.mp4")
    cue = "00:00.000 --> 00:03.000\n"
    for suffix, text in (("vtt", f"{cue}vtt"), ("TXT", "text"), ("align", "0 1 align")):
        write_text(tmp_path / "s1" / f"one.{suffix}", text)
        (clip,) = find_clips(tmp_path).clips
        assert clip.sentence == {"TXT": "text"}.get(suffix, suffix)


def test_a_named_pipe_is_not_read(tmp_path: Path) -> None:
    """Reading it would wait forever."""
    video = write_text(tmp_path / "s1" / "bbaf2n.mpg")
    os.mkfifo(tmp_path / "s1" / "bbaf2n.align")
    os.mkfifo(tmp_path / "s1" / "lgbm5p.mpg")
    assert names(find_clips(tmp_path)) == ["s1/bbaf2n"]
    with pytest.raises(CorpusError, match=r"no ID\.align or ID\.txt in it"):
        find_references(tmp_path, {video: Path("s1/bbaf2n")}, DEFAULT_TOKENIZER)


def test_a_speaker_named_twice(tmp_path: Path) -> None:
    write_text(tmp_path / "s1" / "bbaf2n.mpg")
    assert names(find_clips(tmp_path, speakers=["s1", "s1"])) == ["s1/bbaf2n"]


def test_an_alphabet_with_capitals(tmp_path: Path) -> None:
    for clip_id in ("bbaf2n", "lgbm5p", "one"):
        write_text(tmp_path / "s1" / f"{clip_id}.mpg")
    write_text(tmp_path / "s1" / "bbaf2n.align", ALIGNMENT)
    write_text(tmp_path / "s1" / "one.txt", "Hello")
    corpus = find_clips(tmp_path, tokenizer=Tokenizer(" ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    assert not corpus.problems
    assert [clip.sentence for clip in corpus.clips] == [
        SENTENCE.upper(),
        "LAY GREEN BY M FIVE PLEASE",
        "HELLO",
    ]


def test_a_grid_sentence_that_the_alphabet_cannot_write_is_a_problem(tmp_path: Path) -> None:
    write_text(tmp_path / "s1" / "bbaf2n.mpg")
    corpus = find_clips(tmp_path, tokenizer=Tokenizer(" 0123456789"))
    assert "character 'b'" in corpus.problems["s1/bbaf2n"]


@pytest.mark.parametrize(("frames", "fits"), [(75, True), (61, True), (60, True), (59, False), (53, False)])
def test_word_times_beyond_the_video_are_a_problem(frames: int, fits: bool, tmp_path: Path) -> None:
    """The last word of the alignment is at frames 53 to 60.5."""
    write_text(tmp_path / "s1" / "bbaf2n.mpg")
    write_text(tmp_path / "s1" / "bbaf2n.align", ALIGNMENT)
    (clip,) = find_clips(tmp_path).clips
    reason = None if fits else f"has 'now' at frames 53 to 60.5, the video has {frames} frames; "
    assert (check_words(clip, frames) is None) == fits
    assert reason is None or reason in str(check_words(clip, frames))


def test_a_word_that_starts_at_the_end_of_the_video_is_a_problem(tmp_path: Path) -> None:
    write_text(tmp_path / "s1" / "one.mpg")
    write_text(tmp_path / "s1" / "one.align", "0 5000 bin\n5000 5500 now\n")
    (clip,) = find_clips(tmp_path).clips
    assert check_words(clip, 6) is None
    assert "'now' at frames 5 to 5.5, the video has 5 frames" in str(check_words(clip, 5))
