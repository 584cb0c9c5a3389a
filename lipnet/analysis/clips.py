"""What the report shows of single clips: those with most errors, and saliency of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from lipnet.analysis.clip_figures import TimedWord, clip_figure, saliency_figure
from lipnet.analysis.rates import counts_of
from lipnet.analysis.reading import Reading, texts_of
from lipnet.analysis.saliency import pixel_gradient, saliency
from lipnet.cropping.landmarks import clip_features
from lipnet.data.crop_store import CropStore, StoredClip
from lipnet.decoding.base import Hypothesis, WordSpan
from lipnet.decoding.factory import make_decoder
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.grid import FRAME_RATE
from lipnet.inference.emissions import Emissions
from lipnet.inference.sentences import N_BEST
from lipnet.inference.timestamps import Span, word_timestamps
from lipnet.inference.torch_backend import TorchBackend
from lipnet.metrics import matched_words, words_right
from lipnet.tokenizer import Tokenizer

WORST = 20  # clips
SALIENT_WORDS = 6  # of different clips
TRIES = 18  # words whose gradient is computed, at most
CONTEXT = 2  # frames before and after a word
BLANK, SPACE = "·", "␣"  # below the frames of a word


def worst_clips(reading: Reading, store: CropStore, clips: Sequence[StoredClip]) -> list[dict[str, Any]]:
    """The WORST clips with any error, those with the highest word error rate first."""
    counts = counts_of(reading.main.targets, texts_of(reading.main))
    wrong = [i for i, one in enumerate(counts) if one.sentence_errors]
    wrong.sort(key=lambda i: (-counts[i].wer, -counts[i].cer, clips[i].name))
    metadata = reading.network.metadata
    tokenizer = Tokenizer(metadata.model.alphabet)
    decoder = make_decoder(reading.decoder, tokenizer, reading.options(N_BEST))
    result = []
    for i in tqdm(wrong[:WORST], unit="clip", leave=False):
        clip, emitted = clips[i], reading.emissions[clips[i].name]
        words = None if emitted.word_log_probs is None else emitted.word_log_probs[None]
        [ranked] = decoder(emitted.log_probs[None], [len(emitted.log_probs)], words)
        rate = FRAME_RATE * emitted.steps_per_frame
        symbols = ["", *metadata.model.alphabet]
        lines = {"said": _said(clip), "read": _read(clip, reading.main.predictions[i], emitted)}
        figure = clip_figure(store.crops(clip), lines, emitted.log_probs, symbols, rate, clip.name)
        result.append(
            {
                "name": clip.name,
                "target": clip.sentence,
                "errors": counts[i].word_errors,
                "words": counts[i].words,
                "n_best": [(_marked(clip.sentence, one.text), f"{one.score:.1f}") for one in ranked],
                "figure": figure,
            }
        )
    return result


def _marked(target: str, text: str) -> list[tuple[str, bool]]:
    """The words of a text, and whether each is right."""
    return list(zip(text.split(), words_right(target, text), strict=True))


def _said(clip: StoredClip) -> list[TimedWord]:
    """The words of the clip's alignment; none without one."""
    return [TimedWord(word.text, word.start / FRAME_RATE, word.end / FRAME_RATE) for word in clip.words]


def _read(clip: StoredClip, best: Hypothesis, emitted: Emissions) -> list[TimedWord]:
    """The words that were read, at the times that were found."""
    times = word_timestamps(best, emitted)
    return [
        TimedWord(word, start / FRAME_RATE, end / FRAME_RATE, right)
        for (word, right), (start, end) in zip(_marked(clip.sentence, best.text), times, strict=True)
    ]


class SalientWord(NamedTuple):
    """A word that greedy search reads right."""

    clip: StoredClip
    span: WordSpan  # on the greedy path
    time: Span  # frames in which it is said, as far as is known from the emissions
    place: int  # in the sentence
    score: float  # mean log-probability of the path within the span

    def is_in_time(self, steps_per_frame: int) -> bool:
        """Whether the path spells the word when it is said: CTC may do so much earlier or later."""
        first, last = self.span.first // steps_per_frame, self.span.last // steps_per_frame
        return self.time[0] - CONTEXT <= first and last < self.time[1] + CONTEXT


