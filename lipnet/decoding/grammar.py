"""The most probable sentence of a grammar: CTC and the word heads, each summed over all alignments.

A grammar is a sequence of slots with a few words each, such as GRID's 4 x 4 x 4 x 25 x 10 x 4 = 64 000
sentences. All of them are scored, exactly, by meeting in the middle: the slots are cut in two halves,
forward probabilities of all first halves and backward ones of all second halves are computed over prefix
trees, and a sentence's probability is the sum over the frames at which its first half may end.
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
from lipnet.grid import GRAMMAR, WORD_CLASS
from lipnet.tokenizer import BLANK, Tokenizer, TokenizerError, normalize

Slots = Sequence[Sequence[str]]

GRID_SLOTS: Slots = tuple(tuple(slot.words.values()) for slot in GRAMMAR)
MAX_SENTENCES = 5_000_000  # so many scores take 40 MB
MAX_HALVES = 50_000  # first and second halves; their probabilities in each step of a clip take 120 MB
LEAST = -300.0  # log-probability of a half beside the best one, below which it is taken for impossible
HEADS_WEIGHT = 1.0  # of the word heads' log-probability beside that of CTC; chosen on GRID's two dev lists


class GrammarDecoder:
    """The best sentences of a slot grammar.

    The score is CTC's log-probability of the sentence; with the word heads' emissions, plus ``HEADS_WEIGHT``
    times that of its words, as far as the heads know all words of the grammar. Both are sums over all
    alignments. A character's step comes from the best CTC alignment.
    """

    def __init__(self, tokenizer: Tokenizer, slots: Slots = GRID_SLOTS, n_best: int = 1) -> None:
        """Raises DecodeError on too many sentences, TokenizerError on words that cannot be spelled."""
        sizes = list(map(len, slots))
        cut = min(range(len(slots)), key=lambda k: math.prod(sizes[:k]) + math.prod(sizes[k:]))
        halves = math.prod(sizes[:cut]) + math.prod(sizes[cut:])
        if math.prod(sizes) > MAX_SENTENCES or halves > MAX_HALVES:
            raise DecodeError(
                f"the grammar has {math.prod(sizes):,} sentences, too many to score each: "
                "give a plain list of its words instead"
            )
        self.tokenizer, self.n_best = tokenizer, n_best
        firsts, seconds = list(product(*slots[:cut])), list(product(*slots[cut:]))
        self.firsts = [" ".join(words) + " " * bool(words) for words in firsts]
        self.seconds = [" ".join(words) for words in seconds]
        self.spelling = _Halves(map(tokenizer.encode, self.firsts), map(tokenizer.encode, self.seconds))
        self.words = None
        if all(word in WORD_CLASS for slot in slots for word in slot):
            self.words = _Halves(
                ([WORD_CLASS[word] for word in words] for words in firsts),
                ([WORD_CLASS[word] for word in words] for words in seconds),
                joins_repeats=True,
            )

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]:
        clips = unpad(log_probs, lengths)
        if word_log_probs is None:
            return [self._decode(clip) for clip in clips]
        frames = np.asarray(word_log_probs, dtype=np.float64)
        rate = np.shape(log_probs)[1] // max(frames.shape[1], 1)
        return [
            self._decode(clip, words[: len(clip) // rate]) for clip, words in zip(clips, frames, strict=True)
        ]

    def _decode(self, log_probs: Floats, word_log_probs: Floats | None = None) -> list[Hypothesis]:
        scores = self.scores(log_probs, word_log_probs).ravel()
        ranking: dict[str, float] = {}  # text -> score; phrases may spell one text in two ways
        for index in np.argsort(-scores):
            if len(ranking) == self.n_best or scores[index] == -np.inf:
                break
            first, second = divmod(int(index), len(self.seconds))
            ranking.setdefault(self.firsts[first] + self.seconds[second], float(scores[index]))
        return ranked_hypotheses(log_probs, ranking.items(), self.tokenizer)

    def scores(self, log_probs: Floats, word_log_probs: Floats | None = None) -> Floats:
        """Scores of all sentences, natural logarithms.

        Args:
            log_probs: (S, V) of the characters.
            word_log_probs: (T, K) of the word heads.

        Returns:
            (first halves, second halves), in the order of ``firsts`` and ``seconds``; -inf for a sentence
            that the clip is too short for, or that is e**300 times less probable than the best one.
        """
        scores = self.spelling.log_probabilities(log_probs)
        if self.words is not None and word_log_probs is not None:
            scores = scores + HEADS_WEIGHT * self.words.log_probabilities(word_log_probs)
        return scores


def read_grammar(path: Path, tokenizer: Tokenizer) -> Slots | frozenset[str]:
    """A grammar file: YAML with the words of each slot, or a list of words, of which any sequence is meant.

    Slots are a list of lists of words, or named lists. Words may also stand in a plain text file. They are
    brought into the alphabet as transcripts are. Raises DecodeError on a file that is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # The base loader reads every word as a word: YAML's others make truth values of "on" and "no".
        content = yaml.load(text, yaml.BaseLoader) if path.suffix in (".yaml", ".yml") else text.split()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DecodeError(f"{path}: no grammar can be read ({' '.join(str(error).split())})") from error
    slots = list(content.values()) if isinstance(content, dict) else content
    try:
        if slots and isinstance(slots, list) and all(map(_is_slot, slots)):
            return [list(dict.fromkeys(_word(word, tokenizer) for word in slot)) for slot in slots]
        if _is_slot(content):
            return frozenset(part for word in content for part in _word(word, tokenizer).split())
    except TokenizerError as error:
        raise DecodeError(f"{path}: {error}") from error
    raise DecodeError(f"{path}: no grammar; list the words of each slot, or simply words")


