"""Greedy search, forced alignment and words of hypotheses against hand-written tables and brute force."""

import math

import numpy as np
import pytest
from posteriors import all_steps, brute_force, collapse, on_path, random_log_probs

from lipnet.decoding.base import Alignment, DecodeError, Hypothesis
from lipnet.decoding.forced_alignment import align
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.tokenizer import Tokenizer

AB = Tokenizer("ab")
ABC = Tokenizer("abc")


@pytest.mark.parametrize(
    ("path", "text", "frames"),
    [
        ("abc", "abc", [0, 1, 2]),
        ("aabbcc", "abc", [0, 2, 4]),
        ("a-a", "aa", [0, 2]),
        ("aa--aab", "aab", [0, 4, 6]),
        ("--a--", "a", [2]),
        ("ab-ba", "abba", [0, 1, 3, 4]),
        ("----", "", []),
        ("", "", []),
    ],
)
def test_greedy_table(path, text, frames):
    log_probs = on_path(path, ABC)
    [[hypothesis]] = GreedyDecoder(ABC)(log_probs, all_steps(log_probs))
    assert (hypothesis.text, hypothesis.steps) == (text, frames)
    assert hypothesis.score == pytest.approx(len(path) * math.log(0.9), abs=1e-5)
    assert hypothesis.path_score == hypothesis.score


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


def test_words_with_the_steps_of_their_first_and_last_characters():
    hypothesis = Hypothesis(" bin  at a", -1.0, Alignment(list(range(5, 15)), -2.0))
    assert hypothesis.words == (("bin", 6, 8), ("at", 11, 12), ("a", 14, 14))
    assert hypothesis.words is hypothesis.words  # computed once
    assert hypothesis.steps == list(range(5, 15)) and hypothesis.path_score == -2.0
    assert Hypothesis("", 0.0, Alignment([], 0.0)).words == ()


@pytest.mark.parametrize("attribute", ["steps", "path_score", "words"])
def test_a_hypothesis_without_alignment_has_no_steps(attribute):
    with pytest.raises(DecodeError, match="'bin' is not aligned: only the best hypothesis"):
        getattr(Hypothesis("bin", -1.0), attribute)
