"""Emissions of one utterance -> a sentence with its words, times and confidences."""

from __future__ import annotations

from collections.abc import Sequence

from lipnet.decoding.base import Hypothesis
from lipnet.decoding.factory import AUTO, DecoderOptions, make_decoder, resolve_decoder
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.grid import FRAME_RATE
from lipnet.inference.confidence import confidences, word_features
from lipnet.inference.emissions import Emissions
from lipnet.inference.quality import path_score_gap, worst_word_gap
from lipnet.inference.timestamps import word_timestamps
from lipnet.inference.transcript import Alternative, Sentence, TranscribedWord
from lipnet.models.metadata import Metadata
from lipnet.tokenizer import Tokenizer

N_BEST = 5  # texts of a sentence in a transcript, at most


class SentenceDecoder:
    """A decoder with all that turns its hypotheses into sentences."""

    def __init__(self, metadata: Metadata, name: str = AUTO, options: DecoderOptions | None = None) -> None:
        """``metadata`` is that of the network that computes the emissions.

        ``self.name`` is the decoder that ``name`` stands for.

        Raises LipnetError on a decoder that cannot be used.
        """
        options = options or DecoderOptions(n_best=N_BEST)
        own_file = options.file is not None  # a language model, grammar or dictionary of the user
        self.tokenizer = Tokenizer(metadata.model.alphabet)
        self.name = name = resolve_decoder(name, self.tokenizer, options, metadata.grid_only)
        # The calibration was fitted with the decoder's default file.
        self.calibration = None if own_file else metadata.calibration.get(name)
        self.grid_only = not own_file and metadata.grid_only
        self._decode = make_decoder(name, self.tokenizer, options)
        self._greedy = GreedyDecoder(self.tokenizer)

    def hypotheses(self, emissions: Emissions) -> list[Hypothesis]:
        """The texts of one clip, best first."""
        log_probs, words = emissions.log_probs, emissions.word_log_probs
        [hypotheses] = self._decode(log_probs[None], [len(log_probs)], None if words is None else words[None])
        return hypotheses

    def partial_text(self, emissions: Emissions) -> str:
        """The text, by greedy search, of an utterance that has not ended."""
        [[hypothesis]] = self._greedy(emissions.log_probs[None], [len(emissions.log_probs)])
        return _single_spaced(hypothesis.text)

    def __call__(self, emissions: Emissions, first: int = 0) -> Sentence | None:
        """The sentence of one utterance, which begins in frame ``first`` of the video.

        None without a word.
        """
        hypotheses = self.hypotheses(emissions)
        best = hypotheses[0]
        times = word_timestamps(best, emissions)
        if not times:
            return None
        features = word_features(best, times, emissions, self.tokenizer)
        probabilities = confidences(features, self.calibration)
        words = [
            TranscribedWord(span.word, _seconds(first + start), _seconds(first + end), round(float(p), 4))
            for span, (start, end), p in zip(best.words, times, probabilities, strict=True)
        ]
        return Sentence(
            text=_single_spaced(best.text),
            start=words[0].start,
            end=words[-1].end,
            confidence=round(float(probabilities.mean()), 4),
            words=words,
            n_best=_alternatives(hypotheses),
            path_score_gap=path_score_gap(best, times, emissions),
            word_gap=worst_word_gap(times, [span.word for span in best.words], emissions),
            emissions=emissions,
            first_frame=first,
        )


def _single_spaced(text: str) -> str:
    """CTC can write a space twice, with a blank between."""
    return " ".join(text.split())


def _alternatives(hypotheses: Sequence[Hypothesis]) -> list[Alternative]:
    """Texts that differ in words, each with its best score."""
    scores: dict[str, float] = {}
    for hypothesis in hypotheses:
        scores.setdefault(_single_spaced(hypothesis.text), round(hypothesis.score, 4))
    return [Alternative(text, score) for text, score in scores.items()]


def _seconds(frame: float) -> float:
    return round(frame / FRAME_RATE, 3)
