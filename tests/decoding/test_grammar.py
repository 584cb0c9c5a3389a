"""Slot grammars against brute force: PyTorch's CTC loss of each sentence, and all paths of the word heads."""

from __future__ import annotations

import itertools
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from posteriors import all_steps, ctc_log_probabilities, on_path, random_log_probs
from torch import Tensor

from lipnet.decoding.base import DecodeError
from lipnet.decoding.factory import DecoderOptions, make_decoder
from lipnet.decoding.forced_alignment import align
from lipnet.decoding.grammar import GRID_SLOTS, HEADS_WEIGHT, GrammarDecoder, Slots, read_grammar
from lipnet.grid import WORDS
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer

ABC = Tokenizer(" abc")
GRAMMARS: dict[str, Slots] = {
    "one slot": [["a", "b", "abba", "cc"]],
    "two slots": [["a", "ab"], ["b", "bb", "c"]],
    "the same words again": [["a", "b"], ["a", "b"], ["a", "b", "aa"]],
    "phrases": [["a b", "c"], ["a", "b c a"], ["cab", "abc"], ["b"]],
}


def sentences_of(slots: Slots) -> list[str]:
    return [" ".join(words) for words in itertools.product(*slots)]


@pytest.mark.parametrize("slots", GRAMMARS.values(), ids=GRAMMARS)
@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_the_ctc_loss_of_each_sentence(slots: Slots, seed: int) -> None:
    sentences = sentences_of(slots)
    log_probs = random_log_probs(seed, 1, 14, ABC.vocab_size)
    expected = dict(zip(sentences, ctc_log_probabilities(log_probs[0], sentences, ABC), strict=True))
    [hypotheses] = GrammarDecoder(ABC, slots, n_best=100)(log_probs, all_steps(log_probs))
    assert {h.text: h.score for h in hypotheses} == pytest.approx(
        {text: score for text, score in expected.items() if score > -np.inf}
    )
    assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
    best, *others = hypotheses
    assert best.alignment == align(log_probs[0].double().numpy(), ABC.encode(best.text))
    assert all(h.alignment is None for h in others)


def noisy(sentence: str, seed: int, frames: int = 100) -> Tensor:
    """Log-probabilities (1, frames, V) of a sentence with noise that sometimes outweighs its characters."""
    symbols = [symbol for label in DEFAULT_TOKENIZER.encode(sentence) for symbol in (label, label, 0)]
    path = np.zeros(frames, dtype=int)
    path[10 : 10 + len(symbols)] = symbols
    logits = 2.0 * torch.randn(
        frames, DEFAULT_TOKENIZER.vocab_size, generator=torch.Generator().manual_seed(seed)
    )
    logits[torch.arange(frames), torch.tensor(path)] += 4.0
    return logits.log_softmax(-1)[None]


@pytest.mark.slow
def test_scores_of_all_grid_sentences_equal_the_ctc_loss() -> None:
    sentences = sentences_of(GRID_SLOTS)
    assert len(sentences) == 64_000
    log_probs = noisy("place red in j seven please", seed=1)
    expected = ctc_log_probabilities(log_probs[0], sentences, DEFAULT_TOKENIZER)
    decoder = GrammarDecoder(DEFAULT_TOKENIZER, n_best=5)
    scores = decoder.scores(log_probs[0].double().numpy())
    assert scores.ravel() == pytest.approx(expected, rel=1e-9)
    [hypotheses] = decoder(log_probs, all_steps(log_probs))
    best = np.argsort(-expected)[:5]
    assert [h.text for h in hypotheses] == [sentences[i] for i in best]
    assert hypotheses[0].text == "place red in j seven please"


def word_posteriors(seed: int, frames: int) -> Tensor:
    return random_log_probs(seed, 1, frames, len(WORDS) + 1)


