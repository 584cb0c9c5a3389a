"""Greedy decoding with each word replaced by the nearest one of a dictionary.

Several LipNet implementations report their error rates with this spelling correction. It changes the spelling
only: words are not inserted, deleted or moved. Results with it are not comparable with those of the network
alone, so tables must name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from numpy.typing import ArrayLike
from rapidfuzz.distance import Levenshtein

from lipnet.decoding.base import DecodeError, Floats, Hypothesis, unpad
from lipnet.decoding.forced_alignment import align
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.decoding.text_files import read_bytes, shortened
from lipnet.grid import WORDS
from lipnet.tokenizer import Tokenizer, TokenizerError, normalize

MAX_DIGITS = 18  # of a count
GRID_WORDS: Mapping[str, int] = dict.fromkeys(WORDS, 1)


class DictionaryDecoder:
    """Greedy search, with each word replaced by the dictionary's word of the smallest edit distance.

    Among equally near words the more frequent one is chosen, then the longer one, of which one edit changes
    a smaller part. Returns one hypothesis a clip; its score is that of the greedy path, its alignment that of
    the corrected text. If the clip is too short for the corrected text, the result is the greedy text.
    """

    def __init__(self, tokenizer: Tokenizer, counts: Mapping[str, int] = GRID_WORDS) -> None:
        """``counts``: the words of the dictionary and how often each occurs.

        Raises:
            TokenizerError: a word has a character outside the alphabet.
        """
        for word in counts:
            tokenizer.encode(word)
        self.tokenizer, self.greedy = tokenizer, GreedyDecoder(tokenizer)
        self._by_count = sorted(counts, key=lambda word: (-counts[word], -len(word), word))
        self._nearest: dict[str, str] = {}

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]:
        clips = unpad(log_probs, lengths)
        greedy = self.greedy(log_probs, lengths)
        return [[self._correct(clip, best)] for clip, [best] in zip(clips, greedy, strict=True)]

    def _correct(self, log_probs: Floats, greedy: Hypothesis) -> Hypothesis:
        text = " ".join(map(self.nearest, greedy.text.split()))
        if text == greedy.text:
            return greedy
        try:
            return Hypothesis(text, greedy.score, align(log_probs, self.tokenizer.encode(text)))
        except DecodeError:
            return greedy

    def nearest(self, word: str) -> str:
        """The word of the dictionary with the smallest edit distance to ``word``."""
        if word not in self._nearest:
            self._nearest[word] = min(self._by_count, key=lambda known: Levenshtein.distance(word, known))
        return self._nearest[word]


def read_dictionary(path: Path, tokenizer: Tokenizer) -> dict[str, int]:
    """Read a word list: one word a line, optionally followed by its count; ``#`` starts a comment.

    Returns:
        The words, normalised like transcripts, with their counts (1 where the file gives none).

    Raises:
        DecodeError: the file cannot be read, or a line is not a word with an optional count.
    """
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DecodeError(f"{path}: cannot read the dictionary ({error}); give one word a line") from error
    counts: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        fields = line.split("#")[0].split()
        if not fields:
            continue
        word, *count = fields
        if len(count) > 1 or not all(field.isdecimal() and len(field) <= MAX_DIGITS for field in count):
            line = shortened(line.strip())
            raise DecodeError(f"{path}:{number}: {line!r} is not a word with an optional count; fix the line")
        try:
            normalized = normalize(word, tokenizer)
        except TokenizerError as error:
            raise DecodeError(f"{path}:{number}: {error}") from error
        for part in normalized.split():
            counts[part] = counts.get(part, 0) + (int(count[0]) if count else 1)
    if not counts:
        raise DecodeError(f"{path}: no words; give one word a line")
    return counts
