"""Live reading, with files replayed in the camera's place."""

from __future__ import annotations

import time
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
from scripted_video import CROP, FakeTracker, Script, sentences
from video_files import numbered, numbers_of, write_video

from lipnet.config import ModelConfig
from lipnet.cropping.cropper import NoFaceError
from lipnet.grid import WORDS
from lipnet.inference.emissions import Emissions
from lipnet.inference.live import Heard, listen
from lipnet.inference.reader import LipReader
from lipnet.models.metadata import Metadata
from lipnet.tokenizer import BLANK, DEFAULT_TOKENIZER
from lipnet.video import camera
from lipnet.video.camera import camera_frames
from lipnet.video.decode import Picture, VideoError


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


def test_a_file_is_replayed_at_its_own_pace(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", [numbered(i) for i in range(20)], rate=20)
    started, seen = time.monotonic(), []
    times = [time.monotonic() - started for frame in camera_frames(str(path)) if seen.append(frame) is None]
    assert len(seen) == 25 and numbers_of(seen)[::24] == [0, 19]
    assert all(moment >= index / 25 for index, moment in enumerate(times))


def test_a_device_is_read_at_25_frames_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    class Capture:
        """A camera of 50 pictures a second, blue as OpenCV sees it."""

        def __init__(self, source: int | str) -> None:
            assert source == 0
            self.left, self.released = 30, False

        def isOpened(self) -> bool:  # noqa: N802
            return True

        def read(self) -> tuple[bool, np.ndarray | None]:
            time.sleep(0.02)
            self.left -= 1
            return self.left >= 0, np.full((4, 4, 3), (255, 0, 0), np.uint8)

        def release(self) -> None:
            self.released = True

    monkeypatch.setattr(camera.cv2, "VideoCapture", Capture)
    started = time.monotonic()
    frames = list(camera_frames("0"))
    assert 14 <= len(frames) <= 25 * (time.monotonic() - started) + 1  # 15 where nothing holds threads up
    assert frames[0][0, 0].tolist() == [0, 0, 255]


def test_where_reading_falls_behind_the_oldest_pictures_go() -> None:
    pictures: Queue[Picture | None] = Queue(3)
    shown = [(np.zeros((1, 1, 3), np.uint8), float(i), False) for i in range(10)]
    for picture in shown:
        camera._push(pictures, picture)
    assert [pictures.get() for _ in range(3)] == shown[-3:]


def test_a_grey_camera() -> None:
    assert camera._to_rgb(np.full((4, 4), 7, np.uint8)).tolist() == np.full((4, 4, 3), 7).tolist()
    assert camera._to_rgb(np.full((4, 4, 1), 7, np.uint8)).shape == (4, 4, 3)


def test_sources_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def __init__(self, source: int | str) -> None:
            pass

        def isOpened(self) -> bool:  # noqa: N802
            return False

    monkeypatch.setattr(camera.cv2, "VideoCapture", Closed)
    for source, message in (
        ("7", "camera 7: cannot be opened"),
        ("rtsp://nowhere/x", "rtsp://nowhere/x: cannot be opened"),
        (str(tmp_path / "gone.mp4"), "no such file"),
    ):
        with pytest.raises(VideoError, match=message):
            list(camera_frames(source))
