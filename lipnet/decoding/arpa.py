"""ARPA files of n-gram models: logarithms are decimal in them, and a space is written ``<space>``."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import NoReturn

from lipnet.decoding.ngram import START, UNKNOWN, NGram, NGramError, Tokens
from lipnet.utils.files import write_atomically

LN10 = math.log(10)
NEVER = -99.0  # log10 that stands for a probability of 0
ROUNDING = 1e-5  # log10 of a probability may be this much above 0, since tools round
GZIP_MAGIC = b"\x1f\x8b"
READ_AS = {"<space>": " ", "<UNK>": UNKNOWN}  # spellings of tokens that are others here


def save_arpa(model: NGram, path: str | Path) -> None:
    """Write an ARPA file, gzipped where its name ends in ``.gz``, atomically. A space is ``<space>`` in it.

    Raises NGramError where a token cannot be written.
    """
    path = Path(path)
    spelling = {token: _spell(token) for token in (START, *model.vocabulary)}
    spelled = {ngram: tuple(map(spelling.__getitem__, ngram)) for ngram in model.probabilities}
    sections: list[list[str]] = [[] for _ in range(model.order)]
    for ngram in sorted(spelled, key=spelled.__getitem__):
        fields = [_log10(model.probabilities[ngram]), " ".join(spelled[ngram])]
        if ngram in model.backoffs:
            fields.append(_log10(model.backoffs[ngram]))
        sections[len(ngram) - 1].append("\t".join(fields))
    lines = ["\\data\\", *(f"ngram {n}={len(section)}" for n, section in enumerate(sections, start=1)), ""]
    for length, section in enumerate(sections, start=1):
        lines += [f"\\{length}-grams:", *section, ""]
    content = "\n".join([*lines, "\\end\\", ""]).encode()
    write_atomically(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def load_arpa(path: str | Path) -> NGram:
    """Read an ARPA file, gzipped or not, of any tool. NGramError where there is none or it is broken."""
    path = Path(path)
    if not path.is_file():
        raise NGramError(f"{path}: no such language model; make one with scripts/build_lm.py")
    return _ArpaReader(path).read()


def _spell(token: str) -> str:
    if token == " ":
        return "<space>"
    if not token or token in READ_AS or re.search(r"[ \t\r\n]", token):
        raise NGramError(f"token {token!r} cannot be written into an ARPA file: rename it in the sentences")
    return token


def _log10(value: float) -> str:
    return f"{NEVER:.0f}" if value == -math.inf else f"{value / LN10:.8f}"


class _ArpaReader:
    """Reads one file line by line: ``line`` is the line it is at, stripped; empty at the file's end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = _text(path).split("\n")
        self.number = 0  # of the line, from 1
        self.line = ""
        self.probabilities: dict[Tokens, float] = {}
        self.backoffs: dict[Tokens, float] = {}

    def read(self) -> NGram:
        self._advance()
        while self.line != "\\data\\":
            if not self.line:
                self._fail("no line \\data\\ up to here, as an ARPA file has")
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
            wanted = len(sizes) + 1
            match = re.fullmatch(rf"ngram[ \t]+{wanted}[ \t]*=[ \t]*([0-9]+)", self.line)
            if match is None:
                self._fail(f"{self._here()} where 'ngram {wanted}=COUNT' should be")
            sizes.append(int(match[1]))
            self._advance()
        return sizes

    def _section(self, length: int, size: int, is_last: bool) -> None:
        """The n-grams of one length, up to the next line that begins with a backslash."""
        before = len(self.probabilities)
        while self.line and not self.line.startswith("\\"):
            self._ngram(length, is_last)
            self._advance()
        found = len(self.probabilities) - before
        if found != size:
            self._fail(f"{found} {length}-grams where the head names {size}")

    def _ngram(self, length: int, is_last: bool) -> None:
        fields = re.split(r"[ \t]+", self.line)
        if len(fields) not in (length + 1, length + 2):
            tokens = "1 token" if length == 1 else f"{length} tokens"
            self._fail(f"{self.line!r} is no {length}-gram: a number, {tokens} and perhaps a number")
        ngram = tuple(READ_AS.get(token, token) for token in fields[1 : length + 1])
        unknown = [token for token in ngram if length > 1 and (token,) not in self.probabilities]
        if unknown:
            self._fail(f"token {unknown[0]!r} is not among the 1-grams")
        if ngram in self.probabilities:
            self._fail(f"{' '.join(fields[1 : length + 1])!r} stands here a second time")
        # Some tools give <s>, which is never predicted, a probability of 1.
        self.probabilities[ngram] = -math.inf if ngram == (START,) else self._probability(fields[0])
        if len(fields) == length + 2 and not is_last:  # after the longest n-grams nothing backs off
            self.backoffs[ngram] = self._logarithm(fields[-1])

    def _probability(self, text: str) -> float:
        value = self._logarithm(text)
        if value > ROUNDING * LN10:
            self._fail(f"{text!r} is above 0, so not the logarithm of a probability")
        return min(value, 0.0)

    def _logarithm(self, text: str) -> float:
        """A decimal logarithm as a natural one, -inf where it stands for 0."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isnan(value) or value == math.inf:
            self._fail(f"{text!r} is no logarithm")
        return -math.inf if value <= NEVER else value * LN10

    def _advance(self) -> None:
        """Go on to the next line that is not blank."""
        self.line = ""
        while not self.line and self.number < len(self.lines):
            self.line = self.lines[self.number].strip(" \t")
            self.number += 1

    def _expect(self, line: str) -> None:
        if self.line != line:
            self._fail(f"{self._here()} where '{line}' should be")
        self._advance()

    def _here(self) -> str:
        return f"'{self.line}'" if self.line else "the file's end"

    def _fail(self, reason: str) -> NoReturn:
        line = self.number
        while line > 1 and not self.lines[line - 1]:  # the file's end is its last line with something in it
            line -= 1
        raise NGramError(f"{self.path}, line {line}: {reason}; mend the line, or make the file anew")


def _text(path: Path) -> str:
    """A file's text, unzipped, with line ends ``\\n`` whatever they were."""
    content = path.read_bytes()
    if content.startswith(GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise NGramError(f"{path}: a broken gzip file; copy it again, or make it anew") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _unix(content[: error.start].decode("latin-1")).count("\n") + 1
        raise NGramError(f"{path}, line {line}: not UTF-8; convert the file, or make it anew") from error
    return _unix(text)


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
