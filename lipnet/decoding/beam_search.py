"""CTC prefix beam search, with or without a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from lipnet.decoding.base import Floats, Hypothesis, Integers, unpad
from lipnet.decoding.forced_alignment import ranked_hypotheses
from lipnet.tokenizer import BLANK, Tokenizer


class LMScorer(Protocol):
    """Scores texts while a beam search builds them.

    A scorer is an automaton over characters: its states are integers, 0 being that of the empty text.
    Scores are natural logarithms that the search adds to those of CTC; -inf forbids an extension or an end.
    K is the number of states asked for, V that of the symbols with the blank.
    """

    def reset(self) -> None:
        """Called before each clip; states of earlier clips lose their meaning."""
        ...

    def extend_scores(self, states: Integers) -> Floats:
        """(K, V): score of appending each symbol; the blank's column is ignored."""
        ...

    def next_states(self, states: Integers, symbols: Integers) -> Integers:
        """(K,): state after appending ``symbols[k]`` in ``states[k]``; forbidden pairs are not asked for."""
        ...

    def end_scores(self, states: Integers) -> Floats:
        """(K,): score of ending the text."""
        ...


class UniformScorer:
    """Scores every text with 0."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.vocab_size = tokenizer.vocab_size

    def reset(self) -> None:
        pass

    def extend_scores(self, states: Integers) -> Floats:
        return np.zeros((len(states), self.vocab_size))

    def next_states(self, states: Integers, symbols: Integers) -> Integers:
        return states

    def end_scores(self, states: Integers) -> Floats:
        return np.zeros(len(states))


class BeamSearchDecoder:
    """CTC prefix beam search (Graves 2012, section 7.5; Hannun et al. 2014).

    The score of a hypothesis is the log-probability of its text, summed over the alignments that stayed in
    the beam, plus the scorer's score of the text. With a beam wide enough for all prefixes the search is
    exact. If the scorer allows no text in the beam, the result is the empty text with a score of -inf.
    """

    def __init__(
        self, tokenizer: Tokenizer, width: int = 200, n_best: int = 1, scorer: LMScorer | None = None
    ) -> None:
        """``width``: prefixes kept after each step. ``n_best``: maximal number of hypotheses a clip."""
        self.tokenizer = tokenizer
        self.width = width
        self.n_best = n_best
        self.scorer = scorer or UniformScorer(tokenizer)

    def __call__(
        self, log_probs: ArrayLike, lengths: ArrayLike, word_log_probs: ArrayLike | None = None
    ) -> list[list[Hypothesis]]:
        return [self._decode(clip) for clip in unpad(log_probs, lengths)]

    def _decode(self, log_probs: Floats) -> list[Hypothesis]:
        self.scorer.reset()
        trie = _PrefixTree(1 + len(log_probs) * self.width, self.tokenizer.vocab_size)
        root = np.array([_PrefixTree.ROOT])
        beam = _Beam(root, np.zeros(1), np.array([-np.inf]), np.zeros(1, dtype=np.int64), np.zeros(1))
        for step in log_probs:
            beam = self._step(beam, step, trie)
        scores = beam.ctc_scores + beam.lm_scores + self.scorer.end_scores(beam.states)
        best = [i for i in np.argsort(-scores)[: self.n_best] if scores[i] > -np.inf]
        ranking = [(self.tokenizer.decode(trie.labels(beam.nodes[i])), float(scores[i])) for i in best]
        return ranked_hypotheses(log_probs, ranking, self.tokenizer)

    def _step(self, beam: _Beam, step: Floats, trie: _PrefixTree) -> _Beam:
        """The beam after one more step, whose log-probabilities are (V,)."""
        nodes, ctc_scores, last = beam.nodes, beam.ctc_scores, trie.symbol[beam.nodes]
        # A prefix is unchanged by a blank or by a repeat of its last symbol (the empty prefix has none).
        blank, nonblank = ctc_scores + step[BLANK], beam.nonblank + step[last]

        # (K, V): a prefix extended by each symbol. Its own last symbol must come after a blank.
        candidates = ctc_scores[:, None] + step
        candidates[np.arange(len(nodes)), last] = beam.blank + step[last]

        # An extension that equals another prefix of the beam is added to that prefix.
        child, parent = trie.children_within(nodes)
        nonblank[child] = np.logaddexp(nonblank[child], candidates[parent, last[child]])
        candidates[parent, last[child]] = -np.inf

        # A blank does not extend, so its column holds the unchanged prefixes.
        candidates[:, BLANK] = np.logaddexp(blank, nonblank)
        lm_scores = beam.lm_scores[:, None] + self.scorer.extend_scores(beam.states)
        lm_scores[:, BLANK] = beam.lm_scores
        row, symbol = np.divmod(_top_k((candidates + lm_scores).ravel(), self.width), candidates.shape[1])
        is_extended = symbol != BLANK
        new_nodes, new_states = nodes[row], beam.states[row]
        new_nodes[is_extended] = trie.append(new_nodes[is_extended], symbol[is_extended])
        new_states[is_extended] = self.scorer.next_states(new_states[is_extended], symbol[is_extended])
        return _Beam(
            nodes=new_nodes,
            blank=np.where(is_extended, -np.inf, blank[row]),
            nonblank=np.where(is_extended, candidates[row, symbol], nonblank[row]),
            states=new_states,
            lm_scores=lm_scores[row, symbol],
        )


@dataclass(frozen=True)
class _Beam:
    """K prefixes."""

    nodes: Integers  # (K,) nodes of the prefix tree
    blank: Floats  # (K,) log-probability of all paths that end in a blank
    nonblank: Floats  # (K,) log-probability of all paths that end in the prefix's last symbol
    states: Integers  # (K,) states of the scorer
    lm_scores: Floats  # (K,) scores by the scorer

    @property
    def ctc_scores(self) -> Floats:
        return np.logaddexp(self.blank, self.nonblank)


class _PrefixTree:
    """Label sequences as integer nodes: a node is its parent's sequence followed by its symbol."""

    ROOT = 0

    def __init__(self, capacity: int, vocab_size: int) -> None:
        self.size = 1
        self.parent = np.zeros(capacity, dtype=np.int64)
        self.symbol = np.full(capacity, BLANK, dtype=np.int64)
        self.child = np.zeros((capacity, vocab_size), dtype=np.int32)  # 0: no child, since 0 is the root

    def append(self, nodes: Integers, symbols: Integers) -> Integers:
        """The child of each node by each symbol, created where there is none. All pairs must be distinct."""
        children = self.child[nodes, symbols].astype(np.int64)
        new = np.flatnonzero(children == 0)
        children[new] = np.arange(self.size, self.size + len(new))
        self.child[nodes[new], symbols[new]] = children[new]
        self.parent[children[new]] = nodes[new]
        self.symbol[children[new]] = symbols[new]
        self.size += len(new)
        return children

    def children_within(self, nodes: Integers) -> tuple[Integers, Integers]:
        """Positions in ``nodes`` of those whose parent is in ``nodes``, too, and positions of the parents."""
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


def _top_k(values: Floats, k: int) -> Integers:
    """Indices of the ``k`` largest values, unsorted and without those of -inf."""
    indices = np.argpartition(-values, k)[:k] if len(values) > k else np.arange(len(values))
    return indices[values[indices] > -np.inf]
