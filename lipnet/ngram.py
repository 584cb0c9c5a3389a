"""Back-off n-gram language models: estimated from sentences, kept as ARPA files.

A model is over string tokens, be they words or characters; ``list(sentence)`` is a sentence of a character
model. Sentences begin with ``<s>``, which is only ever a context, and end with ``</s>``, which is predicted
like any token. Logarithms are natural in memory and decimal in files.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from lipnet.errors import LipnetError
from lipnet.files import write_atomically

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
LN10 = math.log(10)
NEVER = -99.0  # log10 that stands for a probability of 0 in ARPA files
ROUNDING = 1e-5  # log10 of a probability may be this much above 0, since tools round
GZIP_MAGIC = b"\x1f\x8b"
READ_AS = {"<space>": " ", "<UNK>": UNKNOWN}  # spellings in ARPA files of tokens that are others here

Tokens = tuple[str, ...]


class NGramError(LipnetError):
    """A language model that cannot be estimated, written or read."""


@dataclass(frozen=True)
class NGram:
    """A back-off n-gram model. Every token of every n-gram is a unigram too."""

    order: int
    probabilities: dict[Tokens, float]  # natural log of each n-gram's last token after the others
    backoffs: dict[Tokens, float]  # natural log of contexts' weights; one that is absent is 0

    @cached_property
    def vocabulary(self) -> Tokens:
        """What can be predicted, sorted: all unigrams but ``<s>``, with ``</s>``."""
        return tuple(
            sorted(ngram[0] for ngram in self.probabilities if len(ngram) == 1 and ngram[0] != START)
        )

    def log_prob(self, context: Tokens, token: str) -> float:
        """Natural log-probability of ``token`` after ``context``, whose last ``order - 1`` tokens count.

        Tokens that are no unigrams are read as ``<unk>`` if the model has it, and are impossible (-inf) else.
        """
        ngram = self._known((*self._recent(context), token))
        backoff = 0.0
        for start in range(len(ngram)):
            rest = ngram[start:]
            if rest in self.probabilities:
                return backoff + self.probabilities[rest]
            backoff += self.backoffs.get(rest[:-1], 0.0)
        return -math.inf

    def context(self, history: Tokens) -> Tokens:
        """The longest end of ``history`` that can matter to what follows, at most ``order - 1`` tokens.

        It serves as state of an automaton: ``log_prob`` after it is that after ``history``, and the context
        of it and a further token is that of ``history`` and the token. Unknown tokens are ``<unk>`` in it.
        """
        recent = self._known(self._recent(history))
        for start in range(len(recent)):
            if recent[start:] in self._contexts:
                return recent[start:]
        return ()

    def sentence_log_prob(self, sentence: Sequence[str]) -> float:
        """Natural log-probability of the sentence's tokens, given without marks, and of its end."""
        tokens = (START, *sentence, END)
        first = (max(0, i - self.order + 1) for i in range(1, len(tokens)))
        return sum(self.log_prob(tokens[j:i], tokens[i]) for i, j in enumerate(first, start=1))

    @cached_property
    def _contexts(self) -> set[Tokens]:
        """What longer n-grams begin with, and what has a back-off weight (in pruned models, others too).

        With each of them its own beginnings, so that a state is found from the one before it.
        """
        contexts: set[Tokens] = set()
        weighted = (context for context, weight in self.backoffs.items() if weight)
        for context in (*(ngram[:-1] for ngram in self.probabilities), *weighted):
            while context and context not in contexts:
                contexts.add(context)
                context = context[:-1]
        return contexts

    def _recent(self, history: Tokens) -> Tokens:
        return history[max(0, len(history) - self.order + 1) :]

    def _known(self, tokens: Tokens) -> Tokens:
        if (UNKNOWN,) not in self.probabilities:
            return tokens
        return tuple(token if (token,) in self.probabilities else UNKNOWN for token in tokens)


def is_character_model(model: NGram) -> bool:
    """Whether every token is a single character, marks such as ``</s>`` and ``<unk>`` aside."""
    return all(
        len(token) == 1 or (token.startswith("<") and token.endswith(">")) for token in model.vocabulary
    )


def perplexity(model: NGram, sentences: Iterable[Sequence[str]]) -> float:
    """Perplexity a token, the ends of sentences being tokens; infinite where one of them is impossible."""
    log_prob, tokens = 0.0, 0
    for sentence in sentences:
        log_prob += model.sentence_log_prob(sentence)
        tokens += len(sentence) + 1
    return math.exp(-log_prob / max(tokens, 1))


