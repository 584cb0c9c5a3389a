"""CTC prefix beam search, free or guided by a language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from lipnet.decoding.base import Floats, Hypothesis, Integers, unpad
from lipnet.decoding.forced_alignment import align
from lipnet.tokenizer import BLANK, Tokenizer


class Language(Protocol):
    """What is known of texts beside the video: an automaton whose states are integers, 0 the empty text.

    Weights are natural logarithms, added to the CTC score; -inf forbids. K states, V symbols with the blank.
    """

    def begin(self) -> None:
        """Called before each clip."""
        ...

    def appending(self, states: Integers) -> Floats:
        """(K, V): the weight of appending each symbol; the blank's column has no meaning."""
        ...

    def following(self, states: Integers, symbols: Integers) -> Integers:
        """(K,): the states that symbols lead to, each (state, symbol) being allowed."""
        ...

    def ending(self, states: Integers) -> Floats:
        """(K,): the weight of a text that ends there."""
        ...


class UniformScorer:
    """The language in which every text weighs the same."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.size = tokenizer.vocab_size

    def begin(self) -> None:
        pass

    def appending(self, states: Integers) -> Floats:
        return np.zeros((len(states), self.size))

    def following(self, states: Integers, symbols: Integers) -> Integers:
        return states

    def ending(self, states: Integers) -> Floats:
        return np.zeros(len(states))


class BeamSearchDecoder:
    """CTC prefix beam search (Graves 2012, section 7.5; Hannun et al. 2014).

    The score is the log-probability of the text summed over all its alignments, as far as the beam kept
    them, plus the language's weight of the text; a beam wide enough for all prefixes makes the search
    exact. A character's step comes from the best alignment of the whole text. Where the language allows
    no text that the beam holds, the one hypothesis is the empty text, and its score -inf.

    ``width``: prefixes kept from step to step. ``n_best``: hypotheses returned for a clip, at most.
    """

    def __init__(
        self, tokenizer: Tokenizer, width: int = 200, n_best: int = 1, language: Language | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self.width = width
        self.n_best = n_best
        self.language = language or UniformScorer(tokenizer)

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]:
        return [self._decode(clip) for clip in unpad(log_probs, lengths)]

    def _decode(self, log_probs: Floats) -> list[Hypothesis]:
        self.language.begin()
        trie = _Trie(1 + len(log_probs) * self.width, self.tokenizer.vocab_size)
        start = np.array([_Trie.ROOT])
        beam = _Beam(start, np.zeros(1), np.array([-np.inf]), np.zeros(1, dtype=np.int64), np.zeros(1))
        for step in log_probs:
            beam = self._step(beam, step, trie)
        scores = beam.scores + beam.weights + self.language.ending(beam.states)
        ranked = [(trie.labels(beam.nodes[i]), float(scores[i])) for i in np.argsort(-scores)[: self.n_best]]
        possible = [(labels, score) for labels, score in ranked if score > -np.inf] or [([], -np.inf)]
        alignment = align(log_probs, possible[0][0])
        return [
            Hypothesis(self.tokenizer.decode(labels), score, None if rank else alignment)
            for rank, (labels, score) in enumerate(possible)
        ]

    def _step(self, beam: _Beam, step: Floats, trie: _Trie) -> _Beam:
        """The beam of K prefixes, one step of log-probabilities (V,) later."""
        nodes, scores, last = beam.nodes, beam.scores, trie.symbol[beam.nodes]
        # A prefix stays as it is by a blank or by holding its last character (the empty one has none).
        blank, nonblank = scores + step[BLANK], beam.nonblank + step[last]

        # (K, V): or a symbol is appended, after a blank if it equals the last one.
        candidates = scores[:, None] + step
        candidates[np.arange(len(nodes)), last] = beam.blank + step[last]

        # Appending may lead to a prefix that is in the beam already: the two ways there become one.
        child, parent = trie.children_within(nodes)
        nonblank[child] = np.logaddexp(nonblank[child], candidates[parent, last[child]])
        candidates[parent, last[child]] = -np.inf

        # The column of the blank, to which nothing was appended, is for the prefixes that stay.
        candidates[:, BLANK] = np.logaddexp(blank, nonblank)
        weights = beam.weights[:, None] + self.language.appending(beam.states)
        weights[:, BLANK] = beam.weights
        best = _largest((candidates + weights).ravel(), self.width)
        row, symbol = np.divmod(best, candidates.shape[1])
        appended = symbol != BLANK
        kept, states = nodes[row], beam.states[row]
        kept[appended] = trie.append(kept[appended], symbol[appended])
        states[appended] = self.language.following(states[appended], symbol[appended])
        return _Beam(
            nodes=kept,
            blank=np.where(appended, -np.inf, blank[row]),
            nonblank=np.where(appended, candidates[row, symbol], nonblank[row]),
            states=states,
            weights=weights[row, symbol],
        )


@dataclass(frozen=True)
class _Beam:
    """K prefixes: trie nodes, log-probabilities of the paths that end in a blank or in a character, and
    the language's states and weights."""

    nodes: Integers  # (K,)
    blank: Floats  # (K,)
    nonblank: Floats  # (K,)
    states: Integers  # (K,)
    weights: Floats  # (K,)

    @property
    def scores(self) -> Floats:
        return np.logaddexp(self.blank, self.nonblank)


class _Trie:
    """Label sequences as integers: a node is its parent's sequence and one more symbol."""

    ROOT = 0

    def __init__(self, capacity: int, symbols: int) -> None:
        self.size = 1
        self.parent = np.zeros(capacity, dtype=np.int64)
        self.symbol = np.full(capacity, BLANK, dtype=np.int64)
        self.child = np.zeros((capacity, symbols), dtype=np.int32)  # 0: none yet, as the root is no child

    def append(self, nodes: Integers, symbols: Integers) -> Integers:
        """The child of each node by each symbol (no pair twice), made where there is none."""
        children = self.child[nodes, symbols].astype(np.int64)
        new = np.flatnonzero(children == 0)
        children[new] = np.arange(self.size, self.size + len(new))
        self.child[nodes[new], symbols[new]] = children[new]
        self.parent[children[new]] = nodes[new]
        self.symbol[children[new]] = symbols[new]
        self.size += len(new)
        return children

    def children_within(self, nodes: Integers) -> tuple[Integers, Integers]:
        """Positions in ``nodes`` of those whose parent is among ``nodes`` too, and of that parent."""
        position = np.full(self.size, -1)
        position[nodes] = np.arange(len(nodes))
        parents = np.where(nodes == self.ROOT, -1, position[self.parent[nodes]])
        children = np.flatnonzero(parents >= 0)
        return children, parents[children]

    def labels(self, node: int) -> list[int]:
        """The symbols from the root to ``node``."""
        labels = []
        while node != self.ROOT:
            labels.append(int(self.symbol[node]))
            node = self.parent[node]
        return labels[::-1]


def _largest(values: Floats, count: int) -> Integers:
    """Indices of the ``count`` largest values, in no order; impossible ones (-inf) are left out."""
    indices = np.argpartition(-values, count)[:count] if len(values) > count else np.arange(len(values))
    return indices[values[indices] > -np.inf]
