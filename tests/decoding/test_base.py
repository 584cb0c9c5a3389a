"""Hypotheses: words, steps and path scores."""

import pytest

from lipnet.decoding.base import Alignment, DecodeError, Hypothesis


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
