"""Live transcription, of scripted videos in place of a camera."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_video import ScriptedBackend, ScriptedVideo, fake_cropper, sentences

from lipnet.cropping.cropper import NoFaceError
from lipnet.grid import WORDS
from lipnet.inference.emissions import Emissions
from lipnet.inference.reader import LipReader, LiveText
from lipnet.tokenizer import BLANK, DEFAULT_TOKENIZER


class SpellingBackend(ScriptedBackend):
    """Emits the characters of each word, too: one every second frame from the word's start."""

    def emissions(self, numbers: np.ndarray) -> Emissions:
        p = np.full((len(numbers), DEFAULT_TOKENIZER.vocab_size), 1e-5)
        p[:, BLANK] = 1
        for row, number in enumerate(numbers):
            word = self.video.classes[number]
            start = number
            while start and self.video.classes[start - 1] == word:
                start -= 1
            place, odd = divmod(number - start, 2)
            if word and not odd and place < len(WORDS[word - 1]):
                p[row, BLANK], p[row, DEFAULT_TOKENIZER.encode(WORDS[word - 1][place])[0]] = 1e-5, 1
        log_probs = np.log(p / p.sum(1, keepdims=True)).astype(np.float32)
        return super().emissions(numbers)._replace(log_probs=log_probs)


def reader_of(video: ScriptedVideo) -> LipReader:
    reader = LipReader(SpellingBackend(video))
    reader.cropper = fake_cropper()
    return reader


def test_words_come_before_their_sentence_has_ended() -> None:
    video = ScriptedVideo(sentences(50, 60, pause=30))
    live = list(reader_of(video).listen(video.frames()))
    final = [item for item in live if item.sentence is not None]
    assert [item.text for item in final] == [WORDS[0], WORDS[1]]
    assert [(s.start, s.end) for _, s in final if s] == [(1.2, 3.2), (4.4, 6.8)]
    assert live.index(LiveText(WORDS[0], None)) < live.index(final[0])
    assert live.index(final[0]) < live.index(LiveText(WORDS[1], None)) < live.index(final[1])


def test_a_stream_without_a_face_ends_in_an_error() -> None:
    video = ScriptedVideo([0] * 60, [False] * 60)
    with pytest.raises(NoFaceError, match="door: no face in its 60 frames"):
        list(reader_of(video).listen(video.frames(), "door"))
