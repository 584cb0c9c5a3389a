"""Word alignments and transcripts of clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lipnet.errors import CorpusError
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer, TokenizerError, normalize

SILENCES = frozenset({"sil", "sp"})


@dataclass(frozen=True)
class Word:
    """A spoken word and its time in frames at 25 fps: ``start`` inclusive, ``end`` exclusive."""

    text: str
    start: float
    end: float


def read_alignment(path: Path, tokenizer: Tokenizer = DEFAULT_TOKENIZER) -> tuple[str, tuple[Word, ...]]:
    """Read ``start end word`` lines (times in 1/1000 of a frame) or a plain transcript, LF or CRLF.

    Returns the sentence and its timed words, in ``alphabet``; no words where the file has no timings.
    Raises CorpusError on a file that is neither.
    """
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        timed = [row for row in rows if len(row) == 3 and row[0].isdecimal() and row[1].isdecimal()]
        if rows and len(timed) == len(rows):
            spoken = [
                Word(normalize(text, tokenizer), int(start) / 1000, int(end) / 1000)
                for start, end, text in rows
                if text.lower() not in SILENCES
            ]
            words = tuple(word for word in spoken if word.text)  # of "..." nothing is left
            return " ".join(word.text for word in words), words
        if timed and path.suffix == ".align":
            raise CorpusError(
                f"{path}: some lines are not 'start end word'; give every line its times or none"
            )
        return normalize(" ".join(" ".join(row) for row in rows), tokenizer), ()
    except (OSError, UnicodeDecodeError, TokenizerError) as error:
        raise CorpusError(f"{path}: cannot be read as an alignment ({error}); mend or remove it") from error
