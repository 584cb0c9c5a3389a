"""All decoders by their names."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lipnet.decoding.arpa import load_arpa
from lipnet.decoding.base import DecodeError, Decoder
from lipnet.decoding.beam_search import BeamSearchDecoder
from lipnet.decoding.grammar import GRID_SLOTS, GrammarDecoder, read_grammar
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.decoding.lexicon import DictionaryDecoder, read_dictionary
from lipnet.decoding.lm_scorers import WordListScorer, make_lm_scorer
from lipnet.tokenizer import Tokenizer
from lipnet.weights import LANGUAGE_MODEL


@dataclass(frozen=True)
class DecoderOptions:
    """What some decoders can be told."""

    lm: Path | None = None  # ARPA file of a character or word model; None: the shipped one
    grammar: Path | None = None  # slots or a word list; None: GRID's slots
    dictionary: Path | None = None  # a word list, with counts or without; None: GRID's words
    n_best: int = 1  # hypotheses a clip, at most; greedy and dictionary have one

    @property
    def file(self) -> Path | None:
        """The one that is given, if any."""
        return self.lm or self.grammar or self.dictionary


def _greedy(tokenizer: Tokenizer, options: DecoderOptions) -> Decoder:
    return GreedyDecoder(tokenizer)


def _beam(tokenizer: Tokenizer, options: DecoderOptions) -> Decoder:
    return BeamSearchDecoder(tokenizer, n_best=options.n_best)


def _lm(tokenizer: Tokenizer, options: DecoderOptions) -> Decoder:
    scorer = make_lm_scorer(load_arpa(options.lm or LANGUAGE_MODEL), tokenizer)
    return BeamSearchDecoder(tokenizer, n_best=options.n_best, scorer=scorer)


def _grammar(tokenizer: Tokenizer, options: DecoderOptions) -> Decoder:
    grammar = read_grammar(options.grammar, tokenizer) if options.grammar else GRID_SLOTS
    if isinstance(grammar, frozenset):
        return BeamSearchDecoder(tokenizer, n_best=options.n_best, scorer=WordListScorer(tokenizer, grammar))
    return GrammarDecoder(tokenizer, grammar, options.n_best)


def _dictionary(tokenizer: Tokenizer, options: DecoderOptions) -> Decoder:
    if options.dictionary is None:
        return DictionaryDecoder(tokenizer)
    return DictionaryDecoder(tokenizer, read_dictionary(options.dictionary, tokenizer))


DECODERS: dict[str, Callable[[Tokenizer, DecoderOptions], Decoder]] = {
    "greedy": _greedy,
    "beam": _beam,
    "lm": _lm,
    "grammar": _grammar,
    "dictionary": _dictionary,
}


def make_decoder(name: str, tokenizer: Tokenizer, options: DecoderOptions | None = None) -> Decoder:
    """The decoder called ``name``, one of ``DECODERS``.

    Raises DecodeError on an unknown name or grammar file, NGramError on a language model's file.
    """
    if name not in DECODERS:
        raise DecodeError(f"unknown decoder {name!r}: choose one of {', '.join(DECODERS)}")
    options = options or DecoderOptions()
    for option in ("lm", "grammar", "dictionary"):  # each is called like its decoder
        if getattr(options, option) is not None and name != option:
            raise DecodeError(f"--{option} is for the decoder {option}, not {name}: add --decoder {option}")
    return DECODERS[name](tokenizer, options)


def add_decoder_arguments(parser: ArgumentParser) -> None:
    """What scripts that decode are told on the command line."""
    add = parser.add_argument
    add("--decoder", default="greedy", help=f"{', '.join(DECODERS)} (default: greedy)")
    add("--lm", type=Path, help="ARPA file for the decoder lm (default: GRID's sentences)")
    add("--grammar", type=Path, help="slots or word list for grammar (default: GRID's slots)")
    add("--dictionary", type=Path, help="word list for dictionary (default: GRID's words)")


def decoder_options(args: Namespace, n_best: int = 1) -> DecoderOptions:
    return DecoderOptions(args.lm, args.grammar, args.dictionary, n_best)
