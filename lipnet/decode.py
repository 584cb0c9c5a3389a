"""From the network's log-probabilities to text: greedy and prefix beam search.

Every decoder has one contract. It is called with

- ``log_probs``: float32 (B, T, V), natural logarithms that sum to 1 over V as probabilities;
- ``lengths``: int64 (B,), the number of real frames of each clip; the frames behind them are ignored;

and returns for each clip a list of hypotheses, best first and no text twice. V is ``alphabet.size``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lipnet.errors import LipnetError
from lipnet.text import BLANK, Alphabet

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class DecodeError(LipnetError):
    """An unknown decoder, or a text that cannot be aligned with a clip."""


@dataclass(frozen=True)
class Hypothesis:
    """What a clip may say: ``score`` is a natural log-probability, ``frames[i]`` where character i starts."""

    text: str
    score: float
    frames: list[int]


class Decoder(Protocol):
    """What every decoder is (the contract stands at the top of this file)."""

    def __call__(self, log_probs: Tensor, lengths: Tensor) -> list[list[Hypothesis]]: ...


class WordSpan(NamedTuple):
    """A word and the frames, both inclusive, in which its first and last character start."""

    word: str
    first: int
    last: int


def word_spans(hypothesis: Hypothesis) -> list[WordSpan]:
    """Split a hypothesis at its spaces."""
    spans = []
    start = 0
    for word in hypothesis.text.split(" "):
        if word:
            frames = hypothesis.frames[start : start + len(word)]
            spans.append(WordSpan(word, frames[0], frames[-1]))
        start += len(word) + 1
    return spans


class GreedyDecoder:
    """The best symbol of each frame, repeats merged and blanks dropped; one hypothesis a clip.

    The score is that of this one path. A character's frame is the first of its run.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet

    def __call__(self, log_probs: Tensor, lengths: Tensor) -> list[list[Hypothesis]]:
        scores, paths = log_probs.max(dim=2)
        clips = zip(scores.double().cpu().numpy(), paths.cpu().numpy(), lengths.tolist(), strict=True)
        return [[self._collapse(path[:length], score[:length])] for score, path, length in clips]

    def _collapse(self, path: Integers, score: Floats) -> Hypothesis:
        previous = np.concatenate(([BLANK], path[:-1]))
        frames = np.flatnonzero((path != BLANK) & (path != previous))
        return Hypothesis(self.alphabet.decode(path[frames]), float(score.sum()), frames.tolist())


