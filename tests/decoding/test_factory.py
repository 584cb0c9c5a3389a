"""The interface that all decoders share, and the factory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from posteriors import all_steps, random_log_probs

from lipnet.decoding.arpa import save_arpa
from lipnet.decoding.base import DecodeError, Decoder
from lipnet.decoding.factory import DECODERS, DecoderOptions, make_decoder, resolve_decoder
from lipnet.decoding.forced_alignment import align
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.decoding.lexicon import DictionaryDecoder
from lipnet.decoding.ngram import estimate
from lipnet.errors import LipnetError
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer


@pytest.fixture
def options(tmp_path: Path) -> dict[str, DecoderOptions]:
    """Options of each decoder that need none of the shipped files."""
    arpa = tmp_path / "c.arpa"
    save_arpa(estimate([list("bin blue at f two now")], 3, vocabulary=DEFAULT_TOKENIZER.alphabet), arpa)
    return {name: DecoderOptions(lm=arpa if name == "lm" else None, n_best=3) for name in DECODERS}


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest, options: dict[str, DecoderOptions]) -> Decoder:
    return make_decoder(request.param, DEFAULT_TOKENIZER, options[request.param])


def test_padding_steps_are_ignored(decoder: Decoder) -> None:
    log_probs, words = (
        random_log_probs(0, 3, 80, DEFAULT_TOKENIZER.vocab_size),
        random_log_probs(1, 3, 40, 52),
    )
    lengths = torch.tensor([80, 70, 0])
    batch = decoder(log_probs, lengths, words)
    single = [
        decoder(log_probs[i : i + 1, :n], torch.tensor([n]), words[i : i + 1, : n // 2])[0]
        for i, n in enumerate(lengths.tolist()[:2])
    ]
    other = log_probs.clone()
    other[1, 70:] = other[2] = random_log_probs(2, DEFAULT_TOKENIZER.vocab_size)
    assert batch[:2] == single == decoder(other, lengths, words)[:2]
    assert (batch[2][0].text, batch[2][0].steps) == ("", [])


def test_hypotheses_are_sorted_unique_and_in_time_order(decoder: Decoder) -> None:
    log_probs = random_log_probs(3, 2, 70, DEFAULT_TOKENIZER.vocab_size)
    for hypotheses in decoder(log_probs, all_steps(log_probs)):
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == (1 if isinstance(decoder, (GreedyDecoder, DictionaryDecoder)) else 3)
        assert len({h.text for h in hypotheses}) == len(hypotheses)
        best, *others = hypotheses
        assert len(best.steps) == len(best.text)
        assert best.steps == sorted(set(best.steps)) and set(best.steps) <= set(range(70))
        assert all(h.alignment is None for h in others)


def test_the_path_score_is_that_of_the_best_path_of_the_text(decoder: Decoder) -> None:
    log_probs = random_log_probs(4, 1, 70, DEFAULT_TOKENIZER.vocab_size, sharpness=4.0)
    best = decoder(log_probs, all_steps(log_probs))[0][0]
    assert best.text
    clip = log_probs[0].double().numpy()
    assert best.path_score == pytest.approx(align(clip, DEFAULT_TOKENIZER.encode(best.text)).score)


def test_the_error_of_an_unknown_decoder_lists_the_known_ones() -> None:
    with pytest.raises(DecodeError, match=r"'best'.*greedy, beam, lm, grammar, dictionary"):
        make_decoder("best", DEFAULT_TOKENIZER)


def test_a_file_for_another_decoder_is_an_error() -> None:
    with pytest.raises(DecodeError, match="--lm is for the decoder lm, not beam: add --decoder lm"):
        make_decoder("beam", DEFAULT_TOKENIZER, DecoderOptions(lm=Path("x.arpa")))
    with pytest.raises(DecodeError, match="--grammar is for the decoder grammar"):
        make_decoder("lm", DEFAULT_TOKENIZER, DecoderOptions(grammar=Path("x.yaml")))


@pytest.mark.parametrize("option", ["lm", "grammar"])
def test_a_missing_file_is_an_error(option: str, tmp_path: Path) -> None:
    with pytest.raises(LipnetError, match="none"):
        make_decoder(option, DEFAULT_TOKENIZER, DecoderOptions(**{option: tmp_path / "none"}))


@pytest.mark.parametrize(
    ("name", "options", "alphabet", "grid_only", "resolved"),
    [
        ("auto", DecoderOptions(), DEFAULT_TOKENIZER.alphabet, True, "grammar"),
        ("auto", DecoderOptions(), DEFAULT_TOKENIZER.alphabet, False, "beam"),
        ("auto", DecoderOptions(), "abc ", True, "beam"),
        ("auto", DecoderOptions(lm=Path("x.arpa")), DEFAULT_TOKENIZER.alphabet, True, "lm"),
        ("auto", DecoderOptions(dictionary=Path("x.txt")), DEFAULT_TOKENIZER.alphabet, False, "dictionary"),
        ("greedy", DecoderOptions(), DEFAULT_TOKENIZER.alphabet, True, "greedy"),
    ],
)
def test_auto_stands_for_the_decoder_that_suits_the_weights(
    name: str, options: DecoderOptions, alphabet: str, grid_only: bool, resolved: str
) -> None:
    assert resolve_decoder(name, Tokenizer(alphabet), options, grid_only) == resolved
