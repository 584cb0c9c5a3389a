"""Reading alignments and transcripts."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from corpus_files import ALIGNMENT, SENTENCE, WORDS_OF_ALIGNMENT, write_text
from hypothesis import given, settings
from hypothesis import strategies as st

from lipnet.data.alignments import SILENCES, Word, read_alignment
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


LRS_TABLE = "Conf:  4\n\nWORD START END ASDSCORE\nHELLO 0.10 0.44 8.3\nWORLD 0.44 0.90 7.1\n"


@pytest.mark.parametrize("rest", ["", "Conf:  6\n", LRS_TABLE, "Ref: 0Fi83BHQsMA\n" + LRS_TABLE])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lrs_transcripts(rest: str, newline: str, tmp_path: Path) -> None:
    text = ("Text:  HELLO IT'S ME\n" + rest).replace("\n", newline)
    assert read_alignment(write_text(tmp_path / "00001.txt", text)) == ("hello its me", ())


def test_text_with_colons_is_text(tmp_path: Path) -> None:
    for text in ("texts: hello", "text: hello", "Text: hello\nhow are you"):
        path = write_text(tmp_path / "a.txt", text)
        assert read_alignment(path)[0] == text.lower().replace(":", "").replace("\n", " ")


SRT = """1
00:00:00,000 --> 00:00:01,500
<i>Hello,</i>
big {\\an8}world

2
00:00:02,000 --> 00:00:03,000
you &amp; <font color="red">I</font>
"""
VTT = """WEBVTT - a title

STYLE
::cue { color: lime }

NOTE not
a cue

intro
00:00.000 --> 00:01.500 align:start
<v Anna>Hello,
big <00:00:01.000><c>world</c>

00:02.000 --> 00:03.000
you &amp; I
"""


@pytest.mark.parametrize(("suffix", "text"), [("srt", SRT), ("SRT", SRT), ("vtt", VTT)])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_text_of_subtitles(suffix: str, text: str, newline: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / f"a.{suffix}", "\ufeff" + text.replace("\n", newline))
    assert read_alignment(path) == ("hello big world you i", ())


@pytest.mark.parametrize("suffix", ["align", "ALIGN"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("15000 5000 hello\n4000 1000 world\n", "'hello' ends at 5000, before its start 15000"),
        ("0 1000 bin\n2000 1000 sil\n", "'sil' ends at 1000, before its start 2000"),
        ("0 1000 bin\n-5 1000 blue\n", "some lines are not 'start end word'"),
        (f"0 {'9' * 5000} bin\n", "a time has more than 12 digits"),
        (f"0 {'9' * 13} bin\n", "a time has more than 12 digits"),
        (f"0 {'9' * 5000}.5 bin\n", r"time 9+\.\.\. is not a whole number"),
    ],
)
def test_impossible_times(suffix: str, content: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=rf"^\S+x\.{suffix}: {reason}") as error:
        read_alignment(write_text(tmp_path / f"x.{suffix}", content))
    assert len(str(error.value)) < 500


def test_long_numbers_and_long_texts_take_no_time(tmp_path: Path) -> None:
    digits = "9" * 300_000
    for name, content in (
        ("a.align", f"0 {digits} bin\n"),
        ("b.txt", f"0 {digits} bin\n{digits} {digits}1 blue\n"),
        ("c.txt", digits),
        ("d.srt", f"00:00 --> 00:01\n{'<' * 300_000}{digits}"),
        ("e.vtt", "1 " * 300_000),
        ("f.vtt", f"00:00 --> 00:01\n&#{digits};"),
    ):
        path, started = write_text(tmp_path / name, content), time.monotonic()
        if name == "e.vtt":
            assert read_alignment(path) == ("", ())
        else:
            with pytest.raises(CorpusError) as error:
                read_alignment(path)
            assert len(str(error.value)) < 1000
        assert time.monotonic() - started < 2


def test_a_binary_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "film.align").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(CorpusError, match=r"film\.align: cannot be read as text"):
        read_alignment(tmp_path / "film.align")


WORD_TIMES = st.tuples(
    st.integers(0, 10**9), st.integers(0, 10**9), st.from_regex("[a-z]{1,9}", fullmatch=True)
)


@settings(deadline=None)
@given(st.lists(WORD_TIMES, min_size=1))
def test_any_words_are_read_back(rows: list[tuple[int, int, str]]) -> None:
    """The alignment is sorted: times may touch, overlap or leave gaps."""
    expected = [(start, start + length, text) for start, length, text in sorted(rows)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.align"
        write_text(path, "".join(f"{start} {end} {text}\n" for start, end, text in expected))
        sentence, words = read_alignment(path)
    spoken = [row for row in expected if row[2] not in SILENCES]
    assert [(round(1000 * w.start), round(1000 * w.end), w.text) for w in words] == spoken
    assert sentence.split() == [text for _, _, text in spoken]


def test_real_alignments_have_six_timed_words(grid_root: Path) -> None:
    paths = sorted(grid_root.glob("align/*/*.align"))
    assert len(paths) == 1014
    for path in paths:
        sentence, words = read_alignment(path)
        assert len(words) == 6 and sentence == " ".join(word.text for word in words)
        assert all(0 <= word.start < word.end <= 75 for word in words), path
