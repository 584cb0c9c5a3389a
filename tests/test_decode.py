"""Greedy search against a hand-written table, beam search and alignment against all paths there are."""

import itertools
import math

import numpy as np
import pytest
import torch

from lipnet.decode import (
    DECODERS,
    BeamDecoder,
    DecodeError,
    GreedyDecoder,
    Hypothesis,
    align,
    make_decoder,
    word_spans,
)
from lipnet.text import LETTERS, Alphabet

AB = Alphabet("ab")
ABC = Alphabet("abc")


def random_log_probs(seed, *shape, sharpness=2.0):
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(shape, generator=generator)).log_softmax(-1)


def on_path(path, alphabet, probability=0.9):
    """Log-probabilities (1, T, V) that put ``probability`` on each symbol of ``path`` ("-": blank)."""
    indices = [0 if symbol == "-" else alphabet.encode(symbol)[0] for symbol in path]
    probs = torch.full((1, len(path), alphabet.size), (1 - probability) / (alphabet.size - 1))
    probs[0, range(len(path)), indices] = probability
    return probs.log()


def all_frames(log_probs):
    return torch.full((len(log_probs),), log_probs.shape[1])


def collapse(path):
    """Labels of a path and the frames in which they start."""
    starts = [t for t, symbol in enumerate(path) if symbol and (t == 0 or symbol != path[t - 1])]
    return tuple(path[t] for t in starts), starts


def brute_force(log_probs):
    """Probability of each label sequence, and the best path that spells it, over all V ** T paths."""
    probs = log_probs.double().exp().numpy()
    totals, best = {}, {}
    for path in itertools.product(range(probs.shape[1]), repeat=len(probs)):
        labels, _ = collapse(path)
        probability = math.prod(probs[t, symbol] for t, symbol in enumerate(path))
        totals[labels] = totals.get(labels, 0.0) + probability
        best[labels] = max(best.get(labels, (0.0, ())), (probability, path))
    return totals, {labels: path for labels, (_, path) in best.items()}


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
    [[hypothesis]] = GreedyDecoder(ABC)(log_probs, all_frames(log_probs))
    assert (hypothesis.text, hypothesis.frames) == (text, frames)
    assert hypothesis.score == pytest.approx(len(path) * math.log(0.9), abs=1e-5)


@pytest.mark.parametrize("symbols", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 4, 6])
@pytest.mark.parametrize("seed", range(3))
def test_beam_equals_brute_force(symbols, frames, seed):
    alphabet = Alphabet("abc"[:symbols])
    log_probs = random_log_probs(seed, 1, frames, alphabet.size)
    totals, best_paths = brute_force(log_probs[0])
    expected = {alphabet.decode(labels): total for labels, total in totals.items()}

    wide = BeamDecoder(alphabet, width=len(totals), n_best=len(totals))
    [hypotheses] = wide(log_probs, all_frames(log_probs))

    assert {h.text: math.exp(h.score) for h in hypotheses} == pytest.approx(expected)
    for hypothesis in hypotheses:
        path = best_paths[tuple(alphabet.encode(hypothesis.text))]
        assert hypothesis.frames == collapse(path)[1]


def test_beam_sums_alignments_where_greedy_takes_one_path():
    # The best path is all blanks (0.36), yet the paths a-, -a and aa together have 0.64.
    probs = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]])
    a = Alphabet("a")
    [[greedy]] = GreedyDecoder(a)(probs.log(), torch.tensor([2]))
    [[beam]] = BeamDecoder(a)(probs.log(), torch.tensor([2]))
    assert (greedy.text, beam.text) == ("", "a")
    assert math.exp(beam.score) == pytest.approx(0.64)


def test_narrow_beam_on_a_sure_path_equals_greedy():
    log_probs = on_path("-aa-bb-b--c", ABC, probability=0.99)
    [[greedy]] = GreedyDecoder(ABC)(log_probs, all_frames(log_probs))
    [[narrow]] = BeamDecoder(ABC, width=1)(log_probs, all_frames(log_probs))
    assert (narrow.text, narrow.frames) == (greedy.text, greedy.frames) == ("abbc", [1, 4, 7, 10])
    assert narrow.score >= greedy.score


