"""Beam search against all paths there are, free and guided by a language."""

import math

import numpy as np
import pytest
import torch
from posteriors import all_steps, brute_force, collapse, on_path, random_log_probs

from lipnet.decoding.beam_search import BeamSearchDecoder
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.decoding.lm_scorers import CharacterLMScorer, WordListScorer, WordLMScorer, make_lm_scorer
from lipnet.decoding.ngram import estimate
from lipnet.errors import LipnetError
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer

AB = Tokenizer("ab")
ABC = Tokenizer("abc")
SPACED = Tokenizer(" ab")


@pytest.mark.parametrize("symbols", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 4, 6])
@pytest.mark.parametrize("seed", range(3))
def test_beam_equals_brute_force(symbols, frames, seed):
    tokenizer = Tokenizer("abc"[:symbols])
    log_probs = random_log_probs(seed, 1, frames, tokenizer.vocab_size)
    totals, best_paths = brute_force(log_probs[0])
    expected = {tokenizer.decode(labels): total for labels, total in totals.items()}

    wide = BeamSearchDecoder(tokenizer, width=len(totals), n_best=len(totals))
    [hypotheses] = wide(log_probs, all_steps(log_probs))

    assert {h.text: math.exp(h.score) for h in hypotheses} == pytest.approx(expected)
    best_path = best_paths[tuple(tokenizer.encode(hypotheses[0].text))]
    assert hypotheses[0].steps == collapse(best_path)[1]
    path_score = log_probs[0].double()[range(frames), best_path].sum()
    assert hypotheses[0].path_score == pytest.approx(float(path_score))
    assert all(hypothesis.alignment is None for hypothesis in hypotheses[1:])


def test_beam_sums_alignments_where_greedy_takes_one_path():
    # The best path is all blanks (0.36), yet the paths a-, -a and aa together have 0.64.
    probs = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]])
    a = Tokenizer("a")
    [[greedy]] = GreedyDecoder(a)(probs.log(), torch.tensor([2]))
    [[beam]] = BeamSearchDecoder(a)(probs.log(), torch.tensor([2]))
    assert (greedy.text, beam.text) == ("", "a")
    assert math.exp(beam.score) == pytest.approx(0.64)


def test_narrow_beam_on_a_sure_path_equals_greedy():
    log_probs = on_path("-aa-bb-b--c", ABC, probability=0.99)
    [[greedy]] = GreedyDecoder(ABC)(log_probs, all_steps(log_probs))
    [[narrow]] = BeamSearchDecoder(ABC, width=1)(log_probs, all_steps(log_probs))
    assert (narrow.text, narrow.steps) == (greedy.text, greedy.steps) == ("abbc", [1, 4, 7, 10])
    assert narrow.score >= greedy.score


@pytest.mark.parametrize("width", [1, 3, 10, 40])
def test_beam_never_claims_more_than_there_is(width):
    log_probs = random_log_probs(5, 1, 6, 4)
    totals, _ = brute_force(log_probs[0])
    [hypotheses] = BeamSearchDecoder(ABC, width, n_best=width)(log_probs, all_steps(log_probs))
    for hypothesis in hypotheses:
        assert math.exp(hypothesis.score) <= totals[tuple(ABC.encode(hypothesis.text))] * (1 + 1e-9)


def test_beam_finds_a_prefix_again_that_it_had_dropped():
    # Reference: the same search with prefixes as tuples in a dictionary, where no identity can be lost.
    for seed in range(20):
        log_probs = random_log_probs(seed, 1, 25, 4, sharpness=1.0)
        [hypotheses] = BeamSearchDecoder(ABC, width=5, n_best=5)(log_probs, torch.tensor([25]))
        expected = dictionary_beam(log_probs[0].double().numpy(), width=5)
        assert [h.text for h in hypotheses] == [ABC.decode(labels) for labels, _ in expected]
        assert [h.score for h in hypotheses] == pytest.approx([score for _, score in expected])


def dictionary_beam(log_probs, width):
    beam = {(): (1.0, 0.0)}  # prefix -> probability of ending in a blank, in its last character
    for frame in np.exp(log_probs):
        reached = {}
        for prefix, (blank, nonblank) in beam.items():
            for symbol, probability in enumerate(frame):
                ways = []
                if symbol == 0:
                    ways.append((prefix, (blank + nonblank) * probability, 0.0))
                elif prefix and symbol == prefix[-1]:
                    ways.append((prefix, 0.0, nonblank * probability))
                    ways.append(((*prefix, symbol), 0.0, blank * probability))
                else:
                    ways.append(((*prefix, symbol), 0.0, (blank + nonblank) * probability))
                for target, to_blank, to_nonblank in ways:
                    old = reached.get(target, (0.0, 0.0))
                    reached[target] = (old[0] + to_blank, old[1] + to_nonblank)
        beam = dict(sorted(reached.items(), key=lambda item: -sum(item[1]))[:width])
    return [(prefix, math.log(sum(parts))) for prefix, parts in beam.items()]


def test_n_best_is_a_limit():
    log_probs = random_log_probs(0, 1, 2, AB.vocab_size)
    [hypotheses] = BeamSearchDecoder(AB, n_best=50)(log_probs, torch.tensor([2]))
    assert {h.text for h in hypotheses} == {"", "a", "b", "ab", "ba"}  # aa and bb take three frames


