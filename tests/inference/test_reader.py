"""LipReader on every kind of source: paths, open files and arrays give the same transcript."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np
import pytest

from lipnet.cropping.cropper import NoFaceError
from lipnet.errors import LipnetError
from lipnet.inference import reader as reader_module
from lipnet.inference.reader import LipReader
from lipnet.inference.streaming import StreamingTranscriber
from lipnet.inference.transcript import Transcript
from lipnet.video.decode import VideoError, read_video


@pytest.fixture(scope="module")
def reader(untrained_weights: Path) -> LipReader:
    return LipReader.load(untrained_weights, device="cpu")


@pytest.fixture(scope="module")
def transcript(reader: LipReader, synthetic_clip: Path) -> Transcript:
    found = reader.read(synthetic_clip)
    assert found.text and found.video == str(synthetic_clip)
    return found


def renamed(transcript: Transcript, name: str) -> Transcript:
    return replace(transcript, video=name)


def test_open_files(reader: LipReader, synthetic_clip: Path, transcript: Transcript) -> None:
    with synthetic_clip.open("rb") as file:
        assert reader.read(file) == transcript
    assert reader.read(BytesIO(synthetic_clip.read_bytes())) == renamed(transcript, "video")


def test_arrays_of_frames(reader: LipReader, synthetic_clip: Path, transcript: Transcript) -> None:
    frames = read_video(synthetic_clip)
    assert reader.read(frames, fps=25) == renamed(transcript, "video")
    assert reader.read(frames.repeat(2, axis=0), fps=50) == renamed(transcript, "video")
    assert reader.read(frames, fps=12.5).frames == 150


@pytest.mark.parametrize(
    ("array", "fps", "message"),
    [
        (np.zeros((3, 8, 8), np.uint8), 25, r"array of uint8 \(3, 8, 8\): give frames, \(T, H, W, 3\) uint8"),
        (np.zeros((3, 8, 8, 3)), 25, "array of float64"),
        (np.zeros((0, 8, 8, 3), np.uint8), 25, "give frames"),
        (np.zeros((3, 8, 8, 3), np.uint8), None, "fps None: give the frames a second of the array"),
        (np.zeros((3, 8, 8, 3), np.uint8), 0, "fps 0"),
        (np.zeros((3, 8, 8, 3), np.uint8), float("nan"), "fps nan"),
    ],
)
def test_unusable_arrays_are_named(
    reader: LipReader, array: np.ndarray, fps: float | None, message: str
) -> None:
    with pytest.raises(VideoError, match=message):
        reader.read(array, fps)


def test_a_file_has_its_own_rate(reader: LipReader, synthetic_clip: Path) -> None:
    with pytest.raises(VideoError, match=r"fps is for arrays of frames"):
        reader.read(synthetic_clip, fps=25)


def test_an_array_without_a_face(reader: LipReader) -> None:
    with pytest.raises(NoFaceError, match=r"^video: no face in its 3 frames"):
        reader.read(np.zeros((3, 64, 64, 3), np.uint8), fps=25)


def test_several_videos_in_their_order_with_their_errors(
    reader: LipReader, synthetic_clip: Path, text_file: Path, grey_video: Path, transcript: Transcript
) -> None:
    paths = [text_file, synthetic_clip, grey_video, Path("nowhere.mp4"), synthetic_clip]
    results = list(reader.read_all(paths))
    assert [path for path, _ in results] == paths
    assert [type(result).__name__ for _, result in results] == [
        "VideoError",
        "Transcript",
        "NoFaceError",
        "VideoError",
        "Transcript",
    ]
    assert results[1][1] == results[4][1] == transcript
    assert all(str(path) in str(result) for path, result in results if isinstance(result, LipnetError))


def test_stopping_early_ends_the_thread(reader: LipReader, synthetic_clip: Path) -> None:
    before = threading.active_count()
    results: Iterator[object] = reader.read_all([synthetic_clip] * 3)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_threads_may_share_a_reader(
    reader: LipReader, synthetic_corpus: Path, synthetic_clip: Path, transcript: Transcript
) -> None:
    clips = [path for path in sorted(synthetic_corpus.glob("s[12]/*.mp4")) if path.stat().st_size > 20_000][
        :2
    ]
    expected = [*(reader.read(clip) for clip in clips), transcript]
    found: dict[int, Transcript] = {}

    def read(index: int, path: Path) -> None:
        found[index] = reader.read(path)

    threads = [
        threading.Thread(target=read, args=(index, path))
        for index, path in enumerate([*clips, synthetic_clip])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[index] for index in range(len(threads))] == expected


@pytest.mark.parametrize(
    "error", [IndexError("tuple index"), cv2.error("bad size"), MemoryError(), ValueError("a\nb")]
)
@pytest.mark.parametrize("place", ["decode", "track", "network"])
def test_an_unexpected_exception_is_that_video_s_problem(
    place: str,
    error: Exception,
    synthetic_clip: Path,
    untrained_weights: Path,
    transcript: Transcript,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Libraries raise many kinds of exceptions on damaged files: the other videos are read all the same."""
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(synthetic_clip.read_bytes())
    reader = LipReader.load(untrained_weights, device="cpu")
    decode, start = reader_module.iter_frames, reader.stream

    def iter_frames(path: Path, fps: float) -> Iterator[np.ndarray]:
        for number, frame in enumerate(decode(path, fps)):
            if path == bad and number == 40:
                raise error
            yield frame

    def stream(name: str) -> StreamingTranscriber:
        def fail(*_: object) -> NoReturn:
            raise error

        made = start(name)
        if name == str(bad):
            monkeypatch.setattr(made, "track" if place == "track" else "finish", fail)
        return made

    if place == "decode":
        monkeypatch.setattr(reader_module, "iter_frames", iter_frames)
    else:
        monkeypatch.setattr(reader, "stream", stream)
    results = list(reader.read_all([bad, synthetic_clip, bad]))
    assert [path for path, _ in results] == [bad, synthetic_clip, bad]
    assert results[1][1] == transcript
    for _, problem in results[::2]:
        assert isinstance(problem, LipnetError) and "\n" not in str(problem)
        assert str(problem).startswith(f"{bad}: ") and type(error).__name__ in str(problem)


