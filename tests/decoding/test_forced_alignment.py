"""Forced alignment against hand-made paths and brute force."""

import math

import numpy as np
import pytest
from posteriors import brute_force, collapse, on_path, random_log_probs

from lipnet.decoding.base import DecodeError
from lipnet.decoding.forced_alignment import align, align_spans, aligned_symbols
from lipnet.tokenizer import Tokenizer

AB = Tokenizer("ab")
ABC = Tokenizer("abc")


def test_align_puts_a_blank_between_equal_labels():
    log_probs = on_path("aaaa", AB)[0].double().numpy()
    starts, score = align(log_probs, AB.encode("aa"))
    assert starts in ([0, 2], [0, 3])
    assert score == pytest.approx(3 * math.log(0.9) + math.log(0.05))
    starts, score = align(log_probs, [])
    assert starts == [] and score == pytest.approx(4 * math.log(0.05))
    assert align(np.full((2, 3), -math.inf), []) == ([], -math.inf)


@pytest.mark.parametrize("seed", range(3))
def test_alignment_equals_brute_force(seed):
    log_probs = random_log_probs(seed, 6, ABC.vocab_size)
    probs = log_probs.double()
    for labels, path in brute_force(log_probs)[1].items():
        starts, score = align(probs.numpy(), labels)
        assert starts == collapse(path)[1]
        assert score == pytest.approx(float(probs[range(6), path].sum()))


@pytest.mark.parametrize(("text", "frames"), [("ab", 1), ("aa", 2), ("abba", 4), ("a", 0)])
def test_align_error_on_too_few_steps(text, frames):
    log_probs = random_log_probs(0, 5, AB.vocab_size).double().numpy()
    with pytest.raises(DecodeError, match=f"{len(text)} characters .* {frames} steps"):
        align(log_probs[:frames], AB.encode(text))


def test_spans_of_labels_by_hand():
    best = [0, 1, 1, 0, 0, 2, 3, 3, 0, 3]
    log_probs = np.log(np.eye(4)[best] * 0.9 + 0.025)
    assert align_spans(log_probs, [1, 2, 3, 3]) == [(1, 2), (5, 5), (6, 7), (9, 9)]
    assert aligned_symbols(log_probs, [1, 2, 3, 3]).tolist() == best
