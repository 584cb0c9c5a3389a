"""Word alignments and transcripts of clips."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lipnet.errors import CorpusError
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer, TokenizerError, normalize, shortened

SILENCES = frozenset({"sil", "sp"})  # GRID's labels for silence and a short pause
TICKS_PER_FRAME = 1000  # an alignment's times are in 1/1000 of a frame at 25 fps
NUMBER = re.compile(r"\d+([.,]\d+)?")
TIME_DIGITS = 12  # at most; 10 digits of 1/1000 of a frame are 4 days

# Of two files with the same id, the one of the last suffix is used. A suffix may be in any case.
SUBTITLE_SUFFIXES = (".srt", ".vtt")
TRANSCRIPT_SUFFIXES = (*SUBTITLE_SUFFIXES, ".txt", ".align")
CUE_TIMES = re.compile(r"[\d:.,\s]+-->")
TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")  # <i>, <v Anna>, <00:01.000>; {\an8}
ESCAPES = {
    "&lt;": "<",
    "&gt;": ">",
    "&quot;": '"',
    "&#39;": "'",
    "&nbsp;": " ",
    "&amp;": "&",
}  # & is the last
LRS_TABLES = frozenset({"WORD", "FRAME"})  # first words of the headers of the tables in LRS transcripts

Row = Sequence[str]  # a line's tokens


@dataclass(frozen=True)
class Word:
    """A spoken word and its time in frames at 25 fps: ``start`` inclusive, ``end`` exclusive."""

    text: str
    start: float
    end: float


def fits(word: Word, frames: int) -> bool:
    """Whether a word starts before the end of a video of ``frames`` frames, and ends at most one after it."""
    return word.start < frames and word.end <= frames + 1


def read_alignment(path: Path, tokenizer: Tokenizer = DEFAULT_TOKENIZER) -> tuple[str, tuple[Word, ...]]:
    """Read a word alignment or a plain transcript: UTF-8, with any line ends and an optional byte order mark.

    An alignment has lines ``start end word``, with times in 1/1000 of a frame at 25 fps. In a ``.align`` file
    such lines always are an alignment. In any other file they are one if there are two or more and each
    starts where the previous one ends; otherwise the file is a transcript, whatever numbers are in it.

    A transcript may also be one of the LRS corpora, whose first line is ``Text: SENTENCE``, or subtitles in a
    ``.srt`` or ``.vtt`` file: the text of all cues, without tags.

    Returns:
        The sentence as the tokenizer's alphabet writes it, and its words without silences; no words for a
        plain transcript.

    Raises:
        CorpusError: the file cannot be read, has times on some lines only, decimal or backward times, or a
            character outside the alphabet.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read as text ({error}); save it as UTF-8") from error
    suffix = path.suffix.lower()
    rows = [line.split() for line in lines if line.strip()]
    timed = [row for row in rows if _has_times(row)]
    is_timed = bool(rows) and len(timed) == len(rows)
    is_align_file = suffix == ".align"
    try:
        if suffix in SUBTITLE_SUFFIXES:
            return normalize(_cue_text(lines), tokenizer), ()
        if suffix == ".txt" and _is_lrs(rows):
            return normalize(" ".join(rows[0]).partition(":")[2], tokenizer), ()
        if is_timed and (is_align_file or _is_contiguous(rows)):
            words = _read_words(rows, path, tokenizer)
            return " ".join(word.text for word in words), words
        if timed and is_align_file:
            raise CorpusError(
                f"{path}: some lines are not 'start end word'; give times on every line or on none"
            )
        return normalize(" ".join(" ".join(row) for row in rows), tokenizer), ()
    except TokenizerError as error:
        hint = ""
        if is_timed and not is_align_file:
            hint = f"; if its lines are 'start end word', name the file {path.stem}.align"
        raise CorpusError(f"{path}: {error}{hint}") from error


def _cue_text(lines: Sequence[str]) -> str:
    """The text of the cues of subtitles: the lines from each line of times to the next blank line."""
    text = []
    is_in_cue = False
    for line in lines:
        if CUE_TIMES.match(line):
            is_in_cue = True
        elif not line.strip():
            is_in_cue = False
        elif is_in_cue:
            text.append(TAG.sub("", line))
    plain = " ".join(text)
    for escape, character in ESCAPES.items():
        plain = plain.replace(escape, character)
    return plain


def _is_lrs(rows: Sequence[Row]) -> bool:
    """Whether these are the lines of an LRS transcript: ``Text: ...``, other such keys, and tables."""
    for number, row in enumerate(rows):
        if number and row[0] in LRS_TABLES:
            break
        if not re.match(r"\w+:", row[0]) or (number == 0 and not row[0].startswith("Text:")):
            return False
    return bool(rows)


def _has_times(row: Row) -> bool:
    return len(row) == 3 and all(NUMBER.fullmatch(time) for time in row[:2])


def _is_contiguous(rows: Sequence[Row]) -> bool:
    """Whether the times of two rows or more increase, and each row starts where the previous one ends."""
    spans = [[float(time.replace(",", ".")) for time in row[:2]] for row in rows]
    return (
        len(spans) > 1
        and all(start < end for start, end in spans)
        and all(previous[1] == following[0] for previous, following in pairwise(spans))
    )


def _read_words(rows: Sequence[Row], path: Path, tokenizer: Tokenizer) -> tuple[Word, ...]:
    decimal_times = [time for row in rows for time in row[:2] if not time.isdecimal()]
    if decimal_times:
        raise CorpusError(
            f"{path}: time {shortened(decimal_times[0])} is not a whole number; give whole numbers in "
            "1/1000 of a frame at 25 fps (1 s is 25000)"
        )
    for start, end, text in rows:
        if max(len(start), len(end)) > TIME_DIGITS:
            raise CorpusError(f"{path}: a time has more than {TIME_DIGITS} digits; correct the alignment")
        if int(end) < int(start):
            raise CorpusError(
                f"{path}: {shortened(text)!r} ends at {end}, before its start {start}; correct the alignment"
            )
    words = [
        Word(normalize(text, tokenizer), int(start) / TICKS_PER_FRAME, int(end) / TICKS_PER_FRAME)
        for start, end, text in rows
        if text.lower() not in SILENCES
    ]
    return tuple(word for word in words if word.text)  # a token of punctuation only is not a word
