"""Decoders by name, and their command-line arguments."""

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
from lipnet.decoding.lexicon import GRID_WORDS, DictionaryDecoder, read_dictionary
from lipnet.decoding.lm_scorers import WordListScorer, make_lm_scorer
from lipnet.grid import WORDS
from lipnet.tokenizer import Tokenizer
from lipnet.weights import LANGUAGE_MODEL

AUTO = "auto"  # stands for the decoder that suits the weights, see `resolve_decoder`


@dataclass(frozen=True)
class DecoderOptions:
    """Options of the decoders. Each file belongs to the decoder of the same name."""

    lm: Path | None = None  # ARPA file of a character or word model; None: the shipped model
    grammar: Path | None = None  # slots or a word list; None: GRID's slots
    dictionary: Path | None = None  # a word list, with or without counts; None: GRID's words
    n_best: int = 1  # maximal number of hypotheses a clip; greedy and dictionary return one

    @property
    def files(self) -> dict[str, Path]:
        """The files that are given, by the names of their decoders."""
        files = {"lm": self.lm, "grammar": self.grammar, "dictionary": self.dictionary}
        return {name: path for name, path in files.items() if path is not None}

    @property
    def file(self) -> Path | None:
        """The file that is given, if any; ``make_decoder`` accepts only one."""
        return next(iter(self.files.values()), None)


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
    counts = read_dictionary(options.dictionary, tokenizer) if options.dictionary else GRID_WORDS
    return DictionaryDecoder(tokenizer, counts)


DECODERS: dict[str, Callable[[Tokenizer, DecoderOptions], Decoder]] = {
    "greedy": _greedy,
    "beam": _beam,
    "lm": _lm,
    "grammar": _grammar,
    "dictionary": _dictionary,
}


def resolve_decoder(
    name: str, tokenizer: Tokenizer, options: DecoderOptions | None = None, grid_only: bool = False
) -> str:
    """The decoder that a name stands for: itself, except for ``auto``.

    ``auto`` is the decoder whose file is given. Without a file it is ``grammar`` where the weights know only
    GRID sentences, else ``beam``.

    Args:
        grid_only: whether the weights know only GRID sentences (``Metadata.grid_only``).
    """
    if name != AUTO:
        return name
    files = list((options or DecoderOptions()).files)
    if files:
        return files[0]
    can_spell_grid = set(" ".join(WORDS)) <= set(tokenizer.alphabet)
    return "grammar" if grid_only and can_spell_grid else "beam"


def make_decoder(name: str, tokenizer: Tokenizer, options: DecoderOptions | None = None) -> Decoder:
    """The decoder called ``name``, one of ``DECODERS``.

    Raises:
        DecodeError: an unknown name, a file for another decoder, or an unusable grammar or dictionary.
        LipnetError: an unusable language model, or one that does not fit the alphabet.
    """
    if name not in DECODERS:
        raise DecodeError(f"unknown decoder {name!r}: choose one of {', '.join((AUTO, *DECODERS))}")
    options = options or DecoderOptions()
    for owner in options.files:
        if owner != name:
            raise DecodeError(f"--{owner} is for the decoder {owner}, not {name}: add --decoder {owner}")
    return DECODERS[name](tokenizer, options)


def add_decoder_arguments(parser: ArgumentParser) -> None:
    """Add ``--decoder`` and the decoders' files to a script's command line."""
    add = parser.add_argument
    names = ", ".join((AUTO, *DECODERS))
    add("--decoder", default=AUTO, help=f"one of {names} (default: auto: the one that suits the weights)")
    add("--lm", type=Path, help="ARPA file for the decoder lm (default: a model of GRID's sentences)")
    add("--grammar", type=Path, help="slots or word list for the decoder grammar (default: GRID's slots)")
    add("--dictionary", type=Path, help="word list for the decoder dictionary (default: GRID's words)")


def decoder_options(args: Namespace, n_best: int = 1) -> DecoderOptions:
    """The options from arguments that were added by ``add_decoder_arguments``."""
    return DecoderOptions(args.lm, args.grammar, args.dictionary, n_best)
