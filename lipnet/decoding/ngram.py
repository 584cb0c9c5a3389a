"""Back-off n-gram language models, estimated from sentences (``arpa.py`` keeps them in files).

A model is over string tokens, be they words or characters; ``list(sentence)`` is a sentence of a character
model. Sentences begin with ``<s>``, which is only ever a context, and end with ``</s>``, which is predicted
like any token. Logarithms are natural.
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
    """A language model that cannot be estimated, written or read."""


@dataclass(frozen=True)
class NGram:
    """A back-off n-gram model. Every token of every n-gram is a unigram too."""

    order: int
    probabilities: dict[Tokens, float]  # natural log of each n-gram's last token after the others
    backoffs: dict[Tokens, float]  # natural log of contexts' weights; one that is absent is 0

    @cached_property
    def vocabulary(self) -> Tokens:
        """What can be predicted, sorted: all unigrams but ``<s>``, with ``</s>``."""
        return tuple(
            sorted(ngram[0] for ngram in self.probabilities if len(ngram) == 1 and ngram[0] != START)
        )

    def log_prob(self, context: Tokens, token: str) -> float:
        """Natural log-probability of ``token`` after ``context``, whose last ``order - 1`` tokens count.

        Tokens that are no unigrams are read as ``<unk>`` if the model has it, and are impossible (-inf) else.
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
        """The longest end of ``history`` that can matter to what follows, at most ``order - 1`` tokens.

        It serves as state of an automaton: ``log_prob`` after it is that after ``history``, and the context
        of it and a further token is that of ``history`` and the token. Unknown tokens are ``<unk>`` in it.
        """
        recent = self._known(self._recent(history))
        for start in range(len(recent)):
            if recent[start:] in self._contexts:
                return recent[start:]
        return ()

    def sentence_log_prob(self, sentence: Sequence[str]) -> float:
        """Natural log-probability of the sentence's tokens, given without marks, and of its end."""
        tokens = (START, *sentence, END)
        first = (max(0, i - self.order + 1) for i in range(1, len(tokens)))
        return sum(self.log_prob(tokens[j:i], tokens[i]) for i, j in enumerate(first, start=1))

    @cached_property
    def _contexts(self) -> set[Tokens]:
        """What longer n-grams begin with, and what has a back-off weight (in pruned models, others too).

        With each of them its own beginnings, so that a state is found from the one before it.
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
    """Whether every token is a single character, marks such as ``</s>`` and ``<unk>`` aside."""
    return all(
        len(token) == 1 or (token.startswith("<") and token.endswith(">")) for token in model.vocabulary
    )


def perplexity(model: NGram, sentences: Iterable[Sequence[str]]) -> float:
    """Perplexity a token, the ends of sentences being tokens; infinite where one of them is impossible."""
    log_prob, tokens = 0.0, 0
    for sentence in sentences:
        log_prob += model.sentence_log_prob(sentence)
        tokens += len(sentence) + 1
    return math.exp(-log_prob / max(tokens, 1))


def estimate(sentences: Iterable[Sequence[str]], order: int, vocabulary: Iterable[str] = ()) -> NGram:
    """Interpolated Kneser-Ney (Kneser & Ney 1995) with modified discounts (Chen & Goodman 1999).

    Below the highest order an n-gram counts by the distinct tokens in front of it, or by its occurrences
    where it begins with ``<s>``. Each order has discounts of its own (``_discounts``). Unigrams are
    interpolated with the uniform distribution over all tokens, ``</s>`` and those of ``vocabulary``.

    Args:
        sentences: tokens without marks; a string is a sentence of characters.
        vocabulary: tokens that get a probability though no sentence may hold them.

    Raises:
        NGramError: the order is below 1, there are no sentences, or one holds ``<s>`` or ``</s>``.
    """
    if order < 1:
        raise NGramError(f"order {order} of a language model: give 1 or more")
    raw = _occurrences(sentences, order)
    if not raw[0]:
        raise NGramError("no sentences to estimate a language model from: give one or more")
    levels = _kneser_ney_counts(raw)
    levels[0].update({(token,): 0 for token in vocabulary if token != START})
    probabilities: dict[Tokens, float] = {(START,): -math.inf}
    backoffs: dict[Tokens, float] = {}
    shorter: dict[Tokens, float] = {(): 1 / len(levels[0])}  # the uniform distribution, as of order 0
    for counts in levels:
        shorter, shares = _interpolate(counts, shorter)
        probabilities |= {ngram: math.log(value) for ngram, value in shorter.items()}
        backoffs |= {context: math.log(share) for context, share in shares.items() if context}
    return NGram(order, probabilities, backoffs)


def _occurrences(sentences: Iterable[Sequence[str]], order: int) -> list[Counter[Tokens]]:
    """How often each n-gram occurs, for lengths 1 ... ``order``; ``<s>`` alone is left out."""
    counts: list[Counter[Tokens]] = [Counter() for _ in range(order)]
    for number, sentence in enumerate(sentences, start=1):
        for mark in (START, END):
            if mark in tuple(sentence):  # as a token: a string may spell it
                raise NGramError(f"sentence {number} holds the token {mark!r}, which is implied: take it out")
        tokens = (START, *sentence, END)
        for length, counter in enumerate(counts, start=1):
            first = 1 if length == 1 else 0
            counter.update(tokens[i : i + length] for i in range(first, len(tokens) - length + 1))
    return counts


def _kneser_ney_counts(raw: Sequence[Counter[Tokens]]) -> list[Counter[Tokens]]:
    """The counts that Kneser-Ney takes at each length, from the occurrences."""
    levels = []
    for counts, longer in pairwise(raw):
        level = Counter(ngram[1:] for ngram in longer)
        level.update({ngram: count for ngram, count in counts.items() if ngram[0] == START})
        levels.append(level)
    return [*levels, Counter(raw[-1])]


def _interpolate(
    counts: Mapping[Tokens, int], shorter: Mapping[Tokens, float]
) -> tuple[dict[Tokens, float], dict[Tokens, float]]:
    """Probabilities of n-grams by those of their ends (``shorter``), and for each context the ends' share."""
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
    """What is taken from counts of 0, 1, 2, and 3 or more.

    With n1 ... n4 n-grams of counts 1 ... 4 these are Chen and Goodman's D1, D2 and D3+. Few tokens, such as
    the letters, may leave one of n1 ... n4 at 0 or make a discount negative: then n1 / (n1 + 2 n2) is taken
    from all counts, or where n1 or n2 is 0, one half.
    """
    sizes = Counter(counts.values())
    n1, n2, n3, n4 = (sizes[count] for count in (1, 2, 3, 4))
    if not n1 or not n2:
        return 0.0, 0.5, 0.5, 0.5
    single = n1 / (n1 + 2 * n2)
    if n3 and n4:
        second, third = 2 - 3 * single * n3 / n2, 3 - 4 * single * n4 / n3
        if second > 0 and third > 0:
            return 0.0, single, second, third  # D1 = 1 - 2 Y n2 / n1 is n1 / (n1 + 2 n2) as well
    return 0.0, single, single, single
