"""The GRID corpus: ids, alignments wherever they lie, clips that disagree, and the official splits."""

from __future__ import annotations

from collections import Counter
from itertools import islice, product
from pathlib import Path

import pytest

from lipnet.data.alignments import Word, read_alignment
from lipnet.data.corpus import Corpus, find_clips
from lipnet.data.splits import read_split, split_overlapped, split_unseen
from lipnet.errors import CorpusError
from lipnet.grid import GRAMMAR, WORDS, is_grid_sentence, natural_key, sentence_of

ALIGNMENT = """0 23750 sil
23750 29500 bin
29500 34000 blue
34000 35500 at
35500 41000 f
41000 47250 two
47250 53000 sp
53000 60500 now
60500 74500 sil
"""
WORDS_OF_ALIGNMENT = (
    Word("bin", 23.75, 29.5),
    Word("blue", 29.5, 34.0),
    Word("at", 34.0, 35.5),
    Word("f", 35.5, 41.0),
    Word("two", 41.0, 47.25),
    Word("now", 53.0, 60.5),
)
SENTENCE = "bin blue at f two now"


def touch(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize(
    ("clip_id", "sentence"),
    [
        ("bbaf2n", SENTENCE),
        ("swwzzs", "set white with z zero soon"),
        ("PRBX9A", "place red by x nine again"),
        ("lgiv7p", "lay green in v seven please"),
        ("bbaw2n", None),  # there is no letter w
        ("bbaf2", None),
        ("bbaf2nn", None),
        ("xbaf2n", None),
        ("", None),
        ("interview", None),
    ],
)
def test_an_id_spells_its_sentence(clip_id: str, sentence: str | None) -> None:
    assert sentence_of(clip_id) == sentence


def test_the_grammar_has_51_words_and_64000_sentences() -> None:
    assert [len(slot.words) for slot in GRAMMAR] == [4, 4, 4, 25, 10, 4]
    assert len(WORDS) == len(set(WORDS)) == 51
    sentences = {sentence_of("".join(id_)) for id_ in product(*(slot.words for slot in GRAMMAR))}
    assert len(sentences) == 64_000 and None not in sentences
    assert all(sentence is not None and is_grid_sentence(sentence.split()) for sentence in sentences)


def test_what_is_no_grid_sentence() -> None:
    for text in (
        "bin blue at f two",
        "bin blue at f two now now",
        "blue bin at f two now",
        "bin blue at w two now",
    ):
        assert not is_grid_sentence(text.split())


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_alignment_with_any_line_end_and_byte_order_mark(newline: str, mark: str, tmp_path: Path) -> None:
    path = touch(tmp_path / "x.align", mark + ALIGNMENT.replace("\n", newline) + newline)
    assert read_alignment(path) == (SENTENCE, WORDS_OF_ALIGNMENT)


def test_transcripts_without_times(tmp_path: Path) -> None:
    assert read_alignment(touch(tmp_path / "a.txt", "Where's the\r\nwell-known  dog?\r\n")) == (
        "wheres the well known dog",
        (),
    )
    assert read_alignment(touch(tmp_path / "b.align", "bin\nblue\nat\nf\ntwo\nnow\n")) == (SENTENCE, ())
    assert read_alignment(touch(tmp_path / "c.txt", "the red dog")) == ("the red dog", ())
    assert read_alignment(touch(tmp_path / "d.txt", ALIGNMENT)) == (SENTENCE, WORDS_OF_ALIGNMENT)


def test_of_punctuation_no_word_is_left(tmp_path: Path) -> None:
    path = touch(tmp_path / "x.align", "0 1000 bin\n1000 2000 ...\n2000 3000 now\n")
    assert read_alignment(path) == ("bin now", (Word("bin", 0.0, 1.0), Word("now", 2.0, 3.0)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("half.align", "0 1000 bin\nblue\n"),
        ("digits.txt", "call 911"),
        ("odd.align", "0 1000 bin\n\u00b2 \u00b2 blue\n"),
        ("accent.txt", "d\u00e9j\u00e0 vu"),
    ],
)
def test_an_alignment_that_is_none_is_named(name: str, content: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=name):
        read_alignment(touch(tmp_path / name, content))


def test_an_alignment_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "film.align").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(CorpusError, match=r"film\.align"):
        read_alignment(tmp_path / "film.align")


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
    video = touch(root / "s1" / f"bbaf2n.{suffix}")
    touch(root / place, ALIGNMENT)
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
    touch(tmp_path / "s1" / "bbaf2n.mpg")
    (clip,) = find_clips(tmp_path).clips
    assert (clip.sentence, clip.words) == (SENTENCE, ())


def test_an_alignment_of_another_speaker_is_listed_and_left_out(tmp_path: Path) -> None:
    for clip_id in ("bbaf2n", "lgbm5p"):
        touch(tmp_path / "s1" / f"{clip_id}.mpg")
    touch(tmp_path / "align" / "s1" / "lgbm5p.align", ALIGNMENT)
    corpus = find_clips(tmp_path)
    assert [clip.name for clip in corpus.clips] == ["s1/bbaf2n"]
    assert list(corpus.problems) == ["s1/lgbm5p"]
    assert (
        SENTENCE in corpus.problems["s1/lgbm5p"]
        and "lay green by m five please" in corpus.problems["s1/lgbm5p"]
    )


