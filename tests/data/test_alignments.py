"""Reading alignments and transcripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_files import ALIGNMENT, SENTENCE, WORDS_OF_ALIGNMENT, write_text

from lipnet.data.alignments import Word, read_alignment
from lipnet.errors import CorpusError
from lipnet.tokenizer import Tokenizer

DIGITS = Tokenizer(" 0123456789")


@pytest.mark.parametrize("suffix", [".align", ".txt"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_alignment_with_any_line_end_and_byte_order_mark(
    suffix: str, newline: str, mark: str, tmp_path: Path
) -> None:
    path = write_text(tmp_path / f"x{suffix}", mark + ALIGNMENT.replace("\n", newline) + newline)
    assert read_alignment(path) == (SENTENCE, WORDS_OF_ALIGNMENT)


def test_transcripts_without_times(tmp_path: Path) -> None:
    for name, content, sentence in (
        ("a.txt", "Where's the\r\nwell-known  dog?\r\n", "wheres the well known dog"),
        ("b.align", "bin\nblue\nat\nf\ntwo\nnow\n", SENTENCE),
        ("c.txt", "the red dog", "the red dog"),
        ("d.align", "\ufeffbin blue at f two now\r\n", SENTENCE),
        ("empty.txt", " \n", ""),
    ):
        assert read_alignment(write_text(tmp_path / name, content)) == (sentence, ())


@pytest.mark.parametrize(
    "content",
    [
        "1 2 3",
        "3 5 7\n",
        "1 2 3\n4 5 6\n",  # the second line does not start where the first one ends
        "1 2 3\n2 2 4\n",  # the second line has no duration
        "3 2 1\n2 1 0\n",  # times run backwards
        "1 2 3\n2 3 4 5\n",
    ],
)
def test_numbers_in_a_text_transcript_are_text(content: str, tmp_path: Path) -> None:
    """Only contiguous, increasing times on two lines or more make an alignment of a .txt file."""
    path = write_text(tmp_path / "digits.txt", content)
    assert read_alignment(path, DIGITS) == (" ".join(content.split()), ())
    first = content[0]
    with pytest.raises(CorpusError, match=rf"digits\.txt: character '{first}' of .*: spell numbers out"):
        read_alignment(path)


def test_times_in_an_align_file_need_not_be_contiguous(tmp_path: Path) -> None:
    one_word = write_text(tmp_path / "one.align", "1 2 three\n")
    assert read_alignment(one_word) == ("three", (Word("three", 0.001, 0.002),))
    gaps = write_text(tmp_path / "gaps.align", "0 1000 bin\n2000 3000 blue\n")
    assert read_alignment(gaps) == ("bin blue", (Word("bin", 0.0, 1.0), Word("blue", 2.0, 3.0)))


def test_times_with_gaps_in_a_text_file_are_explained(tmp_path: Path) -> None:
    path = write_text(tmp_path / "gaps.txt", "0 1000 bin\n2000 3000 blue\n")
    with pytest.raises(CorpusError, match=r"gaps\.txt: .*'start end word', name the file gaps\.align"):
        read_alignment(path)


@pytest.mark.parametrize("suffix", [".align", ".txt"])
@pytest.mark.parametrize(
    ("content", "time"),
    [
        ("0.0 0.95 sil\n0.95 1.18 bin\n", r"0\.0"),
        ("0 23750 sil\n23750 29500.5 bin\n", r"29500\.5"),
        ("0 0,95 sil\r\n0,95 1,18 bin\r\n", "0,95"),
    ],
)
def test_decimal_times_are_an_error(content: str, time: str, suffix: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / f"seconds{suffix}", content)
    reason = (
        f"seconds.{suffix[1:]}: time {time} is not a whole number; give whole numbers in 1/1000 of a frame"
    )
    with pytest.raises(CorpusError, match=reason):
        read_alignment(path)


def test_decimal_numbers_in_a_text_transcript_are_text(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.txt", "1.5 2.5 3")
    assert read_alignment(path, Tokenizer(" .123456789")) == ("1.5 2.5 3", ())


def test_a_word_of_punctuation_only_is_left_out(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.align", "0 1000 bin\n1000 2000 ...\n2000 3000 now\n")
    assert read_alignment(path) == ("bin now", (Word("bin", 0.0, 1.0), Word("now", 2.0, 3.0)))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("half.align", "0 1000 bin\nblue\n", "some lines are not 'start end word'"),
        ("digits.txt", "call 911", "character '9' of 'call 911' is not in the alphabet"),
        ("odd.align", "0 1000 bin\n\u00b2 \u00b2 blue\n", "some lines are not 'start end word'"),
        ("accent.txt", "d\u00e9j\u00e0 vu", "character '\u00e9'"),
        ("word.align", "0 1000 bin\n1000 2000 7\n", "character '7'"),
    ],
)
def test_unusable_files_are_named_with_the_reason(
    name: str, content: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match=f"{name}: {reason}"):
        read_alignment(write_text(tmp_path / name, content))


def test_a_binary_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "film.align").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(CorpusError, match=r"film\.align: cannot be read as text"):
        read_alignment(tmp_path / "film.align")


def test_real_alignments_have_six_timed_words(grid_root: Path) -> None:
    paths = sorted(grid_root.glob("align/*/*.align"))
    assert len(paths) == 1014
    for path in paths:
        sentence, words = read_alignment(path)
        assert len(words) == 6 and sentence == " ".join(word.text for word in words)
        assert all(0 <= word.start < word.end <= 75 for word in words), path
