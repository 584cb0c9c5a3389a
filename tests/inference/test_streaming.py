"""Reading videos of any length: a fake network says what it sees, so that every word is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from scripted_video import CROP, FakeTracker, Script, sentences

from lipnet.cropping.cropper import MouthCropper, NoFaceError
from lipnet.inference.emissions import Emissions
from lipnet.inference.segmentation import PAUSE
from lipnet.inference.streaming import ABSENT, CONTEXT, LONGEST, MARGIN, WINDOW, Reading


@pytest.fixture
def cropper() -> MouthCropper:
    made = MouthCropper(CROP)
    made.tracker = FakeTracker()  # type: ignore[assignment]
    return made


def read(script: Script, cropper: MouthCropper, live: bool = False) -> tuple[Reading, list[list[int]]]:
    """The reading, and the numbers of the frames of each utterance."""
    reading = Reading(cropper, "v.mp4", live)
    requests = reading.run(script.frames())
    emissions, said = None, []
    while True:
        try:
            crops = requests.send(emissions)  # type: ignore[arg-type]
        except StopIteration:
            break
        if crops is not None:
            emissions = script.backend(crops)
    for utterance in reading.finished:
        numbers = utterance.emissions.log_probs[:, 0].astype(int).tolist()
        assert numbers[0] == utterance.first
        said.append(numbers)
    return reading, said


def spoken(script: Script, numbers: Sequence[int]) -> list[int]:
    """The words in these frames, each once."""
    return sorted({script.classes[number] for number in numbers} - {0})


@pytest.mark.parametrize("length", [1, 74, 75, WINDOW - 1])
def test_a_short_clip_is_read_as_it_is(cropper: MouthCropper, length: int) -> None:
    script = Script([0] * (length // 3) + [5] * (length - length // 3))
    _, said = read(script, cropper)
    assert said == [list(range(length))] and len(script.asked) == 1


def test_a_short_clip_of_silence_is_read_too(cropper: MouthCropper) -> None:
    assert read(Script([0] * 50), cropper)[1] == [list(range(50))]


@pytest.mark.parametrize("pause", [PAUSE, 20, 80, 300])
def test_pauses_part_sentences(cropper: MouthCropper, pause: int) -> None:
    script = Script(sentences(50, 40, 60, 30, 45, 50, pause=pause))
    reading, said = read(script, cropper)
    assert [spoken(script, numbers) for numbers in said] == [[1], [2], [3], [4], [5], [6]]
    for word, numbers in enumerate(said, start=1):
        shown = [number for number in range(len(script.classes)) if script.classes[number] == word]
        assert set(shown) <= set(numbers) and numbers == list(range(numbers[0], numbers[-1] + 1))
        assert shown[0] - numbers[0] <= MARGIN and numbers[-1] - shown[-1] <= MARGIN
    ends = [numbers[-1] for numbers in said]
    assert all(end < numbers[0] for end, numbers in zip(ends, said[1:], strict=False))
    assert len(reading.track.found) == reading.frames == len(script.classes)


def test_speech_without_a_pause_is_cut_between_words_and_loses_none(cropper: MouthCropper) -> None:
    words = [1 + i % 50 for i in range(60)]
    script = Script([0] * 10 + [word for word in words for _ in range(13)] + [0] * 30)
    _, said = read(script, cropper)
    assert len(said) > 5
    joined = [number for numbers in said for number in numbers if script.classes[number]]
    assert joined == list(range(10, 10 + 60 * 13))  # nothing is cut off, nothing is said twice
    for before, after in pairwise(said):
        assert script.classes[before[-1]] != script.classes[after[0]]
    asked = [numbers for numbers in script.asked if len(numbers) < LONGEST]
    assert any(numbers[0] == said[1][0] - CONTEXT for numbers in asked)  # with frames on both sides of a cut


def test_memory_and_work_grow_with_the_window_only(cropper: MouthCropper) -> None:
    script = Script(sentences(*[50] * 40))
    reading = Reading(cropper, "v.mp4")
    requests = reading.run(script.frames())
    crops, most = next(requests), 0
    while crops is not None:
        most = max(most, len(reading._window))
        try:
            crops = requests.send(script.backend(crops))
        except StopIteration:
            break
    assert most <= LONGEST
    assert sum(map(len, script.asked)) < 3 * len(script.classes)


def test_nothing_is_read_where_no_face_is_for_long(cropper: MouthCropper) -> None:
    classes = sentences(50, 50, 50)
    faces = [True] * len(classes)
    faces[92:140] = [False] * 48  # the second sentence is at 90 to 140
    script = Script(classes, faces)
    reading, said = read(script, cropper)
    assert [spoken(script, numbers) for numbers in said] == [[1], [3]]
    assert reading.track.found.sum() == len(classes) - 48
    faces[92:140] = [index % ABSENT != 0 for index in range(48)]  # short gaps are filled
    assert [spoken(script, numbers) for numbers in read(Script(classes, faces), cropper)[1]] == [
        [1],
        [2],
        [3],
    ]


def test_no_face_at_all(cropper: MouthCropper) -> None:
    for length in (1, 500):
        with pytest.raises(NoFaceError, match=rf"^v\.mp4: no face in its {length} frames; "):
            read(Script([0] * length, [False] * length), cropper)


def test_a_face_that_comes_late(cropper: MouthCropper) -> None:
    classes = [0] * 400 + sentences(50, 40)
    script = Script(classes, [False] * 400 + [True] * (len(classes) - 400))
    reading, said = read(script, cropper)
    assert [spoken(script, numbers) for numbers in said] == [[1], [2]]
    assert len(reading.track.found) == len(classes) and not reading.track.found[:400].any()


def test_a_live_reading_tells_after_every_stride(cropper: MouthCropper) -> None:
    script = Script(sentences(50, 40, 45, pause=30))
    reading = Reading(cropper, "camera", live=True)
    requests, emissions = reading.run(script.frames()), None
    looks, current, ended = [], [], []
    while True:
        try:
            crops = requests.send(emissions)  # type: ignore[arg-type]
        except StopIteration:
            break
        if crops is not None:
            emissions = script.backend(crops)
            continue
        looks.append(reading.frames)
        ended += [(reading.frames, utterance.first) for utterance in reading.finished]
        reading.finished.clear()
        if reading.current is not None:
            current.append(
                (reading.frames, spoken(script, reading.current.emissions.log_probs[:, 0].astype(int)))
            )
    assert max(np.diff(looks)) == 25
    assert (50, [1]) in current and current[0][0] <= 30 + 25
    assert [words for _, words in current if words == [2]]
    # A sentence is told within a stride and the time that its end takes to be sure of.
    for (frames, _), end in zip(ended, (80, 150, 225), strict=False):
        assert end < frames <= end + 15 + 25
    assert not reading.track.found.size  # it may go on for days


class Revising(Script):
    """A network that sees speech up to the window's end, and silence once it has seen what follows."""

    def backend(self, crops: np.ndarray) -> Emissions:
        emissions = super().backend(crops)
        numbers = crops[:, 0, 0, :2].astype(int) @ (1, 256)
        if numbers[-1] < 160:
            assert emissions.word_log_probs is not None
            emissions.word_log_probs[numbers > 40] = emissions.word_log_probs[np.argmax(numbers > 30)]
        return emissions


