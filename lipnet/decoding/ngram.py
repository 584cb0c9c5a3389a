"""Back-off n-gram language models and their estimation by Kneser-Ney smoothing.

Tokens are strings, words or single characters; a string is a sentence of a character model. ``<s>`` precedes
each sentence and is never predicted; ``</s>`` ends it and is predicted like any token. All logarithms are
natural. ``arpa.py`` reads and writes the models.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from lipnet.errors import LipnetError

START, END, UNKNOWN = "<s>", "</s>", "<unk>"

Tokens = tuple[str, ...]


class NGramError(LipnetError):
    """A language model cannot be estimated, written or read."""


@dataclass(frozen=True)
class NGram:
    """A back-off n-gram model. Each token of an n-gram must be a unigram of the model.

    Attributes:
        order: length of the longest n-grams.
        probabilities: n-gram -> natural log-probability of its last token after the others.
        backoffs: context -> natural logarithm of its back-off weight; 0 if missing.
    """

    order: int
    probabilities: dict[Tokens, float]
    backoffs: dict[Tokens, float]

    @cached_property
    def vocabulary(self) -> Tokens:
        """All tokens that can be predicted, sorted: the unigrams without ``<s>`` and with ``</s>``."""
        return tuple(
            sorted(ngram[0] for ngram in self.probabilities if len(ngram) == 1 and ngram[0] != START)
        )

    def log_prob(self, context: Tokens, token: str) -> float:
        """Natural log-probability of ``token`` after ``context``.

        Only the last ``order - 1`` tokens of the context count. Unknown tokens are replaced by ``<unk>`` if
        the model has it, else they are impossible (-inf).
        """
        ngram = self._known((*self._recent(context), token))
        backoff = 0.0
        for start in range(len(ngram)):
            rest = ngram[start:]
            if rest in self.probabilities:
                return backoff + self.probabilities[rest]
            backoff += self.backoffs.get(rest[:-1], 0.0)
        return -math.inf

    def context(self, history: Tokens) -> Tokens:
        """The suffix of ``history`` that determines the probabilities of all that follows.

        It has at most ``order - 1`` tokens, with ``<unk>`` for unknown ones, and can be the state of an
        automaton: ``log_prob`` gives the same after it as after ``history``, and so do the contexts of both
        with one more token appended.
        """
        recent = self._known(self._recent(history))
        for start in range(len(recent)):
            if recent[start:] in self._contexts:
                return recent[start:]
        return ()

    def sentence_log_prob(self, sentence: Sequence[str]) -> float:
        """Natural log-probability of a sentence, given without ``<s>`` and ``</s>``, and of its end."""
        tokens = (START, *sentence, END)
        first = (max(0, i - self.order + 1) for i in range(1, len(tokens)))
        return sum(self.log_prob(tokens[j:i], tokens[i]) for i, j in enumerate(first, start=1))

    @cached_property
    def _contexts(self) -> set[Tokens]:
        """The prefixes of all n-grams, and all contexts with a back-off weight.

        In pruned models a context may have no n-gram or weight for its prefix. The prefix is added, because
        the state of a history is found from the state one token earlier.
        """
        contexts: set[Tokens] = set()
        weighted = (context for context, weight in self.backoffs.items() if weight)
        for context in (*(ngram[:-1] for ngram in self.probabilities), *weighted):
            while context and context not in contexts:
                contexts.add(context)
                context = context[:-1]
        return contexts

    def _recent(self, history: Tokens) -> Tokens:
        return history[max(0, len(history) - self.order + 1) :]

    def _known(self, tokens: Tokens) -> Tokens:
        if (UNKNOWN,) not in self.probabilities:
            return tokens
        return tuple(token if (token,) in self.probabilities else UNKNOWN for token in tokens)


def is_character_model(model: NGram) -> bool:
    """Whether all tokens are single characters, except for those like ``</s>`` and ``<unk>``."""
    return all(
        len(token) == 1 or (token.startswith("<") and token.endswith(">")) for token in model.vocabulary
    )


def perplexity(model: NGram, sentences: Iterable[Sequence[str]]) -> float:
    """Perplexity per token, with ``</s>`` as a token; infinite if a sentence is impossible."""
    log_prob, tokens = 0.0, 0
    for sentence in sentences:
        log_prob += model.sentence_log_prob(sentence)
        tokens += len(sentence) + 1
    return math.exp(-log_prob / max(tokens, 1))


def estimate(sentences: Iterable[Sequence[str]], order: int, vocabulary: Iterable[str] = ()) -> NGram:
    """Interpolated Kneser-Ney (Kneser & Ney 1995) with modified discounts (Chen & Goodman 1999).

    The count of an n-gram below the highest order is the number of distinct tokens before it, or that of its
    occurrences if it starts with ``<s>``. Each order has its own discounts (``_discounts``). Unigrams are
    interpolated with the uniform distribution over all tokens, with ``</s>`` and those of ``vocabulary``.

    Args:
        sentences: tokens, without ``<s>`` and ``</s>``; a string is a sentence of characters.
        order: length of the longest n-grams.
        vocabulary: tokens that get a probability even if they occur in no sentence.

    Raises:
        NGramError: the order is below 1, there are no sentences, or one contains ``<s>`` or ``</s>``.
    """
    if order < 1:
        raise NGramError(f"language model of order {order}: give 1 or more")
    raw = _occurrences(sentences, order)
    if not raw[0]:
        raise NGramError("no sentences to estimate a language model from: give one or more")
    levels = _kneser_ney_counts(raw)
    levels[0].update({(token,): 0 for token in vocabulary if token != START})
    probabilities: dict[Tokens, float] = {(START,): -math.inf}
    backoffs: dict[Tokens, float] = {}
    shorter: dict[Tokens, float] = {(): 1 / len(levels[0])}  # order 0: the uniform distribution
    for counts in levels:
        shorter, shares = _interpolate(counts, shorter)
        probabilities |= {ngram: math.log(value) for ngram, value in shorter.items()}
        backoffs |= {context: math.log(share) for context, share in shares.items() if context}
    return NGram(order, probabilities, backoffs)


def _occurrences(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[Tokens]]:
    """Occurrences of each n-gram, for the lengths 1 to ``order``; the unigram ``<s>`` is left out."""
    counts: list[Counter[Tokens]] = [Counter() for _ in range(order)]
    for number, sentence in enumerate(sentences, start=1):
        for mark in (START, END):
            if mark in tuple(sentence):  # as a token; the characters of a string may spell it
                raise NGramError(f"sentence {number} has the token {mark!r}, which is implied: remove it")
        tokens = (START, *sentence, END)
        for length, counter in enumerate(counts, start=1):
            first = 1 if length == 1 else 0
            counter.update(tokens[i : i + length] for i in range(first, len(tokens) - length + 1))
    return counts


def _kneser_ney_counts(raw: Sequence[Counter[Tokens]]) -> list[Counter[Tokens]]:
    """The Kneser-Ney counts of each length, from the numbers of occurrences."""
    levels = []
    for counts, longer in pairwise(raw):
        level = Counter(ngram[1:] for ngram in longer)
        level.update({ngram: count for ngram, count in counts.items() if ngram[0] == START})
        levels.append(level)
    return [*levels, Counter(raw[-1])]


def _interpolate(
    counts: Mapping[Tokens, int], shorter: Mapping[Tokens, float]
) -> tuple[dict[Tokens, float], dict[Tokens, float]]:
    """Interpolate the n-grams of one length with the next shorter ones.

    Args:
        counts: Kneser-Ney counts of the n-grams.
        shorter: probabilities of the n-grams without their first token.

    Returns:
        The probability of each n-gram, and for each context the weight of the shorter n-grams.
    """
    discounts = _discounts(counts)
    totals: Counter[Tokens] = Counter()
    freed: dict[Tokens, float] = {}
    for ngram, count in counts.items():
        context = ngram[:-1]
        totals[context] += count
        freed[context] = freed.get(context, 0.0) + discounts[min(count, 3)]
    shares = {context: freed[context] / total for context, total in totals.items()}
    probabilities = {}
    for ngram, count in counts.items():
        context = ngram[:-1]
        own = (count - discounts[min(count, 3)]) / totals[context]
        probabilities[ngram] = own + shares[context] * shorter[ngram[1:]]
    return probabilities, shares


def _discounts(counts: Mapping[Tokens, int]) -> tuple[float, float, float, float]:
    """The amounts to subtract from counts of 0, 1, 2, and 3 or more.

    They are D1, D2 and D3+ of Chen & Goodman (1999), from the numbers n1 ... n4 of n-grams with the counts
    1 ... 4. With few distinct tokens, such as letters, one of n1 ... n4 can be 0 or a discount negative. Then
    all counts have the discount n1 / (n1 + 2 n2), or one half if n1 or n2 is 0.
    """
    sizes = Counter(counts.values())
    n1, n2, n3, n4 = (sizes[count] for count in (1, 2, 3, 4))
    if not n1 or not n2:
        return 0.0, 0.5, 0.5, 0.5
    single = n1 / (n1 + 2 * n2)
    if n3 and n4:
        second, third = 2 - 3 * single * n3 / n2, 3 - 4 * single * n4 / n3
        if second > 0 and third > 0:
            return 0.0, single, second, third  # D1 = 1 - 2 Y n2 / n1 equals n1 / (n1 + 2 n2), too
    return 0.0, single, single, single
