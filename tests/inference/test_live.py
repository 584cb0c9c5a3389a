"""Live reading, with files replayed in the camera's place."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_video import CROP, FakeTracker, Script, sentences

from lipnet.config import ModelConfig
from lipnet.cropping.cropper import NoFaceError
from lipnet.grid import WORDS
from lipnet.inference.emissions import Emissions
from lipnet.inference.live import Heard, listen
from lipnet.inference.reader import LipReader
from lipnet.models.metadata import Metadata
from lipnet.tokenizer import BLANK, DEFAULT_TOKENIZER


class Backend:
    """Says by characters, too, what a script shows."""

    metadata = Metadata(ModelConfig(word_heads=True), CROP)

    def __init__(self, script: Script) -> None:
        self.script = script

    def __call__(self, clips: list[np.ndarray]) -> list[Emissions]:
        return [self.spell(self.script.backend(clip)) for clip in clips]

    def spell(self, emissions: Emissions) -> Emissions:
        numbers = emissions.log_probs[:, 0].astype(int)
        p = np.full((len(numbers), DEFAULT_TOKENIZER.vocab_size), 1e-5)
        p[:, BLANK] = 1
        for row, number in enumerate(numbers):
            word = self.script.classes[number]
            start = number
            while start and self.script.classes[start - 1] == word:
                start -= 1
            place, odd = divmod(number - start, 2)
            if word and not odd and place < len(WORDS[word - 1]):
                p[row, BLANK], p[row, DEFAULT_TOKENIZER.encode(WORDS[word - 1][place])[0]] = 1e-5, 1
        return emissions._replace(log_probs=np.log(p / p.sum(1, keepdims=True)).astype(np.float32))


def reader_of(script: Script) -> LipReader:
    reader = LipReader(Backend(script))  # type: ignore[arg-type]
    reader.cropper.tracker = FakeTracker()  # type: ignore[assignment]
    return reader


def test_words_come_before_their_sentence_has_ended() -> None:
    script = Script(sentences(50, 60, pause=30))
    heard = list(listen(reader_of(script), script.frames()))
    final = [item for item in heard if item.sentence is not None]
    assert [item.text for item in final] == [WORDS[0], WORDS[1]]
    assert [(s.start, s.end) for _, s in final if s] == [(1.2, 3.2), (4.4, 6.8)]
    assert heard.index(Heard(WORDS[0], None)) < heard.index(final[0])
    assert heard.index(final[0]) < heard.index(Heard(WORDS[1], None)) < heard.index(final[1])


def test_a_file_without_a_face_ends_in_an_error() -> None:
    script = Script([0] * 60, [False] * 60)
    with pytest.raises(NoFaceError, match="door: no face in its 60 frames"):
        list(listen(reader_of(script), script.frames(), "door"))
