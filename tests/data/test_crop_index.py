"""The index of a speaker's crops: it is read with all checks, and knows the videos that were cropped."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import CROP, make_clip, pack

from lipnet.data.crop_store import CropStore, CropStoreWriter
from lipnet.data.crop_store.index import CropStoreError, read_index, read_indexes, video_state

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pack(tmp_path, [make_clip("s1", "bbaf2n", 7), make_clip("s1", "lgbm5p", 5)], [7, 5])
    return tmp_path / "s1.index.json"


def setting(*keys: Any, value: Any) -> Change:
    def change(index: dict[str, Any]) -> None:
        for key in keys[:-1]:
            index = index[key]
        index[keys[-1]] = value

    return change


def removing(*keys: str) -> Change:
    def change(index: dict[str, Any]) -> None:
        for key in keys[:-1]:
            index = index[key]
        del index[keys[-1]]

    return change


CLIP = ("clips", "bbaf2n")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (setting("speaker", value="../../x"), "speaker is '../../x', by the file's name 's1'"),
        (setting("speaker", value=1), "speaker is 1, by"),
        (removing("speaker"), "speaker is None, by"),
        (removing("crop"), "crop is missing"),
        (setting("crop", value=[]), "crop is [], not an object"),
        (setting("crop", "width", value="100"), "crop.width is '100', not a whole number"),
        (setting("crop", "width", value=0), "crop.width is 0"),
        (setting("crop", "height", value=-50), "crop.height is -50"),
        (setting("crop", "eye_distance", value=float("nan")), "crop.eye_distance is nan"),
        (setting("crop", "method", value="none of them"), "crop.method 'none of them'"),
        (setting("crop", "method", value="9" * 5000), f"crop.method '{'9' * 100}"),
        (setting("crop", "box", value=[1, 2, "3", 4]), "crop.box is '3', not a number"),
        (setting("crop", "zoom", value=1), "crop has the unknown key 'zoom'"),
        (removing("clips"), "clips is missing"),
        (setting("clips", value=[]), "clips is [], not an object"),
        (setting(*CLIP, value=7), "clips['bbaf2n'] is 7, not an object"),
        (removing(*CLIP, "start"), "clips['bbaf2n'].start is missing"),
        (setting(*CLIP, "start", value=-100), "clips['bbaf2n'].start is -100"),
        (setting(*CLIP, "start", value=6), "clips['lgbm5p'].start is 7, within 'bbaf2n'"),
        (setting(*CLIP, "start", value=1.5), "clips['bbaf2n'].start is 1.5, not a whole number"),
        (setting(*CLIP, "frames", value=True), "clips['bbaf2n'].frames is True, not a whole number"),
        (setting(*CLIP, "frames", value=0), "clips['bbaf2n'].frames is 0"),
        (setting(*CLIP, "frames", value=10**30), "clips['bbaf2n'].frames is 1000"),
        (setting(*CLIP, "faces", value=None), "clips['bbaf2n'].faces is None"),
        (setting(*CLIP, "faces", value=8), "clips['bbaf2n'].faces is 8 of 7 frames"),
        (
            setting(*CLIP, "words", 0, value=["bin", 2, 1.5]),
            "clips['bbaf2n'].words has 'bin' at frames 2 to 1.5 of 7",
        ),
        (
            setting(*CLIP, "words", 5, value=["now", 6, 8.5]),
            "clips['bbaf2n'].words has 'now' at frames 6 to 8.5 of 7",
        ),
        (
            setting(*CLIP, "words", 5, value=["now", 7, 7]),
            "clips['bbaf2n'].words has 'now' at frames 7 to 7 of 7",
        ),
        (setting(*CLIP, "sentence", value=["bin"]), "clips['bbaf2n'].sentence is ['bin'], not a text"),
        (setting(*CLIP, "words", value="bin"), "clips['bbaf2n'].words is 'bin', not a list"),
        (setting(*CLIP, "words", 0, value=["bin", 1]), "clips['bbaf2n'].words has ['bin', 1], not [word,"),
        (setting(*CLIP, "words", 0, 1, value=-1.0), "clips['bbaf2n'].words has the time -1.0"),
        (setting(*CLIP, "words", 0, 2, value=float("inf")), "clips['bbaf2n'].words has the time inf"),
        (setting(*CLIP, "video", value={"path": "a"}), "clips['bbaf2n'].video.sha256 is missing"),
        (setting("clips", "../../x", value={}), "clips['../../x']: the id is not a file name"),
        (setting("clips", "two\nlines", value={}), r"clips['two\nlines'].start is missing"),
    ],
)
def test_an_unusable_value_is_named_in_one_line(change: Change, reason: str, path: Path) -> None:
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))
    message = (
        rf"^\S+s1\.index\.json: not the index [^(\n]+\({re.escape(reason)}[^\n]*; delete it and run [^\n]*$"
    )
    with pytest.raises(CropStoreError, match=message) as error:
        CropStore(path.parent)
    assert len(str(error.value)) < 500
    with pytest.raises(CropStoreError, match=message):
        CropStoreWriter(path.parent, "s1", CROP)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"speaker": "caf\xe9"}', "utf-8"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"format": ' + b"9" * 10_000 + b"}", "digits"),
        (b'{"format": 3}', "format is 3"),
    ],
)
def test_content_that_is_no_index(content: bytes, reason: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(CropStoreError, match=rf"^[^\n]*not the index [^\n]*{reason}[^\n]*$"):
        read_index(path, "s1")


def test_a_word_may_end_a_frame_after_the_clip(path: Path) -> None:
    index = json.loads(path.read_text())
    index["clips"]["bbaf2n"]["words"][5][2] = 8
    path.write_text(json.dumps(index))
    assert read_index(path, "s1").clips["bbaf2n"].words[5].end == 8


@pytest.mark.parametrize("landmarks", [False, True])
def test_an_index_that_claims_more_frames_than_there_are(landmarks: bool, tmp_path: Path) -> None:
    """The store refuses it before anything has memory for so many frames."""
    pack(tmp_path, [make_clip("s1", "bbaf2n", 7)], [7], landmarks=landmarks)
    path, name = tmp_path / "s1.index.json", "s1.landmarks.f16" if landmarks else "s1.u8"
    index = json.loads(path.read_text())
    if landmarks:
        (tmp_path / name).write_bytes(bytes(6 * 68 * 2 * 2))
    else:
        index["clips"]["bbaf2n"]["frames"] = 10**9
    path.write_text(json.dumps(index))
    expected = "6 of 7 frames" if landmarks else "7 of 1000000000 frames"
    with pytest.raises(
        CropStoreError, match=rf"^\S+{name}: holds {expected}; run scripts/preprocess.py again$"
    ):
        CropStore(tmp_path)


def test_companion_files_are_not_indexes(path: Path) -> None:
    path.with_name("._s1.index.json").write_bytes(b"\0\5\x16\7Mac OS X")
    assert [index.speaker for index in read_indexes(path.parent)] == ["s1"]


def test_the_state_of_a_video_depends_on_its_content(tmp_path: Path) -> None:
    video = tmp_path / "a.mpg"
    video.write_bytes(bytes(200_000))
    state = video_state(video)
    assert state is not None and (state.path, state.size) == (str(video), 200_000)
    os.utime(video, ns=(0, 0))
    touched = video_state(video)
    assert touched is not None and touched.mtime_ns == 0 and touched.is_same_content(state)
    for position in (0, 100_000, 199_999):
        changed = bytearray(200_000)
        changed[position] = 1
        video.write_bytes(changed)
        other = video_state(video)
        assert other is not None and not other.is_same_content(state)
    assert video_state(tmp_path / "nowhere.mpg") is None


def test_the_state_of_a_folder_of_images(tmp_path: Path) -> None:
    states = set()
    for name, content in (("a.png", b"1"), ("b.png", b"1"), ("b.png", b"2")):
        (tmp_path / name).write_bytes(content)
        states.add(video_state(tmp_path))
    assert len(states) == 3 and None not in states
