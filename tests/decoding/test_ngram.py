"""n-gram models against Kneser-Ney's formula, computed by hand and by brute force."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path

import pytest
from language_models import HAND_WRITTEN, SENTENCES, WORDS, hand_written, histories

from lipnet.decoding.ngram import NGram, NGramError, estimate, is_character_model, perplexity
from lipnet.errors import LipnetError
from lipnet.tokenizer import DEFAULT_TOKENIZER

LN10 = math.log(10)


class Reference:
    """Interpolated Kneser-Ney by its formula, with all counts taken directly from the sentences."""

    def __init__(
        self, sentences: Sequence[Sequence[str]], order: int, vocabulary: Sequence[str] = ()
    ) -> None:
        self.order = order
        self.padded = [("<s>", *sentence, "</s>") for sentence in sentences]
        self.tokens = sorted({t for padded in self.padded for t in padded[1:]} | set(vocabulary))
        self.occurrences = {k: Counter(self._all(k)) for k in range(1, order + 1)}
        self.probability = lru_cache(maxsize=None)(self._probability)
        self.count = lru_cache(maxsize=None)(self._count)
        self.discounts = lru_cache(maxsize=None)(self._discounts)

    def _all(self, k: int) -> list[tuple[str, ...]]:
        return [padded[i : i + k] for padded in self.padded for i in range(len(padded) - k + 1)]

    def _count(self, ngram: tuple[str, ...]) -> int:
        """Occurrences at the highest order and after <s>, else the number of distinct tokens before it."""
        if len(ngram) == self.order or ngram[0] == "<s>":
            return self.occurrences[len(ngram)][ngram]
        return sum(longer[1:] == ngram for longer in self.occurrences[len(ngram) + 1])

    def _discounts(self, k: int) -> tuple[float, float, float]:
        seen = [self.count(ngram) for ngram in self.occurrences[k] if ngram != ("<s>",)]
        n1, n2, n3, n4 = (seen.count(times) for times in (1, 2, 3, 4))
        if n1 and n2 and n3 and n4:
            y = n1 / (n1 + 2 * n2)
            d1, d2, d3 = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
            if d2 > 0 and d3 > 0:
                return d1, d2, d3
        if n1 and n2:
            return (n1 / (n1 + 2 * n2),) * 3
        return (0.5,) * 3

    def _probability(self, context: tuple[str, ...], token: str) -> float:
        context = context[max(0, len(context) - self.order + 1) :]
        shorter = self.probability(context[1:], token) if context else 1 / len(self.tokens)
        counts = [self.count((*context, other)) for other in self.tokens]
        if not any(counts):
            return shorter
        d1, d2, d3 = self.discounts(len(context) + 1)
        mine = self.count((*context, token))
        discount = 0 if mine == 0 else d1 if mine == 1 else d2 if mine == 2 else d3
        freed = d1 * counts.count(1) + d2 * counts.count(2) + d3 * sum(c >= 3 for c in counts)
        return (mine - discount) / sum(counts) + freed / sum(counts) * shorter


def probability(model: NGram, context: str | tuple[str, ...], token: str) -> float:
    return math.exp(model.log_prob(tuple(context), token))


# Estimation


def test_bigram_by_hand() -> None:
    model = estimate(["ab", "a"], order=2)
    # Bigrams: <s>a twice; ab, b</s> and a</s> once. n1 = 3, n2 = 1, so D = 3 / 5.
    # Tokens in front of a: 1 (<s>), of b: 1 (a), of </s>: 2 (a, b). n1 = 2, n2 = 1, so D = 2 / 4.
    # Unigrams: 3 x 0.5 of 4 are discounted and shared equally by the three tokens.
    unigrams = {"a": 0.5 / 4 + 0.125, "b": 0.5 / 4 + 0.125, "</s>": 1.5 / 4 + 0.125}
    assert unigrams == {"a": 0.25, "b": 0.25, "</s>": 0.5}
    expected = {
        (): unigrams,
        ("<s>",): {"a": 1.4 / 2 + 0.3 * 0.25, "b": 0.3 * 0.25, "</s>": 0.3 * 0.5},
        ("a",): {"a": 0.6 * 0.25, "b": 0.4 / 2 + 0.6 * 0.25, "</s>": 0.4 / 2 + 0.6 * 0.5},
        ("b",): {"a": 0.6 * 0.25, "b": 0.6 * 0.25, "</s>": 0.4 / 1 + 0.6 * 0.5},
    }
    for context, distribution in expected.items():
        assert sum(distribution.values()) == pytest.approx(1)
        for token, value in distribution.items():
            assert probability(model, context, token) == pytest.approx(value, abs=1e-12)
    ngrams = {("a",), ("b",), ("</s>",), ("<s>",), ("<s>", "a"), ("a", "b"), ("b", "</s>"), ("a", "</s>")}
    assert set(model.probabilities) == ngrams
    assert set(model.backoffs) == {("<s>",), ("a",), ("b",)}
    assert math.exp(model.backoffs["a",]) == pytest.approx(0.6)


def test_modified_discounts_by_hand() -> None:
    # n1 = 4 (</s> too), n2 = 2, n3 = 2, n4 = 1: Y = 1/2, D1 = 1/2, D2 = 1/2, D3+ = 2, of 18 tokens in all.
    # 4 x 0.5 + 2 x 0.5 + 3 x 2 = 9 are discounted and shared by 9 tokens.
    model = estimate(["abcddeefffggghhhh"], order=1)
    for token, value in {"a": 1.5, "</s>": 1.5, "d": 2.5, "f": 2.0, "h": 3.0}.items():
        assert probability(model, "", token) == pytest.approx(value / 18, abs=1e-12)


def test_negative_discounts_are_replaced_by_a_single_one() -> None:
    # n1 = 5, n2 = n3 = n4 = 1 of 14 tokens: D2 would be 2 - 3 x 5/7. All eight tokens are discounted by
    # 5/7, shared by nine tokens.
    model = estimate(["abcdeefffgggg"], order=1, vocabulary="z")
    for token, count in {"z": 0, "a": 1 - 5 / 7, "e": 2 - 5 / 7, "g": 4 - 5 / 7}.items():
        assert probability(model, "", token) == pytest.approx((count + 8 / 9 * 5 / 7) / 14, abs=1e-12)


def test_unseen_tokens_of_the_vocabulary_get_the_uniform_part() -> None:
    model = estimate(["ab", "a"], order=2, vocabulary=["z", "a", "<s>"])
    assert model.vocabulary == ("</s>", "a", "b", "z")
    assert probability(model, "", "z") == pytest.approx(0.375 / 4)
    assert probability(model, "a", "z") == pytest.approx(0.6 * 0.375 / 4)
    assert probability(model, "z", "b") == pytest.approx(probability(model, "", "b"))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("sentences", "vocabulary"),
    [(SENTENCES, DEFAULT_TOKENIZER.alphabet), (WORDS, ["lay", "zulu"]), (["", "a"], "ab")],
)
def test_estimates_equal_the_formula_and_sum_to_one(
    order: int, sentences: Sequence[Sequence[str]], vocabulary: Sequence[str]
) -> None:
    model = estimate(sentences, order, vocabulary)
    reference = Reference(sentences, order, vocabulary)
    assert model.order == order
    assert list(model.vocabulary) == reference.tokens
    for history in histories(sentences, reference.tokens):
        total = 0.0
        for token in model.vocabulary:
            value = probability(model, history, token)
            assert value == pytest.approx(reference.probability(history, token), rel=1e-9)
            total += value
        assert total == pytest.approx(1, abs=1e-9)


def test_the_test_sentences_cover_all_kinds_of_discounts() -> None:
    """The comparison above covers modified discounts and both fallbacks."""
    corpora: list[Sequence[Sequence[str]]] = [SENTENCES, WORDS, ["", "a"]]
    kinds = set()
    for sentences, order in product(corpora, (1, 2, 3, 4, 5)):
        discounts = Reference(sentences, order).discounts(order)
        kinds.add("modified" if len(set(discounts)) == 3 else "0.5" if discounts[0] == 0.5 else "single")
    assert kinds == {"modified", "single", "0.5"}


def test_sentence_start_is_never_predicted() -> None:
    model = estimate(SENTENCES, order=3)
    assert "<s>" not in model.vocabulary
    assert model.log_prob(("<s>", "b"), "<s>") == -math.inf


def test_order_may_exceed_every_sentence() -> None:
    model, short = estimate(["a"], order=9), estimate(["a"], order=3)
    assert (model.order, short.order) == (9, 3)
    assert model.probabilities == short.probabilities


@pytest.mark.parametrize(
    ("sentences", "order", "complaint"),
    [
        ([], 2, "no sentences"),
        (["a"], 0, "of order 0"),
        ([["a"], ["a", "</s>"]], 2, "sentence 2 .*'</s>'.*remove it"),
        ([["<s>", "a"]], 2, "sentence 1 .*'<s>'.*remove it"),
    ],
)
def test_invalid_arguments_of_estimate(sentences: list[Sequence[str]], order: int, complaint: str) -> None:
    with pytest.raises(NGramError, match=complaint):
        estimate(sentences, order)
    assert issubclass(NGramError, LipnetError)


def test_characters_that_spell_an_end_mark_are_allowed() -> None:
    assert "</s>" in estimate(["a</s>b"], 2).vocabulary


# Use


def test_perplexity() -> None:
    model = estimate(["ab", "a"], order=2)
    # <s>a b</s>: 0.775 x 0.35 x 0.7; <s>a</s>: 0.775 x 0.5; five tokens with the two ends.
    assert model.sentence_log_prob("ab") == pytest.approx(math.log(0.775 * 0.35 * 0.7))
    expected = (0.775 * 0.35 * 0.7 * 0.775 * 0.5) ** (-1 / 5)
    assert perplexity(model, ["ab", "a"]) == pytest.approx(expected)
    assert perplexity(model, ["aq"]) == math.inf


def test_unknown_tokens_without_unk_are_impossible() -> None:
    model = estimate(["ab", "a"], order=3)
    assert model.log_prob(("a",), "q") == -math.inf
    assert model.log_prob((), "q") == -math.inf
    assert model.log_prob(("q", "a"), "b") == model.log_prob(("a",), "b")
    assert model.log_prob(("a", "q"), "b") == model.log_prob((), "b")


def test_unknown_tokens_are_unk_in_contexts_too(tmp_path: Path) -> None:
    text = HAND_WRITTEN.replace("<unk>\n-99", "<unk>\t-0.3\n-99").replace("b <unk>", "<unk> a")
    model = hand_written(tmp_path, text)
    assert model.context(("b", "q")) == ("<unk>",)
    assert model.log_prob(("b", "q"), "a") / LN10 == pytest.approx(-0.7)
    assert model.log_prob(("q",), "r") / LN10 == pytest.approx(-0.3 - 1.0)


@pytest.mark.parametrize(
    ("vocabulary", "expected"),
    [
        (DEFAULT_TOKENIZER.alphabet, True),
        (["<unk>", "a", "<"], True),
        (["a", "now"], False),
        (["ab>"], False),
    ],
)
def test_is_character_model(vocabulary: Sequence[str], expected: bool) -> None:
    assert is_character_model(estimate(["a"], 2, vocabulary)) is expected