def test_the_window_moves_on_when_speech_ends_at_a_cut(cropper: MouthCropper) -> None:
    script = Revising([0] * 10 + [3] * 115 + [0] * 600 + [4] * 50 + [0] * 30)
    _, said = read(script, cropper)
    assert max(map(len, script.asked)) <= LONGEST + CONTEXT
    assert spoken(script, said[-1]) == [4] and all(said)
    assert sum(map(len, script.asked)) < 4 * len(script.classes)


def test_the_face_leaves_at_a_cut_and_comes_back(cropper: MouthCropper) -> None:
    for until in range(120, 160, 3):
        classes = [0] * 5 + [1 + i // 13 for i in range(until - 5)] + [0] * 1500 + [40] * 50 + [0] * 20
        faces = [i < until or i >= until + 1490 for i in range(len(classes))]
        script = Script(classes, faces)
        _, said = read(script, cropper)
        assert max(map(len, script.asked)) <= LONGEST + CONTEXT and all(said)
        assert spoken(script, said[-1]) == [40]


def test_continuous_speech_costs_a_few_times_its_length(cropper: MouthCropper) -> None:
    script = Script([1 + i // 13 % 50 for i in range(3000)])
    read(script, cropper)
    assert sum(map(len, script.asked)) < 4.5 * len(script.classes)
