"""Reading and writing n-gram models as ARPA files."""

from __future__ import annotations

import gzip
import math
import re
from pathlib import Path
from typing import NoReturn

from lipnet.decoding.base import DecodeError
from lipnet.decoding.ngram import START, UNKNOWN, NGram, NGramError, Tokens
from lipnet.decoding.text_files import read_bytes, shortened
from lipnet.utils.files import write_atomically

LN10 = math.log(10)
LOG10_ZERO = -99.0  # written for the logarithm of 0
MAX_LOG10 = 1e-5  # tools round, so that the log10 of a probability can be slightly above 0
FILE_TOKENS = {"<space>": " ", "<UNK>": UNKNOWN}  # token in the file -> token of the model


def save_arpa(model: NGram, path: str | Path) -> None:
    """Write an ARPA file atomically, gzipped if its name ends in ``.gz``. A space is written as ``<space>``.

    Raises:
        NGramError: a token cannot be written, because it is empty or has white space.
    """
    path = Path(path)
    file_tokens = {token: _file_token(token) for token in (START, *model.vocabulary)}
    written = {ngram: tuple(file_tokens[token] for token in ngram) for ngram in model.probabilities}
    sections: list[list[str]] = [[] for _ in range(model.order)]
    for ngram in sorted(written, key=written.__getitem__):
        fields = [_log10(model.probabilities[ngram]), " ".join(written[ngram])]
        if ngram in model.backoffs:
            fields.append(_log10(model.backoffs[ngram]))
        sections[len(ngram) - 1].append("\t".join(fields))
    lines = ["\\data\\", *(f"ngram {n}={len(section)}" for n, section in enumerate(sections, start=1)), ""]
    for length, section in enumerate(sections, start=1):
        lines += [f"\\{length}-grams:", *section, ""]
    content = "\n".join([*lines, "\\end\\", ""]).encode()
    write_atomically(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def load_arpa(path: str | Path) -> NGram:
    """Read an ARPA file, gzipped or not, as written by any tool.

    Raises:
        NGramError: the file is missing or invalid.
    """
    path = Path(path)
    if not path.is_file():
        raise NGramError(f"{path}: no such language model; make one with scripts/build_lm.py")
    return _ArpaReader(path).read()


def _file_token(token: str) -> str:
    if token == " ":
        return "<space>"
    if not token or token in FILE_TOKENS or re.search(r"[ \t\r\n]", token):
        raise NGramError(f"token {token!r} cannot be written to an ARPA file: rename it in the sentences")
    return token


def _log10(value: float) -> str:
    return f"{LOG10_ZERO:.0f}" if value == -math.inf else f"{value / LN10:.8f}"


class _ArpaReader:
    """Parser of one file. ``line`` is the current line, stripped; empty at the end of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = _text(path).split("\n")
        self.number = 0  # of the current line, from 1
        self.line = ""
        self.probabilities: dict[Tokens, float] = {}
        self.backoffs: dict[Tokens, float] = {}

    def read(self) -> NGram:
        self._advance()
        while self.line != "\\data\\":
            if not self.line:
                self._fail("no line \\data\\, which starts an ARPA file")
            self._advance()
        self._advance()
        sizes = self._sizes()
        for length, size in enumerate(sizes, start=1):
            self._expect(f"\\{length}-grams:")
            self._section(length, size, is_last=length == len(sizes))
        self._expect("\\end\\")
        return NGram(len(sizes), self.probabilities, self.backoffs)

    def _sizes(self) -> list[int]:
        """Numbers of n-grams of length 1, 2, ..., from the lines ``ngram 1=28``, ..."""
        sizes: list[int] = []
        while not sizes or not self.line.startswith("\\"):
            length = len(sizes) + 1
            match = re.fullmatch(rf"ngram[ \t]+{length}[ \t]*=[ \t]*([0-9]{{1,12}})", self.line)
            if match is None:
                self._fail(f"expected 'ngram {length}=COUNT', found {self._found()}")
            sizes.append(int(match[1]))
            self._advance()
        return sizes

    def _section(self, length: int, size: int, is_last: bool) -> None:
        """Read the n-grams of one length, up to the next line that starts with a backslash."""
        before = len(self.probabilities)
        while self.line and not self.line.startswith("\\"):
            self._ngram(length, is_last)
            self._advance()
        count = len(self.probabilities) - before
        if count != size:
            self._fail(f"found {count} {length}-grams, but the header says {size}")

    def _ngram(self, length: int, is_last: bool) -> None:
        fields = re.split(r"[ \t]+", self.line)
        if len(fields) not in (length + 1, length + 2):
            tokens = "1 token" if length == 1 else f"{length} tokens"
            self._fail(
                f"{shortened(self.line)!r} is not a {length}-gram: a number, {tokens} and optionally a number"
            )
        ngram = tuple(FILE_TOKENS.get(token, token) for token in fields[1 : length + 1])
        unknown = [token for token in ngram if length > 1 and (token,) not in self.probabilities]
        if unknown:
            self._fail(f"token {shortened(unknown[0])!r} is not among the 1-grams")
        if ngram in self.probabilities:
            self._fail(f"{shortened(' '.join(fields[1 : length + 1]))!r} is listed a second time")
        # <s> is never predicted, but some tools give it a probability of 1.
        self.probabilities[ngram] = -math.inf if ngram == (START,) else self._probability(fields[0])
        if len(fields) == length + 2 and not is_last:  # the longest n-grams have no back-off weight
            self.backoffs[ngram] = self._logarithm(fields[-1])

    def _probability(self, text: str) -> float:
        value = self._logarithm(text)
        if value > MAX_LOG10 * LN10:
            self._fail(f"{shortened(text)!r} is above 0 and cannot be the logarithm of a probability")
        return min(value, 0.0)

    def _logarithm(self, text: str) -> float:
        """The natural logarithm for a decimal one in the file; -inf for ``LOG10_ZERO`` and less."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value) or value == math.inf:
            self._fail(f"{shortened(text)!r} is not a logarithm")
        return -math.inf if value <= LOG10_ZERO else value * LN10

    def _advance(self) -> None:
        """Move to the next line that is not blank."""
        self.line = ""
        while not self.line and self.number < len(self.lines):
            self.line = self.lines[self.number].strip(" \t")
            self.number += 1

    def _expect(self, line: str) -> None:
        if self.line != line:
            self._fail(f"expected '{line}', found {self._found()}")
        self._advance()

    def _found(self) -> str:
        return f"'{shortened(self.line)}'" if self.line else "the end of the file"

    def _fail(self, reason: str) -> NoReturn:
        line = self.number
        while (
            line > 1 and not self.lines[line - 1]
        ):  # at the end of the file: its last line that is not blank
            line -= 1
        raise NGramError(f"{self.path}, line {line}: {reason}; fix the line or create the file again")


def _text(path: Path) -> str:
    """The text of a file, unzipped, with all line ends converted to ``\\n``."""
    try:
        content = read_bytes(path)
    except DecodeError as error:
        raise NGramError(str(error)) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _unix_line_ends(content[: error.start].decode("latin-1")).count("\n") + 1
        raise NGramError(f"{path}, line {line}: not UTF-8; convert the file or create it again") from error
    return _unix_line_ends(text)


def _unix_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
