"""Error rates as sums over a corpus, always with the counts they come from.

A rate is the sum of edit distances over the sum of target lengths, so that a long sentence weighs more
than a short one; it is not a mean of rates a sentence, which some papers give under the same name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rapidfuzz.distance import Levenshtein


@dataclass
class ErrorCounts:
    """Errors (insertions, deletions and substitutions) and target sizes, summed over sentences."""

    character_errors: int = 0
    characters: int = 0
    word_errors: int = 0
    words: int = 0
    sentence_errors: int = 0
    sentences: int = 0

    def add(self, target: str, prediction: str) -> None:
        """Count one sentence. Characters are compared with their spaces, words as split at spaces."""
        target_words = target.split()
        self.character_errors += Levenshtein.distance(target, prediction)
        self.characters += len(target)
        self.word_errors += Levenshtein.distance(target_words, prediction.split())
        self.words += len(target_words)
        self.sentence_errors += target != prediction
        self.sentences += 1

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            self.character_errors + other.character_errors,
            self.characters + other.characters,
            self.word_errors + other.word_errors,
            self.words + other.words,
            self.sentence_errors + other.sentence_errors,
            self.sentences + other.sentences,
        )

    @property
    def cer(self) -> float:
        """Character error rate as a fraction; insertions can bring it above 1."""
        return _rate(self.character_errors, self.characters)

    @property
    def wer(self) -> float:
        """Word error rate as a fraction; insertions can bring it above 1."""
        return _rate(self.word_errors, self.words)

    @property
    def ser(self) -> float:
        """Fraction of sentences with at least one error."""
        return _rate(self.sentence_errors, self.sentences)

    def summary(self, decoder: str) -> str:
        """One line: ``WER 13.3 % (3180/23916 words) CER 6.7 % (...) 3986 clips, greedy``."""
        return (
            f"WER {100 * self.wer:.1f} % ({self.word_errors}/{self.words} words) "
            f"CER {100 * self.cer:.1f} % ({self.character_errors}/{self.characters} characters) "
            f"{self.sentences} clips, {decoder}"
        )


@dataclass
class WordErrors:
    """Which words go wrong, by their place in the sentence, and what is read in their stead.

    Inserted words count at the place of the word that they stand before, or of the last word.
    """

    words: Counter[int] = field(default_factory=Counter)  # place from 0 -> words there
    errors: Counter[int] = field(default_factory=Counter)  # place -> errors
    confusions: Counter[tuple[str, str]] = field(default_factory=Counter)  # (said, read); "" is no word

    def add(self, target: str, prediction: str) -> None:
        """Count one sentence's words along a cheapest alignment."""
        said, read = target.split(), prediction.split()
        self.words.update(range(len(said)))
        for edit in Levenshtein.editops(said, read):
            self.errors[min(edit.src_pos, max(len(said) - 1, 0))] += 1
            lost = "" if edit.tag == "insert" else said[edit.src_pos]
            found = "" if edit.tag == "delete" else read[edit.dest_pos]
            self.confusions[lost, found] += 1


def words_right(target: str, prediction: str) -> list[bool]:
    """For each word of the prediction whether it is right, along a cheapest alignment."""
    read = prediction.split()
    wrong = {edit.dest_pos for edit in Levenshtein.editops(target.split(), read) if edit.tag != "delete"}
    return [position not in wrong for position in range(len(read))]


def _rate(errors: int, total: int) -> float:
    """``errors / total``. Of nothing it is 0, or 1 where something was predicted for an empty target."""
    return errors / total if total else float(errors > 0)
