"""Greedy search and alignment against hand-written tables."""

import math

import pytest
from posteriors import all_steps, on_path, random_log_probs

from lipnet.decoding.base import DecodeError, Hypothesis, word_spans
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


def test_align_parts_equal_labels_by_a_blank():
    log_probs = on_path("aaaa", AB)[0].double().numpy()
    assert align(log_probs, AB.encode("aa")) in ([0, 2], [0, 3])
    assert align(log_probs, []) == []


@pytest.mark.parametrize(("text", "frames"), [("ab", 1), ("aa", 2), ("abba", 4), ("a", 0)])
def test_align_says_when_the_frames_are_too_few(text, frames):
    log_probs = random_log_probs(0, 5, AB.size).double().numpy()
    with pytest.raises(DecodeError, match=f"{len(text)} characters .* {frames} steps"):
        align(log_probs[:frames], AB.encode(text))


def test_word_spans():
    hypothesis = Hypothesis(" bin  at a", -1.0, list(range(5, 15)))
    assert word_spans(hypothesis) == [("bin", 6, 8), ("at", 11, 12), ("a", 14, 14)]
    assert word_spans(Hypothesis("", 0.0, [])) == []
