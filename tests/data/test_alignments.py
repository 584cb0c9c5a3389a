"""Reading alignments and transcripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_files import ALIGNMENT, SENTENCE, WORDS_OF_ALIGNMENT, write_text

from lipnet.data.alignments import Word, read_alignment
from lipnet.errors import CorpusError


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_alignment_with_any_line_end_and_byte_order_mark(newline: str, mark: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.align", mark + ALIGNMENT.replace("\n", newline) + newline)
    assert read_alignment(path) == (SENTENCE, WORDS_OF_ALIGNMENT)


def test_transcripts_without_times(tmp_path: Path) -> None:
    assert read_alignment(write_text(tmp_path / "a.txt", "Where's the\r\nwell-known  dog?\r\n")) == (
        "wheres the well known dog",
        (),
    )
    assert read_alignment(write_text(tmp_path / "b.align", "bin\nblue\nat\nf\ntwo\nnow\n")) == (SENTENCE, ())
    assert read_alignment(write_text(tmp_path / "c.txt", "the red dog")) == ("the red dog", ())
    assert read_alignment(write_text(tmp_path / "d.txt", ALIGNMENT)) == (SENTENCE, WORDS_OF_ALIGNMENT)


def test_of_punctuation_no_word_is_left(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.align", "0 1000 bin\n1000 2000 ...\n2000 3000 now\n")
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
        read_alignment(write_text(tmp_path / name, content))


def test_an_alignment_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "film.align").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(CorpusError, match=r"film\.align"):
        read_alignment(tmp_path / "film.align")