# Languages


def guided(language, log_probs):
    """All that an exact search finds: text -> score."""
    width = 4 ** log_probs.shape[1]
    decoder = BeamSearchDecoder(SPACED, width, n_best=width, language=language)
    [hypotheses] = decoder(log_probs, all_steps(log_probs))
    return {h.text: h.score for h in hypotheses}


def weighed(log_probs, weight):
    """The same by brute force, with ``weight(text)`` of each text; None forbids it."""
    totals, _ = brute_force(log_probs[0])
    texts = {SPACED.decode(labels): math.log(total) for labels, total in totals.items()}
    return {text: score + weight(text) for text, score in texts.items() if weight(text) is not None}


@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize("order", [1, 3])
def test_a_character_model_weighs_every_text(steps, order):
    model = estimate([list("ab a"), list("b ab"), list("a")], order, vocabulary=SPACED.alphabet)

    def weight(text):
        history, total = ["<s>"], 0.0
        for token in [*text, "</s>"]:
            total += 0.7 * model.log_prob(tuple(history), token)
            history.append(token)
        return total + 0.4 * len(text)

    log_probs = random_log_probs(steps, 1, steps, SPACED.vocab_size)
    found = guided(CharacterLMScorer(SPACED, model, weight=0.7, bonus=0.4), log_probs)
    assert found == pytest.approx(weighed(log_probs, weight))


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_word_model_weighs_every_text(steps):
    model = estimate([["ab", "a"], ["b", "ab"], ["a"]], 2, vocabulary=["<unk>"])

    def weight(text):
        if text != " ".join(text.split()):
            return None
        history, total = ["<s>"], 0.0
        for word in [*text.split(), "</s>"]:
            total += 0.7 * model.log_prob(tuple(history), word)
            history.append(word)
        return total + 0.4 * len(text.split())

    log_probs = random_log_probs(steps, 1, steps, SPACED.vocab_size)
    found = guided(WordLMScorer(SPACED, model, weight=0.7, bonus=0.4), log_probs)
    assert found == pytest.approx(weighed(log_probs, weight))


@pytest.mark.parametrize("steps", [1, 4, 6])
def test_a_word_list_allows_its_words_and_nothing_else(steps):
    words = {"a", "ab", "bb"}
    log_probs = random_log_probs(steps, 1, steps, SPACED.vocab_size)

    def weight(text):
        return 0.0 if text and all(word in words for word in text.split(" ")) else None

    assert guided(WordListScorer(SPACED, words), log_probs) == pytest.approx(weighed(log_probs, weight))


def test_where_no_text_is_allowed_nothing_is_said():
    log_probs = random_log_probs(0, 1, 3, SPACED.vocab_size)
    decoder = BeamSearchDecoder(SPACED, language=WordListScorer(SPACED, ["abba"]))
    [[nothing]] = decoder(log_probs, torch.tensor([3]))
    assert (nothing.text, nothing.score, nothing.steps) == ("", -math.inf, [])


def test_a_language_forgets_what_it_need_not_know(monkeypatch):
    monkeypatch.setattr("lipnet.decoding.lm_scorers.MAX_STATES", 3)
    language = WordListScorer(SPACED, ["ab", "ba", "aab"])
    decoder = BeamSearchDecoder(SPACED, language=language)
    log_probs = random_log_probs(0, 2, 30, SPACED.vocab_size)
    both = decoder(log_probs, all_steps(log_probs))
    assert len(language._keys) > 3
    language.begin()
    assert len(language._keys) == 1
    fresh = BeamSearchDecoder(SPACED, language=WordListScorer(SPACED, ["ab", "ba", "aab"]))
    assert both[1] == fresh(log_probs[1:], torch.tensor([30]))[0]


def test_without_unknown_words_a_word_model_writes_its_own_alone():
    model = estimate([["bin", "blue", "now"], ["lay", "red", "soon"]], 2)
    log_probs = random_log_probs(0, 1, 60, DEFAULT_TOKENIZER.vocab_size, sharpness=1.0)
    [[best]] = BeamSearchDecoder(DEFAULT_TOKENIZER, language=WordLMScorer(DEFAULT_TOKENIZER, model))(
        log_probs, torch.tensor([60])
    )
    assert best.text and set(best.text.split()) <= {"bin", "blue", "now", "lay", "red", "soon"}


def test_a_model_of_other_texts_is_named():
    with pytest.raises(LipnetError, match=r"lacks 'b' of the alphabet ' ab'.*build_lm.py"):
        make_lm_scorer(estimate([list("a a")], 2), SPACED)
    with pytest.raises(LipnetError, match=r"not one word.*'NOW'.*lower case"):
        make_lm_scorer(estimate([["BIN", "NOW"]], 2), DEFAULT_TOKENIZER)
    assert isinstance(make_lm_scorer(estimate([list("ab ")], 2), SPACED), CharacterLMScorer)
    assert isinstance(make_lm_scorer(estimate([["ab", "a"]], 2), SPACED), WordLMScorer)