def word_log_probability(log_probs: Tensor, words: list[str]) -> float:
    """Sum over all paths of frame classes that are the words in order, with or without silence between."""
    classes = [1 + WORDS.index(word) for word in words]
    probs = log_probs.double().exp().numpy()
    total = 0.0
    for states in itertools.product(range(2 * len(classes) + 1), repeat=len(probs)):
        steps = np.diff((-1, *states, 2 * len(classes) + 1))
        said = [state for state, _ in groupby(states) if state % 2]
        if (steps >= 0).all() and said == list(range(1, 2 * len(classes), 2)):
            total += np.prod(
                [p[0 if s % 2 == 0 else classes[s // 2]] for p, s in zip(probs, states, strict=True)]
            )
    return float(np.log(total)) if total else -np.inf


@pytest.mark.parametrize("slots", [[["at"]], [["at", "by"], ["a", "b"]], [["at", "a"], ["a"], ["at", "a"]]])
def test_the_word_heads_log_probability_is_added(slots: Slots) -> None:
    log_probs, words = random_log_probs(0, 1, 10, DEFAULT_TOKENIZER.vocab_size), word_posteriors(1, 5)
    sentences = sentences_of(slots)
    ctc = ctc_log_probabilities(log_probs[0], sentences, DEFAULT_TOKENIZER)
    [hypotheses] = GrammarDecoder(DEFAULT_TOKENIZER, slots, 99)(log_probs, torch.tensor([10]), words)
    assert {h.text: h.score for h in hypotheses} == pytest.approx(
        {
            sentence: score + HEADS_WEIGHT * word_log_probability(words[0], sentence.split())
            for sentence, score in zip(sentences, ctc, strict=True)
        }
    )


def test_the_word_heads_decide_between_letters_that_ctc_cannot_tell_apart() -> None:
    log_probs = noisy("bin blue at f two now", seed=0)
    f, s = DEFAULT_TOKENIZER.encode("fs")
    either = torch.logaddexp(log_probs[..., f], log_probs[..., s]) - np.log(2)
    log_probs[..., f] = log_probs[..., s] = either
    words = torch.full((1, 50, len(WORDS) + 1), -6.0)
    said = ["bin", "blue", "at", "s", "two", "now"]
    words[0, :10, 0] = words[0, 40:, 0] = 0.0
    for i, word in enumerate(said):
        words[0, 10 + 5 * i : 15 + 5 * i, 1 + WORDS.index(word)] = 0.0
    [[best]] = GrammarDecoder(DEFAULT_TOKENIZER)(log_probs, torch.tensor([100]), words.log_softmax(-1))
    assert best.text == "bin blue at s two now"


def test_only_ctc_counts_for_words_that_the_heads_do_not_know() -> None:
    slots = [["hello", "bye"], ["now", "soon"]]
    log_probs, words = random_log_probs(0, 1, 20, DEFAULT_TOKENIZER.vocab_size), word_posteriors(1, 20)
    steps = torch.tensor([20])
    assert GrammarDecoder(DEFAULT_TOKENIZER, slots)(log_probs, steps, words) == GrammarDecoder(
        DEFAULT_TOKENIZER, slots
    )(log_probs, steps)


def test_padding_is_ignored_and_too_short_clips_give_the_empty_text() -> None:
    decoder = GrammarDecoder(DEFAULT_TOKENIZER)
    log_probs, words = (
        random_log_probs(0, 3, 60, DEFAULT_TOKENIZER.vocab_size),
        random_log_probs(1, 3, 30, len(WORDS) + 1),
    )
    batch = decoder(log_probs, torch.tensor([60, 50, 12]), words)
    assert batch[0] == decoder(log_probs[:1], torch.tensor([60]), words[:1])[0]
    assert batch[1] == decoder(log_probs[1:2, :50], torch.tensor([50]), words[1:2, :25])[0]
    assert (batch[2][0].text, batch[2][0].steps) == ("", [])  # 12 steps spell no sentence of GRID


def test_texts_are_distinct_and_possible() -> None:
    log_probs = random_log_probs(0, 1, 14, ABC.vocab_size)
    [hypotheses] = GrammarDecoder(ABC, [["a b", "a"], ["c", "b c"]], n_best=9)(
        log_probs, all_steps(log_probs)
    )
    assert sorted(h.text for h in hypotheses) == ["a b b c", "a b c", "a c"]
    [short] = GrammarDecoder(ABC, [["a b", "a"], ["c", "b c"]], n_best=9)(log_probs, torch.tensor([4]))
    assert [h.text for h in short] == ["a c"]


def test_very_improbable_sentences_keep_their_scores() -> None:
    """Twelve slots, with letters 20 nats below the blank in all steps: e**-1000 underflows."""
    log_probs = torch.full((1, 300, DEFAULT_TOKENIZER.vocab_size), -20.0)
    log_probs[..., 0] = 0.0
    [[best]] = GrammarDecoder(DEFAULT_TOKENIZER, [["please", "again"]] * 12)(
        log_probs.log_softmax(-1), torch.tensor([300])
    )
    expected = ctc_log_probabilities(log_probs[0].log_softmax(-1), [best.text], DEFAULT_TOKENIZER)[0]
    assert best.score == pytest.approx(expected) and expected < -1000


def test_long_clips_do_not_underflow() -> None:
    spoken, silence = noisy("set white by o nine soon", 3), on_path("-" * 600, DEFAULT_TOKENIZER)
    log_probs = torch.cat([silence, spoken, silence], 1)
    [[short]] = GrammarDecoder(DEFAULT_TOKENIZER)(spoken, all_steps(spoken))
    [[best]] = GrammarDecoder(DEFAULT_TOKENIZER)(log_probs, all_steps(log_probs))
    score, score_of_short = ctc_log_probabilities(log_probs[0], [best.text, short.text], DEFAULT_TOKENIZER)
    assert best.score == pytest.approx(score) and score >= score_of_short


# Grammar files


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("g.yaml", "- [Bin, lay]\n- [on, no]\n", [["bin", "lay"], ["on", "no"]]),
        ("g.yml", "command: [bin, lay]\ndigit: [one, two, one]\n", [["bin", "lay"], ["one", "two"]]),
        ("g.yaml", "- yes\n- no\n", frozenset({"yes", "no"})),
        ("g.txt", "yes\nno\nMay be\n", frozenset({"yes", "no", "may", "be"})),
        ("g", "yes", frozenset({"yes"})),
        ("g.yaml", "- ice cream\n- well-known\n", frozenset({"ice", "cream", "well", "known"})),
    ],
)
def test_grammar_files(name: str, content: str, expected: object, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert read_grammar(tmp_path / name, DEFAULT_TOKENIZER) == expected


@pytest.mark.parametrize("content", ["", "- [a, [b]]\n", "- []\n", "{a: b}\n", "- [a\n", "- a\n- [b]\n"])
def test_broken_grammar_files(content: str, tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(content)
    with pytest.raises(DecodeError, match=r"g\.yaml: (not a|cannot read the) grammar"):
        read_grammar(tmp_path / "g.yaml", DEFAULT_TOKENIZER)


def test_a_missing_grammar_file_and_words_outside_the_alphabet(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=r"no\.yaml: cannot read the grammar"):
        read_grammar(tmp_path / "no.yaml", DEFAULT_TOKENIZER)
    for content, complaint in (
        ("- [7, 8]\n", "'7'"),
        ('- [now, ""]\n', "'' is not a word"),
        ("- [a, '-']\n", "'-' is"),
    ):
        (tmp_path / "g.yaml").write_text(content)
        with pytest.raises(DecodeError, match=rf"g\.yaml: .*{complaint}"):
            read_grammar(tmp_path / "g.yaml", DEFAULT_TOKENIZER)


@pytest.mark.parametrize(
    "slots", [[list("abcdefghij")] * 7, [list(map("".join, itertools.product("abcd", repeat=8)))]]
)
def test_a_grammar_of_too_many_sentences_is_an_error(slots: Slots) -> None:
    with pytest.raises(DecodeError, match=r"\d+,\d+ sentences.*plain list"):
        GrammarDecoder(DEFAULT_TOKENIZER, slots)


def test_the_decoder_uses_the_grammar_file(tmp_path: Path) -> None:
    log_probs = noisy("bin blue at f two now", seed=0)
    (tmp_path / "slots.yaml").write_text(
        "- [bin, lay]\n- [blue, green]\n- [at, by]\n- [s, g]\n- [two]\n- [now]\n"
    )
    (tmp_path / "words.txt").write_text("bin lay blue green at by s g two now")
    read = {}
    for name in ("slots.yaml", "words.txt"):
        decoder = make_decoder("grammar", DEFAULT_TOKENIZER, DecoderOptions(grammar=tmp_path / name))
        read[name] = decoder(log_probs, all_steps(log_probs))[0][0].text
    assert read["slots.yaml"] in ("bin blue at s two now", "bin blue at g two now")
    assert set(read["words.txt"].split()) <= {
        "bin",
        "lay",
        "blue",
        "green",
        "at",
        "by",
        "s",
        "g",
        "two",
        "now",
    }
