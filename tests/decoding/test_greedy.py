"""Greedy search against a hand-written table."""

import math

import pytest
from posteriors import all_steps, on_path

from lipnet.decoding.greedy import GreedyDecoder
from lipnet.tokenizer import Tokenizer

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
