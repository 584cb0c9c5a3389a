"""Contexts of n-gram models: the states of an automaton that gives the same probabilities."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from language_models import SENTENCES, hand_written, histories

from lipnet.decoding.ngram import NGram, estimate
from lipnet.tokenizer import DEFAULT_TOKENIZER


def assert_contexts_are_states(model: NGram, sequences: Sequence[tuple[str, ...]]) -> None:
    """A context gives the same probabilities as its history, and determines the next context."""
    for history in sequences:
        context = model.context(history)
        assert len(context) < model.order and history[len(history) - len(context) :] == context
        for token in model.vocabulary:
            assert model.log_prob(context, token) == model.log_prob(history, token)
            assert model.context((*context, token)) == model.context((*history, token))


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_contexts_can_be_states_of_an_automaton(order: int) -> None:
    model = estimate(SENTENCES, order, DEFAULT_TOKENIZER.alphabet)
    assert_contexts_are_states(model, histories(SENTENCES[:2], DEFAULT_TOKENIZER.alphabet))


def test_contexts_of_an_estimate() -> None:
    model = estimate(["ab", "a"], order=3)
    assert model.context(("<s>",)) == ("<s>",)
    assert model.context(("<s>", "a")) == ("<s>", "a")
    assert model.context(("a", "b")) == ("a", "b")
    assert model.context(("b", "b")) == ("b",)
    assert model.context(("a", "b", "a")) == ("a",)
    assert model.context(("a", "q")) == ()
    assert model.context(()) == ()


def test_contexts_of_a_pruned_model(tmp_path: Path) -> None:
    model = hand_written(tmp_path)
    assert model.context(("<s>", "a")) == ("<s>", "a")
    assert model.context(("<s>", "a", "b")) == (
        "a",
        "b",
    )  # prefix of no trigram, but it has a back-off weight
    assert model.context(("b", "b")) == ("b",)
    assert model.context(("a", "</s>")) == ()
    gap = NGram(3, {("a",): -1.0, ("b",): -1.0, ("a", "b", "a"): -0.1}, {})  # pruned away: the bigram ab
    rng = random.Random(0)
    sequences = [tuple(rng.choices("ab", k=rng.randint(0, 5))) for _ in range(50)]
    for pruned in (model, gap):
        assert_contexts_are_states(pruned, sequences)
