"""Streaming transcription of videos of any length, with a network that is certain of every word."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scripted_video import RecordingDecoder, ScriptedBackend, ScriptedVideo, fake_cropper, sentences

from lipnet.cropping.cropper import NoFaceError
from lipnet.inference.emissions import Emissions
from lipnet.inference.segmentation import MIN_PAUSE
from lipnet.inference.streaming import (
    CONTEXT,
    MARGIN,
    MAX_GAP,
    MAX_WINDOW,
    SETTLED,
    STRIDE,
    WINDOW,
    StreamingTranscriber,
)
from lipnet.inference.transcript import Transcript


class Transcription:
    """What a transcriber makes of a scripted video."""

    def __init__(self, video: ScriptedVideo, backend: ScriptedBackend | None = None) -> None:
        self.video, self.backend = video, backend or ScriptedBackend(video)
        self.decoder = RecordingDecoder()
        self.stream = StreamingTranscriber(
            fake_cropper(),
            self.backend,
            self.decoder,  # type: ignore[arg-type]
            "v.mp4",
        )

    def run(self) -> Transcript:
        for frame in self.video.frames():
            self.stream.push(frame)
        return self.stream.finish()

    @property
    def words(self) -> list[list[int]]:
        """The word classes in each utterance."""
        return [self.video.words_in(numbers) for numbers in self.decoder.utterances]

    @property
    def work(self) -> int:
        """Frames that the network has read."""
        return sum(map(len, self.backend.requests))


def transcribed(video: ScriptedVideo, backend: ScriptedBackend | None = None) -> Transcription:
    transcription = Transcription(video, backend)
    transcription.run()
    return transcription


@pytest.mark.parametrize("length", [1, 74, 75, WINDOW - 1])
def test_a_short_clip_is_read_as_it_is(length: int) -> None:
    done = transcribed(ScriptedVideo([0] * (length // 3) + [5] * (length - length // 3)))
    assert done.decoder.utterances == [list(range(length))] and len(done.backend.requests) == 1


def test_a_short_clip_of_silence_is_read_too() -> None:
    assert transcribed(ScriptedVideo([0] * 50)).decoder.utterances == [list(range(50))]


@pytest.mark.parametrize("pause", [MIN_PAUSE, 20, 80, 300])
def test_pauses_separate_sentences(pause: int) -> None:
    video = ScriptedVideo(sentences(50, 40, 60, 30, 45, 50, pause=pause))
    done = Transcription(video)
    transcript = done.run()
    assert done.words == [[1], [2], [3], [4], [5], [6]]
    for word, numbers in enumerate(done.decoder.utterances, start=1):
        shown = [number for number in range(len(video.classes)) if video.classes[number] == word]
        assert set(shown) <= set(numbers) and numbers == list(range(numbers[0], numbers[-1] + 1))
        assert shown[0] - numbers[0] <= MARGIN and numbers[-1] - shown[-1] <= MARGIN
    assert all(before[-1] < after[0] for before, after in pairwise(done.decoder.utterances))
    assert transcript.track is not None
    assert len(transcript.track.found) == transcript.frames == len(video.classes)
    assert [sentence.text for sentence in transcript.sentences] == [
        str(numbers[0]) for numbers in done.decoder.utterances
    ]


def test_a_sentence_is_returned_when_it_has_ended() -> None:
    done = Transcription(ScriptedVideo(sentences(50, 40, 60)))
    returned = [sentence for frame in done.video.frames() for sentence in done.stream.push(frame)]
    transcript = done.stream.finish()
    assert 1 <= len(returned) < len(transcript.sentences)
    assert returned == transcript.sentences[: len(returned)]


def test_landmarks_may_be_found_ahead() -> None:
    video = ScriptedVideo(sentences(50, 40, 60))
    done = Transcription(video)
    for patch in [done.stream.track(frame) for frame in video.frames()]:
        done.stream.add(patch)
    assert done.stream.finish() == Transcription(video).run()


def test_speech_without_a_pause_is_cut_between_words_and_loses_none() -> None:
    words = [1 + i % 50 for i in range(60)]
    video = ScriptedVideo([0] * 10 + [word for word in words for _ in range(13)] + [0] * 30)
    done = transcribed(video)
    utterances = done.decoder.utterances
    assert len(utterances) > 5
    joined = [number for numbers in utterances for number in numbers if video.classes[number]]
    assert joined == list(range(10, 10 + 60 * 13))  # no frame of speech is lost or read twice
    for before, after in pairwise(utterances):
        assert video.classes[before[-1]] != video.classes[after[0]]
    parts = [numbers for numbers in done.backend.requests if len(numbers) < MAX_WINDOW]
    assert any(
        numbers[0] == utterances[1][0] - CONTEXT for numbers in parts
    )  # context on both sides of a cut


def test_memory_and_work_grow_with_the_window_only() -> None:
    video = ScriptedVideo(sentences(*[50] * 40))
    done = transcribed(video)
    assert max(map(len, done.backend.requests)) <= MAX_WINDOW
    assert done.work < 3 * len(video.classes)


def test_long_gaps_without_a_face_are_not_transcribed() -> None:
    classes = sentences(50, 50, 50)
    faces = [True] * len(classes)
    faces[92:140] = [False] * 48  # the second sentence is at 90 to 140
    done = Transcription(ScriptedVideo(classes, faces))
    track = done.run().track
    assert done.words == [[1], [3]]
    assert track is not None and track.found.sum() == len(classes) - 48
    faces[92:140] = [index % MAX_GAP != 0 for index in range(48)]  # short gaps are filled
    assert transcribed(ScriptedVideo(classes, faces)).words == [[1], [2], [3]]


def test_no_face_at_all() -> None:
    for length in (1, 500):
        with pytest.raises(NoFaceError, match=rf"^v\.mp4: no face in its {length} frames; "):
            transcribed(ScriptedVideo([0] * length, [False] * length))


def test_a_face_that_comes_late() -> None:
    classes = [0] * 400 + sentences(50, 40)
    done = Transcription(ScriptedVideo(classes, [False] * 400 + [True] * (len(classes) - 400)))
    track = done.run().track
    assert done.words == [[1], [2]]
    assert track is not None and len(track.found) == len(classes) and not track.found[:400].any()


def test_live_transcription_reports_after_every_stride() -> None:
    video = ScriptedVideo(sentences(50, 40, 45, pause=30))
    decoder = RecordingDecoder()
    backend = ScriptedBackend(video)
    stream = StreamingTranscriber(fake_cropper(), backend, decoder, "camera", live=True)  # type: ignore[arg-type]
    readings, partial, ended = [], [], []
    for frame in video.frames():
        before = len(backend.requests)
        ended += [stream.frames for _ in stream.push(frame)]
        if len(backend.requests) > before:
            readings.append(stream.frames)
            numbers = [int(number) for number in stream.partial.split()]
            partial.append((stream.frames, video.words_in(numbers)))
    transcript = stream.finish()
    assert max(np.diff(readings)) == STRIDE
    assert (50, [1]) in partial and min(frames for frames, words in partial if words) <= 30 + STRIDE
    assert [words for _, words in partial if words == [2]]
    # A sentence is returned within a stride and the time until its end counts.
    assert len(ended) >= 2
    for frames, end in zip(ended, (80, 150, 225), strict=False):
        assert end < frames <= end + SETTLED + STRIDE
    assert transcript.track is None and not transcript.warnings  # a live transcription may never end
    assert len(transcript.sentences) == 3


class Revising(ScriptedBackend):
    """Emits speech up to the window's end, and silence once it has read what follows."""

    def emissions(self, numbers: np.ndarray) -> Emissions:
        emissions = super().emissions(numbers)
        if numbers[-1] < 160:
            assert emissions.word_log_probs is not None
            emissions.word_log_probs[numbers > 40] = emissions.word_log_probs[np.argmax(numbers > 30)]
        return emissions


def test_the_window_moves_on_when_speech_ends_at_a_cut() -> None:
    video = ScriptedVideo([0] * 10 + [3] * 115 + [0] * 600 + [4] * 50 + [0] * 30)
    done = transcribed(video, Revising(video))
    assert max(map(len, done.backend.requests)) <= MAX_WINDOW + CONTEXT
    assert done.words[-1] == [4] and all(done.decoder.utterances)
    assert done.work < 4 * len(video.classes)


def test_the_face_leaves_at_a_cut_and_comes_back() -> None:
    for until in range(120, 160, 3):
        classes = [0] * 5 + [1 + i // 13 for i in range(until - 5)] + [0] * 1500 + [40] * 50 + [0] * 20
        faces = [i < until or i >= until + 1490 for i in range(len(classes))]
        done = transcribed(ScriptedVideo(classes, faces))
        assert max(map(len, done.backend.requests)) <= MAX_WINDOW + CONTEXT and all(done.decoder.utterances)
        assert done.words[-1] == [40]


def test_continuous_speech_costs_a_few_times_its_length() -> None:
    video = ScriptedVideo([1 + i // 13 % 50 for i in range(3000)])
    assert transcribed(video).work < 4.5 * len(video.classes)
