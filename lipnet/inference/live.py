"""Live lip reading from a camera, stream or file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from lipnet.decoding.greedy import GreedyDecoder
from lipnet.inference.emissions import Emissions
from lipnet.inference.reader import LipReader
from lipnet.inference.streaming import Reading
from lipnet.inference.transcript import Sentence


class Heard(NamedTuple):
    """What is said so far; with ``sentence`` once it has ended, which may correct it."""

    text: str
    sentence: Sentence | None


def listen(reader: LipReader, frames: Iterable[np.ndarray], name: str = "camera") -> Iterator[Heard]:
    """Read frames, (H, W, 3) uint8 RGB at 25 a second, as they come.

    Yields every second what is said in a sentence that has not ended, by greedy decoding, and each sentence
    with the reader's decoder when it has. Raises NoFaceError at the end if no frame has shown a face.
    """
    reading = Reading(reader.cropper, name, live=True)
    greedy = GreedyDecoder(reader.tokenizer)
    requests = reading.run(frames)
    emissions: Emissions | None = None  # what a generator is sent first
    ended = False
    while not ended:
        crops = None
        try:
            crops = requests.send(emissions)  # type: ignore[arg-type]
        except StopIteration:
            ended = True
        yield from (Heard(sentence.text, sentence) for sentence, _ in reader.sentences(reading))
        if crops is not None:
            [emissions] = reader.backend([crops])
        elif reading.current is not None:
            log_probs = reading.current.emissions.log_probs
            [[hypothesis]] = greedy(log_probs[None], [len(log_probs)])
            yield Heard(hypothesis.text, None)