class BeamDecoder:
    """CTC prefix beam search (Graves 2012, section 7.5; Hannun et al. 2014), without a language model.

    The score is the log-probability of the text summed over all its alignments, as far as the beam kept
    them; a beam wide enough for all prefixes makes the search exact. A character's frame comes from the
    best alignment of the whole text.

    ``width``: prefixes kept from frame to frame. ``n_best``: hypotheses returned for a clip, at most.
    """

    def __init__(self, alphabet: Alphabet, width: int = 200, n_best: int = 1) -> None:
        self.alphabet = alphabet
        self.width = width
        self.n_best = n_best

    def __call__(self, log_probs: Tensor, lengths: Tensor) -> list[list[Hypothesis]]:
        clips = zip(log_probs.double().cpu().numpy(), lengths.tolist(), strict=True)
        return [self._decode(clip[:length]) for clip, length in clips]

    def _decode(self, log_probs: Floats) -> list[Hypothesis]:
        trie = _Trie(1 + len(log_probs) * self.width, self.alphabet.size)
        beam = _Beam(nodes=np.array([_Trie.ROOT]), blank=np.zeros(1), nonblank=np.array([-np.inf]))
        for frame in log_probs:
            beam = self._step(beam, frame, trie)
        scores = beam.scores
        hypotheses = []
        for i in np.argsort(-scores)[: self.n_best]:
            labels = trie.labels(beam.nodes[i])
            frames = align(log_probs, labels)
            hypotheses.append(Hypothesis(self.alphabet.decode(labels), float(scores[i]), frames))
        return hypotheses

    def _step(self, beam: _Beam, frame: Floats, trie: _Trie) -> _Beam:
        """The beam of K prefixes, one frame of log-probabilities (V,) later."""
        nodes, scores, last = beam.nodes, beam.scores, trie.symbol[beam.nodes]
        # A prefix stays as it is by a blank or by holding its last character (the empty one has none).
        blank, nonblank = scores + frame[BLANK], beam.nonblank + frame[last]

        # (K, V): or a symbol is appended, after a blank if it equals the last one.
        candidates = scores[:, None] + frame
        candidates[np.arange(len(nodes)), last] = beam.blank + frame[last]

        # Appending may lead to a prefix that is in the beam already: the two ways there become one.
        child, parent = trie.children_within(nodes)
        nonblank[child] = np.logaddexp(nonblank[child], candidates[parent, last[child]])
        candidates[parent, last[child]] = -np.inf

        # The column of the blank, to which nothing was appended, is for the prefixes that stay.
        candidates[:, BLANK] = np.logaddexp(blank, nonblank)
        row, symbol = np.divmod(_largest(candidates.ravel(), self.width), candidates.shape[1])
        appended = symbol != BLANK
        kept = nodes[row]
        kept[appended] = trie.append(kept[appended], symbol[appended])
        return _Beam(
            nodes=kept,
            blank=np.where(appended, -np.inf, blank[row]),
            nonblank=np.where(appended, candidates[row, symbol], nonblank[row]),
        )


@dataclass(frozen=True)
class _Beam:
    """K prefixes: trie nodes and log-probabilities of the paths that end in a blank or in a character."""

    nodes: Integers  # (K,)
    blank: Floats  # (K,)
    nonblank: Floats  # (K,)

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


def align(log_probs: Floats, labels: Sequence[int]) -> list[int]:
    """Frame in which each label starts on the best CTC path that spells ``labels`` (Viterbi).

    ``log_probs``: (T, V), natural log; ``labels``: L indices without blanks. DecodeError if no path of T
    frames spells them: each label takes a frame, and a blank must part equal neighbours.
    """
    # States: blank, label 1, blank, label 2, ..., blank. Per frame one may stay, move on by one, or skip
    # the blank between two labels that differ.
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    can_skip = np.zeros(len(states), dtype=bool)
    can_skip[3::2] = states[3::2] != states[1:-2:2]

    scores = np.full(len(states), -np.inf)
    scores[0] = 0.0  # before the first frame: as if a blank had been seen
    moves = np.empty((len(log_probs), len(states)), dtype=np.int64)
    for t, frame in enumerate(log_probs):
        arrivals = np.full((3, len(states)), -np.inf)  # by staying, by one state, by two
        arrivals[0] = scores
        arrivals[1, 1:] = scores[:-1]
        arrivals[2, 2:] = np.where(can_skip[2:], scores[:-2], -np.inf)
        moves[t] = arrivals.argmax(axis=0)
        scores = arrivals.max(axis=0) + frame[states]

    ends = scores[-2:]  # the last label or the blank after it
    if ends.max() == -np.inf:
        raise DecodeError(f"{len(labels)} characters cannot be aligned with {len(log_probs)} frames")
    state = int(len(states) - len(ends) + ends.argmax())
    frames = []
    for t in range(len(log_probs) - 1, -1, -1):
        moved = int(moves[t, state])
        if moved and state % 2:
            frames.append(t)
        state -= moved
    return frames[::-1]


DECODERS: dict[str, Callable[[Alphabet], Decoder]] = {"greedy": GreedyDecoder, "beam": BeamDecoder}


def make_decoder(name: str, alphabet: Alphabet) -> Decoder:
    """The decoder called ``name``, one of ``DECODERS``."""
    if name not in DECODERS:
        raise DecodeError(f"unknown decoder {name!r}: choose one of {', '.join(DECODERS)}")
    return DECODERS[name](alphabet)