def estimate(sentences: Iterable[Sequence[str]], order: int, vocabulary: Iterable[str] = ()) -> NGram:
    """Interpolated Kneser-Ney (Kneser & Ney 1995) with modified discounts (Chen & Goodman 1999).

    Below the highest order an n-gram counts by the distinct tokens in front of it, or by its occurrences
    where it begins with ``<s>``. Each order has discounts of its own (``_discounts``). Unigrams are
    interpolated with the uniform distribution over all tokens, ``</s>`` and those of ``vocabulary``.

    Args:
        sentences: tokens without marks; a string is a sentence of characters.
        vocabulary: tokens that get a probability though no sentence may hold them.

    Raises:
        NGramError: the order is below 1, there are no sentences, or one holds ``<s>`` or ``</s>``.
    """
    if order < 1:
        raise NGramError(f"order {order} of a language model: give 1 or more")
    raw = _occurrences(sentences, order)
    if not raw[0]:
        raise NGramError("no sentences to estimate a language model from: give one or more")
    levels = _kneser_ney_counts(raw)
    levels[0].update({(token,): 0 for token in vocabulary if token != START})
    probabilities: dict[Tokens, float] = {(START,): -math.inf}
    backoffs: dict[Tokens, float] = {}
    shorter: dict[Tokens, float] = {(): 1 / len(levels[0])}  # the uniform distribution, as of order 0
    for counts in levels:
        shorter, shares = _interpolate(counts, shorter)
        probabilities |= {ngram: math.log(value) for ngram, value in shorter.items()}
        backoffs |= {context: math.log(share) for context, share in shares.items() if context}
    return NGram(order, probabilities, backoffs)


def _occurrences(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[Tokens]]:
    """How often each n-gram occurs, for lengths 1 ... ``order``; ``<s>`` alone is left out."""
    counts: list[Counter[Tokens]] = [Counter() for _ in range(order)]
    for number, sentence in enumerate(sentences, start=1):
        for mark in (START, END):
            if mark in tuple(sentence):  # as a token: a string may spell it
                raise NGramError(f"sentence {number} holds the token {mark!r}, which is implied: take it out")
        tokens = (START, *sentence, END)
        for length, counter in enumerate(counts, start=1):
            first = 1 if length == 1 else 0
            counter.update(tokens[i : i + length] for i in range(first, len(tokens) - length + 1))
    return counts


def _kneser_ney_counts(raw: Sequence[Counter[Tokens]]) -> list[Counter[Tokens]]:
    """The counts that Kneser-Ney takes at each length, from the occurrences."""
    levels = []
    for counts, longer in pairwise(raw):
        level = Counter(ngram[1:] for ngram in longer)
        level.update({ngram: count for ngram, count in counts.items() if ngram[0] == START})
        levels.append(level)
    return [*levels, Counter(raw[-1])]


def _interpolate(
    counts: Mapping[Tokens, int], shorter: Mapping[Tokens, float]
) -> tuple[dict[Tokens, float], dict[Tokens, float]]:
    """Probabilities of n-grams by those of their ends (``shorter``), and for each context the ends' share."""
    discounts = _discounts(counts)
    totals: Counter[Tokens] = Counter()
    freed: dict[Tokens, float] = {}
    for ngram, count in counts.items():
        context = ngram[:-1]
        totals[context] += count
        freed[context] = freed.get(context, 0.0) + discounts[min(count, 3)]
    shares = {context: freed[context] / total for context, total in totals.items()}
    probabilities = {}
    for ngram, count in counts.items():
        context = ngram[:-1]
        own = (count - discounts[min(count, 3)]) / totals[context]
        probabilities[ngram] = own + shares[context] * shorter[ngram[1:]]
    return probabilities, shares


def _discounts(counts: Mapping[Tokens, int]) -> tuple[float, float, float, float]:
    """What is taken from counts of 0, 1, 2, and 3 or more.

    With n1 ... n4 n-grams of counts 1 ... 4 these are Chen and Goodman's D1, D2 and D3+. Few tokens, such as
    the letters, may leave one of n1 ... n4 at 0 or make a discount negative: then n1 / (n1 + 2 n2) is taken
    from all counts, or where n1 or n2 is 0, one half.
    """
    sizes = Counter(counts.values())
    n1, n2, n3, n4 = (sizes[count] for count in (1, 2, 3, 4))
    if not n1 or not n2:
        return 0.0, 0.5, 0.5, 0.5
    single = n1 / (n1 + 2 * n2)
    if n3 and n4:
        second, third = 2 - 3 * single * n3 / n2, 3 - 4 * single * n4 / n3
        if second > 0 and third > 0:
            return 0.0, single, second, third  # D1 = 1 - 2 Y n2 / n1 is n1 / (n1 + 2 n2) as well
    return 0.0, single, single, single


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
