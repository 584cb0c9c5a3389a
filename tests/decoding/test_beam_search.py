"""Beam search against brute force over all paths, without and with a scorer."""

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


def test_width_1_on_an_unambiguous_path_equals_greedy():
    log_probs = on_path("-aa-bb-b--c", ABC, probability=0.99)
    [[greedy]] = GreedyDecoder(ABC)(log_probs, all_steps(log_probs))
    [[narrow]] = BeamSearchDecoder(ABC, width=1)(log_probs, all_steps(log_probs))
    assert (narrow.text, narrow.steps) == (greedy.text, greedy.steps) == ("abbc", [1, 4, 7, 10])
    assert narrow.score >= greedy.score


@pytest.mark.parametrize("width", [1, 3, 10, 40])
def test_beam_scores_never_exceed_the_exact_ones(width):
    log_probs = random_log_probs(5, 1, 6, 4)
    totals, _ = brute_force(log_probs[0])
    [hypotheses] = BeamSearchDecoder(ABC, width, n_best=width)(log_probs, all_steps(log_probs))
    for hypothesis in hypotheses:
        assert math.exp(hypothesis.score) <= totals[tuple(ABC.encode(hypothesis.text))] * (1 + 1e-9)


def test_a_dropped_prefix_can_return_to_the_beam():
    # Reference: the same search with prefixes as tuples in a dictionary instead of nodes of a tree.
    for seed in range(20):
        log_probs = random_log_probs(seed, 1, 25, 4, sharpness=1.0)
        [hypotheses] = BeamSearchDecoder(ABC, width=5, n_best=5)(log_probs, torch.tensor([25]))
        expected = tuple_beam_search(log_probs[0].double().numpy(), width=5)
        assert [h.text for h in hypotheses] == [ABC.decode(labels) for labels, _ in expected]
        assert [h.score for h in hypotheses] == pytest.approx([score for _, score in expected])


def tuple_beam_search(log_probs, width):
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


def test_n_best_is_an_upper_limit():
    log_probs = random_log_probs(0, 1, 2, AB.vocab_size)
    [hypotheses] = BeamSearchDecoder(AB, n_best=50)(log_probs, torch.tensor([2]))
    assert {h.text for h in hypotheses} == {"", "a", "b", "ab", "ba"}  # aa and bb take three frames


# Scorers


def exact_search(scorer, log_probs):
    """All hypotheses of a beam wide enough for every prefix: text -> score."""
    width = 4 ** log_probs.shape[1]
    decoder = BeamSearchDecoder(SPACED, width, n_best=width, scorer=scorer)
    [hypotheses] = decoder(log_probs, all_steps(log_probs))
    return {h.text: h.score for h in hypotheses}


def brute_force_scores(log_probs, lm_score):
    """The same over all paths: CTC's log-probability plus ``lm_score(text)``, where None forbids a text."""
    totals, _ = brute_force(log_probs[0])
    texts = {SPACED.decode(labels): math.log(total) for labels, total in totals.items()}
    return {text: score + lm_score(text) for text, score in texts.items() if lm_score(text) is not None}


@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize("order", [1, 3])
def test_character_model_scores(steps, order):
    model = estimate([list("ab a"), list("b ab"), list("a")], order, vocabulary=SPACED.alphabet)

    def lm_score(text):
        history, total = ["<s>"], 0.0
        for token in [*text, "</s>"]:
            total += 0.7 * model.log_prob(tuple(history), token)
            history.append(token)
        return total + 0.4 * len(text)

    log_probs = random_log_probs(steps, 1, steps, SPACED.vocab_size)
    found = exact_search(CharacterLMScorer(SPACED, model, weight=0.7, bonus=0.4), log_probs)
    assert found == pytest.approx(brute_force_scores(log_probs, lm_score))


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_word_model_scores(steps):
    model = estimate([["ab", "a"], ["b", "ab"], ["a"]], 2, vocabulary=["<unk>"])

    def lm_score(text):
        if text != " ".join(text.split()):
            return None
        history, total = ["<s>"], 0.0
        for word in [*text.split(), "</s>"]:
            total += 0.7 * model.log_prob(tuple(history), word)
            history.append(word)
        return total + 0.4 * len(text.split())

    log_probs = random_log_probs(steps, 1, steps, SPACED.vocab_size)
    found = exact_search(WordLMScorer(SPACED, model, weight=0.7, bonus=0.4), log_probs)
    assert found == pytest.approx(brute_force_scores(log_probs, lm_score))


@pytest.mark.parametrize("steps", [1, 4, 6])
def test_a_word_list_allows_only_its_words(steps):
    words = {"a", "ab", "bb"}
    log_probs = random_log_probs(steps, 1, steps, SPACED.vocab_size)

    def lm_score(text):
        return 0.0 if text and all(word in words for word in text.split(" ")) else None

    assert exact_search(WordListScorer(SPACED, words), log_probs) == pytest.approx(
        brute_force_scores(log_probs, lm_score)
    )


def test_the_text_is_empty_if_no_text_is_allowed():
    log_probs = random_log_probs(0, 1, 3, SPACED.vocab_size)
    decoder = BeamSearchDecoder(SPACED, scorer=WordListScorer(SPACED, ["abba"]))
    [[empty]] = decoder(log_probs, torch.tensor([3]))
    assert (empty.text, empty.score, empty.steps) == ("", -math.inf, [])


def test_a_scorer_drops_its_states_between_clips_when_they_are_too_many(monkeypatch):
    monkeypatch.setattr("lipnet.decoding.lm_scorers.MAX_STATES", 3)
    scorer = WordListScorer(SPACED, ["ab", "ba", "aab"])
    decoder = BeamSearchDecoder(SPACED, scorer=scorer)
    log_probs = random_log_probs(0, 2, 30, SPACED.vocab_size)
    both = decoder(log_probs, all_steps(log_probs))
    assert len(scorer) > 3
    scorer.reset()
    assert len(scorer) == 1
    fresh = BeamSearchDecoder(SPACED, scorer=WordListScorer(SPACED, ["ab", "ba", "aab"]))
    assert both[1] == fresh(log_probs[1:], torch.tensor([30]))[0]


def test_a_word_model_without_unk_writes_only_its_own_words():
    model = estimate([["bin", "blue", "now"], ["lay", "red", "soon"]], 2)
    log_probs = random_log_probs(0, 1, 60, DEFAULT_TOKENIZER.vocab_size, sharpness=1.0)
    [[best]] = BeamSearchDecoder(DEFAULT_TOKENIZER, scorer=WordLMScorer(DEFAULT_TOKENIZER, model))(
        log_probs, torch.tensor([60])
    )
    assert best.text and set(best.text.split()) <= {"bin", "blue", "now", "lay", "red", "soon"}


def test_a_model_that_does_not_fit_the_alphabet_is_an_error():
    with pytest.raises(LipnetError, match=r"lacks 'b' of the alphabet ' ab'.*build_lm.py"):
        make_lm_scorer(estimate([list("a a")], 2), SPACED)
    with pytest.raises(LipnetError, match=r"no word of.*'NOW'.*lower case"):
        make_lm_scorer(estimate([["BIN", "NOW"]], 2), DEFAULT_TOKENIZER)
    assert isinstance(make_lm_scorer(estimate([list("ab ")], 2), SPACED), CharacterLMScorer)
    assert isinstance(make_lm_scorer(estimate([["ab", "a"]], 2), SPACED), WordLMScorer)
