"""The most probable sentence of a grammar: CTC and the word heads' evidence, each summed over all alignments.

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
from torch import Tensor

from lipnet.decode import DecodeError, Floats, Hypothesis, align
from lipnet.grid import GRAMMAR, WORDS
from lipnet.text import BLANK, Alphabet, normalize

Slots = Sequence[Sequence[str]]

GRID_SLOTS: Slots = tuple(tuple(slot.words.values()) for slot in GRAMMAR)
MAX_SENTENCES = 5_000_000  # so many scores take 40 MB
WORD_WEIGHT = 1.0  # of the word heads' log-probability beside that of CTC; chosen on GRID's two dev lists


class SlotDecoder:
    """The best sentences of a slot grammar.

    The score is CTC's log-probability of the sentence; with the word heads' evidence, plus ``WORD_WEIGHT``
    times that of its words, as far as the heads know all words of the grammar. Both are sums over all
    alignments. A character's step comes from the best CTC alignment.
    """

    def __init__(self, alphabet: Alphabet, slots: Slots = GRID_SLOTS, n_best: int = 1) -> None:
        """Raises DecodeError on a grammar of too many sentences, TextError on one that cannot be spelled."""
        if math.prod(map(len, slots)) > MAX_SENTENCES:
            raise DecodeError(
                f"the grammar has {math.prod(map(len, slots)):,} sentences, more than {MAX_SENTENCES:,}: "
                "give a plain list of its words instead"
            )
        self.alphabet, self.n_best = alphabet, n_best
        cut = min(
            range(len(slots)), key=lambda k: math.prod(map(len, slots[:k])) + math.prod(map(len, slots[k:]))
        )
        firsts, seconds = list(product(*slots[:cut])), list(product(*slots[cut:]))
        self.firsts = [" ".join(words) + " " * bool(words) for words in firsts]
        self.seconds = [" ".join(words) for words in seconds]
        self.spelling = _Halves(map(alphabet.encode, self.firsts), map(alphabet.encode, self.seconds))
        classes = {word: index for index, word in enumerate(WORDS, start=1)}
        self.words = None
        if all(word in classes for slot in slots for word in slot):
            self.words = _Halves(
                ([classes[word] for word in words] for words in firsts),
                ([classes[word] for word in words] for words in seconds),
                joins_repeats=True,
            )

    def __call__(
        self, log_probs: Tensor, lengths: Tensor, word_log_probs: Tensor | None = None
    ) -> list[list[Hypothesis]]:
        clips = []
        rate = 1 if word_log_probs is None else log_probs.shape[1] // word_log_probs.shape[1]
        for i, length in enumerate(lengths.tolist()):
            words = None if word_log_probs is None else word_log_probs[i, : length // rate].double().numpy()
            clips.append(self._decode(log_probs[i, :length].double().numpy(), words))
        return clips

    def _decode(self, log_probs: Floats, word_log_probs: Floats | None) -> list[Hypothesis]:
        scores = self.scores(log_probs, word_log_probs).ravel()
        best = np.argsort(-scores)[: self.n_best]
        return [self._hypothesis(index, scores[index], log_probs) for index in best]

    def _hypothesis(self, index: int, score: float, log_probs: Floats) -> Hypothesis:
        first, second = divmod(int(index), len(self.seconds))
        text = self.firsts[first] + self.seconds[second]
        if score == -np.inf:
            return Hypothesis("", score, [])
        return Hypothesis(text, float(score), align(log_probs, self.alphabet.encode(text)))

    def scores(self, log_probs: Floats, word_log_probs: Floats | None = None) -> Floats:
        """Scores of all sentences: (first halves, second halves), natural logarithms."""
        scores = self.spelling.log_probabilities(np.exp(log_probs))
        if self.words is not None and word_log_probs is not None:
            scores = scores + WORD_WEIGHT * self.words.log_probabilities(np.exp(word_log_probs))
        return scores


def read_grammar(path: Path, alphabet: Alphabet) -> Slots | frozenset[str]:
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
    if slots and isinstance(slots, list) and all(map(_is_slot, slots)):
        return [list(dict.fromkeys(normalize(word, alphabet) for word in slot)) for slot in slots]
    if _is_slot(content):
        return frozenset(normalize(word, alphabet) for word in content)
    raise DecodeError(f"{path}: no grammar; list the words of each slot, or simply words")


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
        """(first halves, second halves), of ``frames`` (T, labels): the sum over all alignments."""
        if not len(frames):
            return np.full((len(self.forward.leaves), len(self.backward.leaves)), -np.inf)
        back_label, back_blank, back_scale = self.backward.probabilities(frames[::-1])
        if not self.forward.depth:  # the one first half is the empty one
            return _log(back_label[:, -1] + back_blank[:, -1])[None] + back_scale[-1]
        label, _, scale = self.forward.probabilities(frames)
        # A first half ends in frame t with its last label, and the second half has the frames after it.
        after = (back_label + back_blank)[:, ::-1][:, 1:]  # (seconds, T - 1)
        weights = scale[:-1] + back_scale[::-1][1:]
        largest = weights.max(initial=-np.inf)
        joint = (label[:, :-1] * np.exp(weights - largest)) @ after.T
        return _log(joint) + largest


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
        self.labels, self.parents, self.leaves = np.array(labels), np.array(parents), np.array(leaves)
        differs = self.labels != self.labels[self.parents]
        self.skips = np.where(differs | joins_repeats, 1.0, 0.0)
        self.skips[0] = 0.0

    def probabilities(self, frames: Floats) -> tuple[Floats, Floats, Floats]:
        """Of every sequence and after every frame: the paths that have just spelled it.

        Returns:
            Those that end in the last label, (sequences, T); those that end in a blank after it, the same;
            and the logarithms of the scales (T,) by which both are to be multiplied.
        """
        label, blank = np.zeros(len(self.labels)), np.zeros(len(self.labels))
        blank[0] = 1.0  # before the first frame: as if a blank had been seen
        labels, blanks = np.empty((2, len(frames), len(self.leaves)))
        scales = np.empty(len(frames))
        scale = 0.0
        for t, frame in enumerate(frames):
            entering = blank[self.parents] + self.skips * label[self.parents]
            entering[0] = 0.0
            blank, label = frame[BLANK] * (blank + label), frame[self.labels] * (label + entering)
            label[0] = 0.0
            largest = max(blank.max(), label.max(), 1e-300)
            blank /= largest
            label /= largest
            scale += math.log(largest)
            labels[t], blanks[t], scales[t] = label[self.leaves], blank[self.leaves], scale
        return labels.T, blanks.T, scales


def _log(values: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(values)