@pytest.mark.parametrize("width", [1, 3, 10, 40])
def test_beam_never_claims_more_than_there_is(width):
    log_probs = random_log_probs(5, 1, 6, 4)
    totals, _ = brute_force(log_probs[0])
    [hypotheses] = BeamDecoder(ABC, width, n_best=width)(log_probs, all_frames(log_probs))
    for hypothesis in hypotheses:
        assert math.exp(hypothesis.score) <= totals[tuple(ABC.encode(hypothesis.text))] * (1 + 1e-9)


def test_beam_finds_a_prefix_again_that_it_had_dropped():
    # Reference: the same search with prefixes as tuples in a dictionary, where no identity can be lost.
    for seed in range(20):
        log_probs = random_log_probs(seed, 1, 25, 4, sharpness=1.0)
        [hypotheses] = BeamDecoder(ABC, width=5, n_best=5)(log_probs, torch.tensor([25]))
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


@pytest.mark.parametrize("name", DECODERS)
def test_frames_behind_a_clips_length_change_nothing(name):
    decoder = make_decoder(name, LETTERS)
    log_probs = random_log_probs(0, 3, 20, LETTERS.size)
    lengths = torch.tensor([20, 11, 0])
    batch = decoder(log_probs, lengths)
    single = [decoder(log_probs[i : i + 1, :n], torch.tensor([n]))[0] for i, n in enumerate(lengths.tolist())]
    other_padding = log_probs.clone()
    other_padding[1, 11:] = other_padding[2] = random_log_probs(1, LETTERS.size)
    assert batch == single == decoder(other_padding, lengths)
    assert batch[2] == [Hypothesis("", 0.0, [])]


@pytest.mark.parametrize("decoder", [GreedyDecoder(LETTERS), BeamDecoder(LETTERS, width=20, n_best=20)])
def test_hypotheses_are_sorted_unique_and_in_time_order(decoder):
    lengths = torch.tensor([30, 17])
    clips = decoder(random_log_probs(3, 2, 30, LETTERS.size), lengths)
    for length, hypotheses in zip(lengths.tolist(), clips, strict=True):
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({h.text for h in hypotheses}) == len(hypotheses)
        for h in hypotheses:
            assert len(h.frames) == len(h.text)
            assert h.frames == sorted(set(h.frames))
            assert all(0 <= frame < length for frame in h.frames)


def test_n_best_is_a_limit():
    log_probs = random_log_probs(0, 1, 2, AB.size)
    [hypotheses] = BeamDecoder(AB, n_best=50)(log_probs, torch.tensor([2]))
    assert {h.text for h in hypotheses} == {"", "a", "b", "ab", "ba"}  # aa and bb take three frames


def test_align_parts_equal_labels_by_a_blank():
    log_probs = on_path("aaaa", AB)[0].double().numpy()
    assert align(log_probs, AB.encode("aa")) in ([0, 2], [0, 3])
    assert align(log_probs, []) == []


@pytest.mark.parametrize(("text", "frames"), [("ab", 1), ("aa", 2), ("abba", 4), ("a", 0)])
def test_align_says_when_the_frames_are_too_few(text, frames):
    log_probs = random_log_probs(0, 5, AB.size).double().numpy()
    with pytest.raises(DecodeError, match=f"{len(text)} characters .* {frames} frames"):
        align(log_probs[:frames], AB.encode(text))


def test_word_spans():
    hypothesis = Hypothesis(" bin  at a", -1.0, list(range(5, 15)))
    assert word_spans(hypothesis) == [("bin", 6, 8), ("at", 11, 12), ("a", 14, 14)]
    assert word_spans(Hypothesis("", 0.0, [])) == []


def test_unknown_decoder_lists_the_known_ones():
    with pytest.raises(DecodeError, match=r"'best'.*greedy, beam"):
        make_decoder("best", LETTERS)
