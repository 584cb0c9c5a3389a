"""Greedy text with every word set to the nearest one of a dictionary, as several LipNets report it.

It mends spelling and nothing else: no word is added, taken out or moved. A result with it is no longer
the network's own, so tables name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from numpy.typing import ArrayLike
from rapidfuzz.distance import Levenshtein

from lipnet.decoding.base import DecodeError, Floats, Hypothesis, unpad
from lipnet.decoding.forced_alignment import align
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.grid import WORDS
from lipnet.tokenizer import Tokenizer, TokenizerError, normalize

GRID_WORDS: Mapping[str, int] = dict.fromkeys(WORDS, 1)


class DictionaryDecoder:
    """Greedy search, then each word's nearest by edit distance; of equally near ones the more frequent,
    then the longer: one edit is less of it.

    One hypothesis a clip. The score is that of the greedy path; steps come from the mended text's best
    alignment. Where the clip is too short for the mended text, the greedy one stays.
    """

    def __init__(self, tokenizer: Tokenizer, counts: Mapping[str, int] = GRID_WORDS) -> None:
        """``counts``: the dictionary's words, and how often each occurs.

        Raises TokenizerError where one of them cannot be spelled.
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
        return [
            [self._mended(clip, found[0])]
            for clip, found in zip(clips, self.greedy(log_probs, lengths), strict=True)
        ]

    def _mended(self, log_probs: Floats, greedy: Hypothesis) -> Hypothesis:
        text = " ".join(map(self.nearest, greedy.text.split()))
        if text == greedy.text:
            return greedy
        try:
            return Hypothesis(text, greedy.score, align(log_probs, self.tokenizer.encode(text)))
        except DecodeError:
            return greedy

    def nearest(self, word: str) -> str:
        """The word of the dictionary that is fewest edits away."""
        if word not in self._nearest:
            self._nearest[word] = min(self._by_count, key=lambda known: Levenshtein.distance(word, known))
        return self._nearest[word]


def read_dictionary(path: Path, tokenizer: Tokenizer) -> dict[str, int]:
    """A word list, one a line, each with its count after it if that is known; ``#`` begins a comment.

    Raises DecodeError on a file that is none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DecodeError(f"{path}: no dictionary can be read ({error}); give a word a line") from error
    counts: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        fields = line.split("#")[0].split()
        if not fields:
            continue
        word, *count = fields
        if len(count) > 1 or not all(field.isdecimal() for field in count):
            raise DecodeError(
                f"{path}:{number}: {line.strip()!r} is no word with its count; give a word a line"
            )
        try:
            spelled = normalize(word, tokenizer)
        except TokenizerError as error:
            raise DecodeError(f"{path}:{number}: {error}") from error
        for part in spelled.split():
            counts[part] = counts.get(part, 0) + (int(count[0]) if count else 1)
    if not counts:
        raise DecodeError(f"{path}: no word in it; give a word a line")
    return counts