def test_one_of_several_faces_is_read(untrained_weights: Path, synthetic_clip: Path) -> None:
    reader = LipReader.load(untrained_weights, device="cpu")
    two = np.concatenate([read_video(synthetic_clip)[:30]] * 2, axis=2)  # side by side
    places = {}
    for face in ("left", "right"):
        reader.use_face(face)
        found = reader.read(two, fps=25)
        assert found.track is not None
        assert any(warning.startswith("2 faces are seen") for warning in found.warnings)
        places[face] = found.track.landmarks[..., 0].mean()
    assert places["left"] < 360 < places["right"]
    reader.use_face("none")
    mouths = reader.read(np.full((30, 60, 120, 3), 90, np.uint8), fps=25)
    assert mouths.frames == 30 and not any("face" in warning for warning in mouths.warnings)
    with pytest.raises(LipnetError, match=r"crop\.face 'middle'"):
        reader.use_face("middle")


def test_progress_name_and_what_was_decoded(reader: LipReader, synthetic_clip: Path) -> None:
    counts: list[int] = []
    transcript = reader.read(synthetic_clip, name="my clip", progress=counts.append)
    assert transcript.video == "my clip"
    assert counts == list(range(1, transcript.frames + 1))
    for sentence in transcript.sentences:
        assert sentence.emissions is not None
        assert reader.decoder(sentence.emissions, sentence.first_frame) == sentence
    compact = transcript.texts_only()
    assert compact.track is None and all(sentence.emissions is None for sentence in compact.sentences)
    assert compact.as_json() == transcript.as_json()


def test_progress_may_end_the_reading(reader: LipReader, synthetic_clip: Path) -> None:
    def stop(frames: int) -> None:
        raise LipnetError("enough")

    with pytest.raises(LipnetError, match=r"^enough$"):
        reader.read(synthetic_clip, progress=stop)