def test_a_corpus_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "anna"
    for name in ("one.webm", "two.mov", "three.avi", "empty.mkv", "one.mov", "notes.pdf"):
        touch(folder / name)
    touch(folder / "one.txt", "Good morning")
    touch(folder / "two.align", "0 5000 good\n5000 9000 night\n")
    touch(folder / "empty.txt", "  \n")
    corpus = find_clips(tmp_path)
    assert {clip.name: clip.sentence for clip in corpus.clips} == {
        "anna/one": "good morning",
        "anna/two": "good night",
    }
    assert set(corpus.problems) == {"anna/three", "anna/empty", "anna/one.webm"}  # the last: an id twice


def test_a_flat_folder_of_videos_is_one_speaker(tmp_path: Path) -> None:
    touch(tmp_path / "clips" / "bbaf2n.mp4")
    assert [clip.name for clip in find_clips(tmp_path / "clips").clips] == ["clips/bbaf2n"]


def speakers_of(corpus: Corpus) -> list[str]:
    return list(dict.fromkeys(clip.speaker for clip in corpus.clips))


def test_speakers_are_in_natural_order_and_can_be_chosen(tmp_path: Path) -> None:
    for speaker in ("s10", "s2", "s1", ".hidden"):
        touch(tmp_path / speaker / "bbaf2n.mpg")
    assert speakers_of(find_clips(tmp_path)) == ["s1", "s2", "s10"]
    assert speakers_of(find_clips(tmp_path, speakers=["s10"])) == ["s10"]
    with pytest.raises(CorpusError, match="no speaker 's3'; there are s1, s2, s10"):
        find_clips(tmp_path, speakers=["s3"])
    assert sorted(["s33", "s4", "s11"], key=natural_key) == ["s4", "s11", "s33"]


def test_folders_that_are_no_corpus_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nowhere: no such folder"):
        find_clips(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="no videos"):
        find_clips(tmp_path)
    touch(tmp_path / "s1" / "bbaf2n.mpg")
    with pytest.raises(CorpusError, match="aligns: no such folder"):
        find_clips(tmp_path, tmp_path / "aligns")


def test_a_split_list(tmp_path: Path) -> None:
    text = "\ufeff# ours\r\ns1/bbaf2n\r\n\r\n  s2/lgbm5p  # a comment\r\n"
    assert read_split(touch(tmp_path / "a.txt", text)) == ["s1/bbaf2n", "s2/lgbm5p"]
    with pytest.raises(CorpusError, match=r"nothing\.txt"):
        read_split(tmp_path / "nothing.txt")


@pytest.fixture(scope="module")
def names() -> list[str]:
    """As many clips as the corpus has: 33 speakers (21 has no video), 1000 each, no sentence twice."""
    ids = ("".join(characters) for characters in product(*(slot.words for slot in GRAMMAR)))
    return [
        f"s{speaker}/{clip_id}" for speaker in range(1, 35) if speaker != 21 for clip_id in islice(ids, 1000)
    ]


def per_speaker(names: list[str]) -> Counter[str]:
    return Counter(name.split("/")[0] for name in names)


def test_the_unseen_split_holds_out_four_speakers(names: list[str]) -> None:
    train, test = split_unseen(names)
    assert per_speaker(test) == dict.fromkeys(("s1", "s2", "s20", "s22"), 1000)
    assert len(train) == 29_000 and set(train) | set(test) == set(names)
    assert split_unseen(["original/s1/bbaf2n"]) == ([], ["original/s1/bbaf2n"])


def test_the_overlapped_split_holds_out_255_clips_of_each_speaker(names: list[str]) -> None:
    train, test = split_overlapped(names)
    assert per_speaker(test) == dict.fromkeys(per_speaker(names), 255)
    assert len(test) == 33 * 255 and len(train) == 33 * 745
    assert sorted(train + test) == sorted(names)
    places = [int(names.index(name)) % 1000 for name in test[:255]]
    assert 400 < sum(places) / len(places) < 600  # drawn, not the first ones


def test_the_draw_depends_on_the_seed_and_the_speaker_alone(names: list[str]) -> None:
    test = split_overlapped(names, seed=0)[1]
    some = [name for name in names if name.split("/")[0] in ("s3", "s17")]
    assert split_overlapped(some[::-1], seed=0)[1][::-1] == [name for name in test if name in set(some)]
    assert split_overlapped(names, seed=1)[1] != test


def test_a_smaller_speaker_gives_a_third_at_most(names: list[str]) -> None:
    assert [len(split_overlapped(names[:size])[1]) for size in (990, 765, 42, 3, 2)] == [255, 255, 14, 1, 0]


def test_the_overlapped_split_from_a_list(names: list[str]) -> None:
    train, test = split_overlapped(names[:5], [names[3], names[1], "s9/absent"])
    assert test == [names[1], names[3]] and train == [names[0], names[2], names[4]]


def test_real_clips_all_agree_with_their_alignments(grid_root: Path) -> None:
    corpus = find_clips(grid_root, speakers=["s1", "s3", "s4", "s5", "s30", "s32", "s33", "s34"])
    assert len(corpus.clips) == 994 and not corpus.problems
    assert all(len(clip.words) == 6 for clip in corpus.clips)
    known = {clip.name for clip in corpus.clips}
    sizes = {"train": 864, "dev_seen": 100, "dev_unseen": 30}
    for name, size in sizes.items():
        split = read_split(grid_root / "splits" / f"{name}.txt")
        assert len(split) == size and known.issuperset(split)
