"""List files of clips: every name is read back as it was written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from corpus_files import write_text
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lipnet.data.clip_lists import list_content, read_split
from lipnet.data.splits import write_splits
from lipnet.errors import CorpusError

# File names are bytes without NUL; those that are not UTF-8 have surrogates as text.
SPACED = st.text(st.sampled_from(" #\"'\\/\t\n\r\x0b\x1c\x85\u2028\ufeffab"), min_size=1)
FILE_NAMES = st.binary(min_size=1, max_size=40).filter(lambda raw: 0 not in raw).map(os.fsdecode)


def read_back(names: list[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.txt"
        path.write_bytes(list_content(names))
        return read_split(path)


@settings(deadline=None)
@example([' "', '"', 'a "b" # c'])
@given(st.lists(st.one_of(SPACED, FILE_NAMES, st.text(st.characters(exclude_categories=["Cs"]), min_size=1))))
def test_any_name_is_read_back(names: list[str]) -> None:
    assert read_back(names) == names


def test_ordinary_names_are_lines_of_their_own() -> None:
    assert (
        list_content(["s1/bbaf2n", "s1/take#3", "caf\u00e9/a b"])
        == "s1/bbaf2n\ns1/take#3\ncaf\u00e9/a b\n".encode()
    )


def test_comments_and_names_in_quotes(tmp_path: Path) -> None:
    text = '# ours\ns1/take#3 # the third\n"s1/last " # with a space\n"s1/a\\nb"\n\n  #s1/x\n'
    assert read_split(write_text(tmp_path / "a.txt", text)) == ["s1/take#3", "s1/last ", "s1/a\nb"]


@pytest.mark.parametrize("line", ['"s1/a', '"s1/a" b', '"s1/\\q"'])
def test_a_line_that_is_no_name_in_quotes(line: str, tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"a\.txt: line 2 is not a name in quotes; write it as a JSON string"
    ):
        read_split(write_text(tmp_path / "a.txt", f"s1/b\n{line}\n"))


def test_a_path_with_a_nul_character() -> None:
    with pytest.raises(CorpusError, match="cannot be read as a split list"):
        read_split(Path("a\0b.txt"))


def test_written_lists_have_the_names_as_they_are(tmp_path: Path) -> None:
    names = ["sp/plain", "sp/take#1", "sp/last ", "sp/two\nlines", "sp/caf\udce9"]
    (tmp_path / "corpus" / "splits").mkdir(parents=True)
    (tmp_path / "corpus" / "splits" / "mine.txt").write_bytes(list_content(names))
    (tmp_path / "corpus" / "splits" / "._mine.txt").write_bytes(b"\0\5\x16\7Mac OS X")
    (tmp_path / "out").mkdir()
    lists = write_splits(tmp_path / "out", names, tmp_path / "corpus").lists
    assert "._mine" not in lists
    for name in lists:
        read = read_split(tmp_path / "out" / "splits" / f"{name}.txt")
        assert read and set(read) <= set(names)
    assert read_split(tmp_path / "out" / "splits" / "mine.txt") == names
