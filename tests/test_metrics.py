"""Error rates against tables counted by hand."""

import random

import pytest

from lipnet.metrics import ErrorCounts, WordErrors, bootstrap_interval


def count(*pairs):
    counts = ErrorCounts()
    for target, prediction in pairs:
        counts.add(target, prediction)
    return counts


@pytest.mark.parametrize(
    ("target", "prediction", "character_errors", "word_errors", "sentence_errors"),
    [
        ("bin blue at f two now", "bin blue at f two now", 0, 0, 0),
        ("bin blue", "bin blues", 1, 1, 1),  # one character inserted
        ("bin blue", "bin bue", 1, 1, 1),  # deleted
        ("bin blue", "pin blue", 1, 1, 1),  # substituted
        ("bin blue", "binblue", 1, 2, 1),  # a deleted space: one word substituted, one deleted
        ("bin blue", "blue", 4, 1, 1),  # a word deleted with its space
        ("bin blue", "", 8, 2, 1),
        ("at", "at at at", 6, 2, 1),
        ("", "", 0, 0, 0),
        ("", "a b", 3, 2, 1),
    ],
)
def test_one_sentence(target, prediction, character_errors, word_errors, sentence_errors):
    assert count((target, prediction)) == ErrorCounts(
        character_errors, len(target), word_errors, len(target.split()), sentence_errors, 1
    )


def test_rates_are_of_the_corpus_and_not_means_over_sentences():
    counts = count(("a b c d", "a b c d"), ("x", "y"))
    assert counts.wer == pytest.approx(1 / 5)
    assert counts.cer == pytest.approx(1 / 8)
    assert counts.ser == pytest.approx(1 / 2)


def test_addition_equals_counting_together():
    first, second = ("a b", "a c"), ("d", "d e")
    assert count(first) + count(second) == count(first, second)


def test_rates_without_sentences_and_with_empty_targets():
    empty = ErrorCounts()
    assert (empty.cer, empty.wer, empty.ser) == (0, 0, 0)
    assert (count(("", "")).cer, count(("", "")).wer) == (0, 0)
    assert (count(("", "ab")).cer, count(("", "ab")).wer) == (1, 1)


def test_insertions_can_raise_a_rate_above_1():
    assert count(("at", "at at at")).wer == 2


def test_summary_line():
    counts = ErrorCounts(1234, 18500, 3180, 23916, 2000, 3986)
    assert counts.summary("greedy") == (
        "WER 13.3 % (3180/23916 words) CER 6.7 % (1234/18500 characters) 3986 clips, greedy"
    )
    assert ErrorCounts().summary("beam") == "WER 0.0 % (0/0 words) CER 0.0 % (0/0 characters) 0 clips, beam"


def test_word_errors_by_position_and_confusions():
    wrong = WordErrors()
    wrong.add("bin blue at f two now", "bin blue at s two now")
    wrong.add("bin blue at f two now", "bin blue at s two soon")
    wrong.add("bin blue at f two now", "bin blue at two now")
    wrong.add("bin blue at f two now", "bin red blue at f two now again")
    wrong.add("lay", "")
    assert wrong.words == {0: 5, 1: 4, 2: 4, 3: 4, 4: 4, 5: 4}
    assert wrong.errors == {0: 1, 1: 1, 3: 3, 5: 2}
    assert wrong.confusions.most_common(1) == [(("f", "s"), 2)]
    assert wrong.confusions == {
        ("f", "s"): 2,
        ("now", "soon"): 1,
        ("f", ""): 1,
        ("", "red"): 1,
        ("", "again"): 1,
        ("lay", ""): 1,
    }


# Independent implementations

WORDS = ["bin", "blue", "at", "f", "two", "now", "again", "place", "please", "a", "b"]


def random_pairs(count=300):
    """Sentences, and what differs from them by random insertions, deletions and substitutions of words."""
    draw = random.Random(0)
    pairs = []
    for _ in range(count):
        target = draw.choices(WORDS, k=draw.randint(1, 8))
        prediction = [draw.choice(WORDS) if draw.random() < 0.3 else word for word in target]
        prediction = [word for word in prediction if draw.random() > 0.2]
        place = draw.randint(0, len(prediction))
        prediction[place:place] = draw.choices(WORDS, k=draw.randint(0, 2))
        pairs.append((" ".join(target), " ".join(prediction)))
    return pairs


def test_errors_of_each_sentence_are_those_of_editdistance():
    editdistance = pytest.importorskip("editdistance")
    for target, prediction in random_pairs():
        counts = count((target, prediction))
        assert counts.character_errors == editdistance.eval(target, prediction), (target, prediction)
        assert counts.word_errors == editdistance.eval(target.split(), prediction.split())


def test_rates_of_a_corpus_are_those_of_jiwer():
    jiwer = pytest.importorskip("jiwer")
    pairs = random_pairs()
    targets, predictions = (list(texts) for texts in zip(*pairs, strict=True))
    counts = count(*pairs)
    assert counts.wer == pytest.approx(jiwer.wer(targets, predictions), abs=1e-12)
    assert counts.cer == pytest.approx(jiwer.cer(targets, predictions), abs=1e-12)
    assert 0.2 < counts.wer < 0.8


def test_bootstrap_interval():
    assert bootstrap_interval([1] * 30, [2] * 30) == (0.5, 0.5)
    coin = [number % 2 for number in range(100)]
    low, high = bootstrap_interval(coin, [1] * 100)
    # Of 100 words, the standard deviation of the rate is 5 %.
    assert low == pytest.approx(0.4, abs=0.015) and high == pytest.approx(0.6, abs=0.015)
    assert bootstrap_interval(coin, [1] * 100) == (low, high)
    assert bootstrap_interval(coin, [1] * 100, ["wrong" if wrong else "right" for wrong in coin]) == (0, 1)
