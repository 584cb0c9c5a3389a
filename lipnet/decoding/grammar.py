"""Exact decoding with a slot grammar: the most probable sentences by CTC and the word heads.

A grammar is a sequence of slots with alternative words each, such as GRID's 4 x 4 x 4 x 25 x 10 x 4 = 64 000
sentences. Each sentence gets its exact log-probability, summed over all alignments, without a pass over the
clip for each of them: the slots are cut into a first and a second half. Forward sums of all first halves and
backward sums of all second halves are computed over prefix trees, and the probability of a sentence is the
product of the two, summed over the frames in which its first half can end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import ArrayLike

from lipnet.decoding.base import DecodeError, Floats, Hypothesis, unpad
from lipnet.decoding.forced_alignment import ranked_hypotheses
from lipnet.decoding.text_files import MAX_BYTES, check_length, read_bytes
from lipnet.grid import GRAMMAR, WORD_CLASS
from lipnet.tokenizer import BLANK, Tokenizer, TokenizerError, normalize

Slots = Sequence[Sequence[str]]

GRID_SLOTS: Slots = tuple(tuple(slot.words.values()) for slot in GRAMMAR)
MAX_SLOTS = 100
MAX_YAML_BYTES = 1_000_000  # which take 10 s to parse
MAX_SENTENCES = 5_000_000  # their scores take 40 MB
MAX_HALVES = 50_000  # first and second halves; their sums for each step of a clip take 120 MB
MIN_RELATIVE_LOG_PROB = -300.0  # halves this far below the most probable one count as impossible
HEADS_WEIGHT = 1.0  # of the word heads' log-probability relative to CTC's; chosen on GRID's two dev lists


class GrammarDecoder:
    """The most probable sentences of a slot grammar.

    The score is the log-probability of the sentence by CTC. With the word heads' emissions,
    ``HEADS_WEIGHT`` times that of its words by the heads is added, provided that the heads know all words of
    the grammar. Both are exact sums over all alignments. If the clip is too short for every sentence, the
    result is the empty text with a score of -inf.
    """

    def __init__(self, tokenizer: Tokenizer, slots: Slots = GRID_SLOTS, n_best: int = 1) -> None:
        """Raises DecodeError on too many sentences, TokenizerError on characters outside the alphabet."""
        sizes = list(map(len, slots))
        if len(slots) > MAX_SLOTS:
            raise DecodeError(
                f"the grammar has {len(slots)} slots: give at most {MAX_SLOTS}, or a list of words"
            )
        cut = min(range(len(slots)), key=lambda k: math.prod(sizes[:k]) + math.prod(sizes[k:]))
        halves = math.prod(sizes[:cut]) + math.prod(sizes[cut:])
        if math.prod(sizes) > MAX_SENTENCES or halves > MAX_HALVES:
            count = f"{math.prod(sizes):,}" if math.prod(sizes) < 1e15 else "more than 10**15"
            raise DecodeError(
                f"the grammar has {count} sentences, too many to score each: "
                "give a plain list of its words instead"
            )
        self.tokenizer, self.n_best = tokenizer, n_best
        first, second = list(product(*slots[:cut])), list(product(*slots[cut:]))
        self.first_halves = [" ".join([*words, ""]) for words in first]  # each ends in a space
        self.second_halves = [" ".join(words) for words in second]
        self.characters = _SentenceScorer(
            map(tokenizer.encode, self.first_halves), map(tokenizer.encode, self.second_halves)
        )
        self.words = None
        if all(word in WORD_CLASS for slot in slots for word in slot):
            self.words = _SentenceScorer(
                ([WORD_CLASS[word] for word in words] for words in first),
                ([WORD_CLASS[word] for word in words] for words in second),
                repeats_need_blank=False,
            )

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]:
        clips = unpad(log_probs, lengths)
        if word_log_probs is None:
            return [self._decode(clip) for clip in clips]
        frames = np.asarray(word_log_probs, dtype=np.float64)
        steps_per_frame = np.shape(log_probs)[1] // max(frames.shape[1], 1)
        return [
            self._decode(clip, words[: len(clip) // steps_per_frame])
            for clip, words in zip(clips, frames, strict=True)
        ]

    def _decode(self, log_probs: Floats, word_log_probs: Floats | None = None) -> list[Hypothesis]:
        scores = self.scores(log_probs, word_log_probs).ravel()
        ranking: dict[str, float] = {}  # text -> score; phrases may spell one text in two ways
        for index in np.argsort(-scores):
            if len(ranking) == self.n_best or scores[index] == -np.inf:
                break
            first, second = divmod(int(index), len(self.second_halves))
            ranking.setdefault(self.first_halves[first] + self.second_halves[second], float(scores[index]))
        return ranked_hypotheses(log_probs, ranking.items(), self.tokenizer)

    def scores(self, log_probs: Floats, word_log_probs: Floats | None = None) -> Floats:
        """Scores of all sentences, natural logarithms.

        Args:
            log_probs: (S, V) of the characters.
            word_log_probs: (T, K) of the word heads.

        Returns:
            (first halves, second halves), in the order of ``first_halves`` and ``second_halves``; -inf for
            sentences that the clip is too short for, or that are e**300 times less probable than the best.
        """
        scores = self.characters.log_probs(log_probs)
        if self.words is not None and word_log_probs is not None:
            scores = scores + HEADS_WEIGHT * self.words.log_probs(word_log_probs)
        return scores


def read_grammar(path: Path, tokenizer: Tokenizer) -> Slots | frozenset[str]:
    """Read a grammar file: the words of each slot, or a list of words that may follow in any order.

    Slots are a YAML list of lists of words, or a YAML mapping from slot names to lists of words. A list of
    words is a YAML list or plain text. All words are normalised like transcripts.

    Returns:
        The slots, or a frozenset of words.

    Raises:
        DecodeError: the file cannot be read, is neither of the two, or has characters outside the alphabet.
    """
    try:
        is_yaml = path.suffix in (".yaml", ".yml")
        text = read_bytes(path, MAX_YAML_BYTES if is_yaml else MAX_BYTES).decode("utf-8-sig")
        # The base loader keeps "on" and "no" as strings; other YAML loaders turn them into booleans.
        content = yaml.load(text, yaml.BaseLoader) if is_yaml else text.split()
    except RecursionError as error:
        raise DecodeError(f"{path}: nested too deep; list the words of each slot") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DecodeError(f"{path}: cannot read the grammar ({' '.join(str(error).split())})") from error
    slots = list(content.values()) if isinstance(content, dict) else content
    try:
        if slots and isinstance(slots, list) and all(map(_is_slot, slots)):
            return [list(dict.fromkeys(_normalized(word, tokenizer) for word in slot)) for slot in slots]
        if _is_slot(content):
            return frozenset(part for word in content for part in _normalized(word, tokenizer).split())
    except (TokenizerError, DecodeError) as error:
        raise DecodeError(f"{path}: {error}") from error
    raise DecodeError(f"{path}: not a grammar; list the words of each slot, or give one list of words")


def _normalized(word: str, tokenizer: Tokenizer) -> str:
    normalized = normalize(word, tokenizer)
    if not normalized:
        raise TokenizerError(f"{word!r} is not a word: remove it, or spell it out")
    for part in normalized.split():
        check_length(part)
    return normalized


def _is_slot(content: object) -> bool:
    return isinstance(content, list) and len(content) > 0 and all(isinstance(word, str) for word in content)


class _SentenceScorer:
    """Log-probabilities of all sentences that a first and a second half make; label 0 is the blank."""

    def __init__(
        self,
        first_halves: Iterable[Sequence[int]],
        second_halves: Iterable[Sequence[int]],
        repeats_need_blank: bool = True,
    ) -> None:
        """``repeats_need_blank``: whether equal neighbours must have a blank between them, as in CTC."""
        self.forward = _PrefixTree(first_halves, repeats_need_blank)
        self.backward = _PrefixTree((half[::-1] for half in second_halves), repeats_need_blank)

    def log_probs(self, frames: Floats) -> Floats:
        """Natural log-probabilities (first halves, second halves), given those of the labels (T, labels)."""
        impossible = np.full((len(self.forward.ends), len(self.backward.ends)), -np.inf)
        if not len(frames):
            return impossible
        second = self.backward.forward_sums(frames[::-1])[1][::-1]  # [t]: of the frames from t to the last
        if not self.forward.depth:  # a single slot: the only first half is empty
            return second[:1]
        # If the first half's last label ends in frame t, the second half has the frames after t. The sum of
        # the products over t is a matrix product, computed with each frame scaled by its maximum.
        first, second = self.forward.forward_sums(frames)[0][:-1], second[1:]
        first_max, second_max = first.max(axis=1), second.max(axis=1)
        scales = first_max + second_max
        cuts = np.flatnonzero(scales > -np.inf)  # frames in which a first half can end
        if not len(cuts):
            return impossible
        first = _exp(first[cuts] - first_max[cuts, None] + (scales[cuts] - scales.max())[:, None])
        with np.errstate(divide="ignore"):
            return np.log(first.T @ _exp(second[cuts] - second_max[cuts, None])) + scales.max()


def _exp(values: Floats) -> Floats:
    """Exponentials, 0 below ``MIN_RELATIVE_LOG_PROB``: arithmetic with subnormal numbers would be slow."""
    return np.exp(np.where(values > MIN_RELATIVE_LOG_PROB, values, -np.inf))


class _PrefixTree:
    """Prefix tree of label sequences, over which CTC's forward sums are computed; node 0 is its root."""

    def __init__(self, sequences: Iterable[Sequence[int]], repeats_need_blank: bool) -> None:
        children: dict[tuple[int, int], int] = {}
        labels, parents, ends = [BLANK], [0], []
        self.depth = 0
        for sequence in sequences:
            node = 0
            for label in sequence:
                if (node, label) not in children:
                    children[node, label] = len(labels)
                    labels.append(label)
                    parents.append(node)
                node = children[node, label]
            ends.append(node)
            self.depth = max(self.depth, len(sequence))
        self.labels, self.parents, self.ends = map(np.array, (labels, parents, ends))
        self.can_skip_blank = (self.labels != self.labels[self.parents]) | (not repeats_need_blank)

    def forward_sums(self, frames: Floats) -> tuple[Floats, Floats]:
        """Log-probabilities of all paths that have spelled each sequence by the end of each frame.

        Args:
            frames: (T, labels), natural log-probabilities.

        Returns:
            Two arrays (T, sequences): of the paths that end in the sequence's last label, and of those that
            end in it or in a blank after it.
        """
        nonblank, blank = np.full((2, len(self.labels)), -np.inf)
        blank[0] = 0.0  # before the first frame: in the first blank
        either = blank
        nonblanks, eithers = np.empty((2, len(frames), len(self.ends)))
        for t, frame in enumerate(frames):
            entering = np.where(self.can_skip_blank, either[self.parents], blank[self.parents])
            blank = frame[BLANK] + either
            nonblank = frame[self.labels] + np.logaddexp(nonblank, entering)
            nonblank[0] = -np.inf  # the empty sequence has no last label
            either = np.logaddexp(blank, nonblank)
            nonblanks[t], eithers[t] = nonblank[self.ends], either[self.ends]
        return nonblanks, eithers
