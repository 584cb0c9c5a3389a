"""What the report shows of single clips: those with most errors, and saliency of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lipnet.analysis import figures
from lipnet.analysis.rates import counts_of
from lipnet.analysis.reading import Reading, texts_of
from lipnet.analysis.saliency import pixel_gradient, saliency
from lipnet.cropping.landmarks import clip_features
from lipnet.data.crop_store import CropStore, StoredClip
from lipnet.decoding.factory import make_decoder
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.grid import FRAME_RATE
from lipnet.inference.sentences import N_BEST
from lipnet.inference.torch_backend import TorchBackend
from lipnet.metrics import matched_words
from lipnet.tokenizer import Tokenizer

WORST = 20  # clips
SALIENT_WORDS = 4  # of different clips
CONTEXT = 2  # frames before and after a word


def worst_clips(reading: Reading, store: CropStore, clips: Sequence[StoredClip]) -> list[dict[str, Any]]:
    """The WORST clips with any error, those with the highest word error rate first."""
    texts = texts_of(reading.main)
    counts = counts_of(reading.main.targets, texts)
    wrong = [i for i, one in enumerate(counts) if one.sentence_errors]
    wrong.sort(key=lambda i: (-counts[i].wer, -counts[i].cer, clips[i].name))
    metadata = reading.network.metadata
    tokenizer = Tokenizer(metadata.model.alphabet)
    decoder = make_decoder(reading.decoder, tokenizer, reading.options(N_BEST))
    symbols = ["-", *("␣" if symbol == " " else symbol for symbol in metadata.model.alphabet)]
    result = []
    for i in wrong[:WORST]:
        clip, emitted = clips[i], reading.emissions[clips[i].name]
        words = None if emitted.word_log_probs is None else emitted.word_log_probs[None]
        [ranked] = decoder(emitted.log_probs[None], [len(emitted.log_probs)], words)
        rate = FRAME_RATE * emitted.steps_per_frame
        crops = store.crops(clip)
        result.append(
            {
                "name": clip.name,
                "target": clip.sentence,
                "errors": counts[i].word_errors,
                "words": counts[i].words,
                "n_best": [(one.text, one.score) for one in ranked],
                "strip": figures.crop_strip(crops) if crops.size else "",
                "posteriorgram": figures.posteriorgram(emitted.log_probs, symbols, rate, clip.name),
            }
        )
    return result


def salient_words(
    reading: Reading, store: CropStore, clips: Sequence[StoredClip]
) -> tuple[list[tuple[str, str]], str]:
    """Caption and picture of some words that greedy search reads right; or none, and the reason."""
    network = reading.network
    if not isinstance(network, TorchBackend):
        return [], "Saliency: gradients need weights of PyTorch, not an .onnx file."
    config = network.metadata.model
    if "pixels" not in config.streams:
        return [], "Saliency: the weights read landmarks only, not pixels."
    greedy = GreedyDecoder(Tokenizer(config.alphabet))
    pictures: list[tuple[str, str]] = []
    for clip in sorted(clips, key=lambda clip: clip.name):
        log_probs = reading.emissions[clip.name].log_probs
        [[read]] = greedy(log_probs[None], [len(log_probs)])
        matched = zip(read.words, matched_words(clip.sentence, read.text), strict=True)
        spans = [span for span, place in matched if place is not None and len(span.word) > 1]
        if not spans:
            continue
        span = spans[len(pictures) % len(spans)]  # another place of the sentence in each clip
        crops = np.array(store.crops(clip))
        features = clip_features(store.landmarks(clip), config.landmark_input)
        steps = slice(span.first, span.last + 1)
        _, gradient = pixel_gradient(network.model, crops, steps, features)
        rate = config.outputs_per_frame
        shown = slice(max(0, span.first // rate - CONTEXT), span.last // rate + 1 + CONTEXT)
        picture = figures.saliency_strip(crops[shown], saliency(gradient[shown]))
        pictures.append((f"{span.word} in {clip.name}, with {CONTEXT} frames before and after", picture))
        if len(pictures) == SALIENT_WORDS:
            break
    return pictures, "" if pictures else "Saliency: greedy search reads no word right."