def salient_words(
    reading: Reading, store: CropStore, clips: Sequence[StoredClip]
) -> tuple[list[tuple[str, str]], str]:
    """Caption and figure of some words that greedy search reads right; or none, and the reason."""
    network = reading.network
    if not isinstance(network, TorchBackend):
        return [], "Saliency: gradients need weights of PyTorch, not an .onnx file."
    config = network.metadata.model
    if "pixels" not in config.streams:
        return [], "Saliency: the weights read landmarks only, not pixels."
    rest = _readable_words(reading, clips)
    if not rest:
        return [], "Saliency: greedy search reads no word right."
    figures: list[tuple[SalientWord, str]] = []
    failed: list[SalientWord] = []
    for _ in tqdm(range(TRIES), unit="word", leave=False):
        if not rest or len(figures) == SALIENT_WORDS:
            break
        word = next_word(rest, [other for other, _ in figures], failed, config.outputs_per_frame)
        rest = [other for other in rest if other.clip.name != word.clip.name]
        if figure := _saliency_figure(word, network, reading.emissions[word.clip.name], store):
            figures.append((word, figure))
        else:
            failed.append(word)
    figures.sort(key=lambda pair: pair[0].place)
    shown = [(f"“{word.span.word}”, {word.clip.name}", figure) for word, figure in figures]
    return shown, "" if shown else "Saliency: the pixels do not change the texts, only the landmarks do."


def _saliency_figure(word: SalientWord, network: TorchBackend, emitted: Emissions, store: CropStore) -> str:
    """The frames of a word with their saliency; empty if no pixel changes the output.

    So it is where a network of two streams takes the characters from the landmarks.
    """
    config, rate = network.metadata.model, emitted.steps_per_frame
    crops = np.array(store.crops(word.clip))
    features = clip_features(store.landmarks(word.clip), config.landmark_input)
    steps = slice(word.span.first, word.span.last + 1)
    _, gradient = pixel_gradient(network.model, crops, steps, features)
    shown = slice(max(0, int(word.time[0]) - CONTEXT), int(word.time[1]) + CONTEXT)
    if not gradient[shown].any():
        return ""
    symbols = [BLANK, *(SPACE if symbol == " " else symbol for symbol in config.alphabet)]
    path = [symbols[symbol] for symbol in emitted.log_probs.argmax(axis=1).tolist()]
    labels = ["".join(path[frame * rate : (frame + 1) * rate]) for frame in range(len(crops))]
    name = f"saliency of {word.clip.name}"
    return saliency_figure(crops[shown], saliency(gradient[shown]), labels[shown], name)


def _readable_words(reading: Reading, clips: Sequence[StoredClip]) -> list[SalientWord]:
    """All words that greedy search reads right."""
    greedy = GreedyDecoder(Tokenizer(reading.network.metadata.model.alphabet))
    found = []
    for clip in clips:
        emitted = reading.emissions[clip.name]
        [[best]] = greedy(emitted.log_probs[None], [len(emitted.log_probs)])
        times = word_timestamps(best, emitted)
        places = matched_words(clip.sentence, best.text)
        path = emitted.log_probs.max(axis=1)
        for span, time, place in zip(best.words, times, places, strict=True):
            if place is not None:
                score = float(path[span.first : span.last + 1].mean())
                found.append(SalientWord(clip, span, time, place, score))
    return found


def next_word(
    words: Sequence[SalientWord],
    chosen: Sequence[SalientWord],
    failed: Sequence[SalientWord],
    steps_per_frame: int,
) -> SalientWord:
    """The word that is shown beside those that were chosen before; ``failed``: those without saliency.

    One of the place in the sentence that is chosen least; of several, of the speaker whose words of this
    place failed least; then one that the path spells when it is said; then of the speaker that is chosen
    least; then the one whose path is most probable.
    """
    places = Counter(word.place for word in chosen)
    speakers = Counter(word.clip.speaker for word in chosen)
    failures = Counter((word.place, word.clip.speaker) for word in failed)
    return min(
        words,
        key=lambda word: (
            places[word.place],
            failures[word.place, word.clip.speaker],
            not word.is_in_time(steps_per_frame),
            speakers[word.clip.speaker],
            -word.score,
            word.clip.name,
        ),
    )