def _word(word: str, tokenizer: Tokenizer) -> str:
    normalized = normalize(word, tokenizer)
    if not normalized:
        raise TokenizerError(f"{word!r} is no word: take it out, or spell it")
    return normalized


def _is_slot(content: object) -> bool:
    return isinstance(content, list) and len(content) > 0 and all(isinstance(word, str) for word in content)


class _Halves:
    """Sequences of labels, each a first half and a second half put together, label 0 being the blank."""

    def __init__(
        self, firsts: Iterable[Sequence[int]], seconds: Iterable[Sequence[int]], joins_repeats: bool = False
    ) -> None:
        """``joins_repeats``: equal neighbours need no blank between them, unlike in CTC."""
        self.forward = _Tree(firsts, joins_repeats)
        self.backward = _Tree((second[::-1] for second in seconds), joins_repeats)

    def log_probabilities(self, frames: Floats) -> Floats:
        """(first halves, second halves), of ``frames`` (T, labels), all natural logarithms."""
        impossible = np.full((len(self.forward.leaves), len(self.backward.leaves)), -np.inf)
        if not len(frames):
            return impossible
        second = self.backward.log_probabilities(frames[::-1])[1][::-1]  # from a frame to the end
        if not self.forward.depth:  # the one first half is the empty one
            return second[:1]
        # A first half ends in frame t with its last label, and the second half has the frames after it. Their
        # products are summed as products of matrices, scaled by what is most probable in each frame.
        first, second = self.forward.log_probabilities(frames)[0][:-1], second[1:]
        tops = first.max(axis=1), second.max(axis=1)
        scales = tops[0] + tops[1]
        cuts = np.flatnonzero(scales > -np.inf)  # the frames t that are possible at all
        if not len(cuts):
            return impossible
        first = _exp(first[cuts] - tops[0][cuts, None] + (scales[cuts] - scales.max())[:, None])
        with np.errstate(divide="ignore"):
            return np.log(first.T @ _exp(second[cuts] - tops[1][cuts, None])) + scales.max()


def _exp(values: Floats) -> Floats:
    """Exponentials, 0 below ``LEAST``: products of denormal numbers would take most of the time."""
    return np.exp(np.where(values > LEAST, values, -np.inf))


class _Tree:
    """Label sequences by their common beginnings. Node 0 is the empty sequence."""

    def __init__(self, sequences: Iterable[Sequence[int]], joins_repeats: bool) -> None:
        children: dict[tuple[int, int], int] = {}
        labels, parents, leaves = [BLANK], [0], []
        self.depth = 0
        for sequence in sequences:
            node = 0
            for label in sequence:
                if (node, label) not in children:
                    children[node, label] = len(labels)
                    labels.append(label)
                    parents.append(node)
                node = children[node, label]
            leaves.append(node)
            self.depth = max(self.depth, len(sequence))
        self.labels, self.parents, self.leaves = map(np.array, (labels, parents, leaves))
        self.differs = (self.labels != self.labels[self.parents]) | joins_repeats

    def log_probabilities(self, frames: Floats) -> tuple[Floats, Floats]:
        """Of every sequence and after every frame: the paths that have just spelled it.

        ``frames``: (T, labels), natural logarithms. Returns (T, sequences) each: of the paths that end in the
        last label, and of those that end in it or in a blank after it.
        """
        label, blank = np.full((2, len(self.labels)), -np.inf)
        blank[0] = 0.0  # before the first frame: as if a blank had been seen
        either = blank
        labels, eithers = np.empty((2, len(frames), len(self.leaves)))
        for t, frame in enumerate(frames):
            # Without a blank in between, a label is entered from its parent's only where the two differ.
            entering = np.where(self.differs, either[self.parents], blank[self.parents])
            blank = frame[BLANK] + either
            label = frame[self.labels] + np.logaddexp(label, entering)
            label[0] = -np.inf  # the empty sequence has no last label
            either = np.logaddexp(blank, label)
            labels[t], eithers[t] = label[self.leaves], either[self.leaves]
        return labels, eithers
