"""The pictures and the face track of a result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipnet.app.result_files import (
    CROPS_ACROSS,
    CROPS_DOWN,
    FILLED_IN,
    FOUND,
    MISSING,
    NOWHERE,
    POSTERIORGRAM_WIDTH,
    sheet_name,
    write_crops,
    write_posteriorgram,
    write_track,
)
from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.landmarks import IBUG_68
from lipnet.inference.emissions import Emissions
from lipnet.inference.transcript import Sentence

SIZE = (20, 10)  # of a crop, px


def still_track(frames: int) -> FaceTrack:
    """Crops are the frames' upper left corners, landmarks (i, 2 i)."""
    points = np.stack([np.arange(68), 2 * np.arange(68)], axis=1).astype(np.float32)
    return replace(
        FaceTrack.missing(frames, IBUG_68, SIZE),
        landmarks=np.tile(points, (frames, 1, 1)),
        found=np.ones(frames, dtype=bool),
        to_crop=np.tile(np.eye(3), (frames, 1, 1)),
    )


def test_crops_lie_in_sheets_in_their_order(tmp_path: Path) -> None:
    count = CROPS_ACROSS * CROPS_DOWN + 3
    track = still_track(count)
    track.to_crop[1] = np.nan
    frames = (np.full((30, 40, 3), 50 + number, np.uint8) for number in range(count))
    assert write_crops(frames, track, tmp_path) == 2
    sheets = [cv2.imread(str(tmp_path / sheet_name(number))) for number in range(2)]
    assert all(sheet.shape == (CROPS_DOWN * SIZE[1], CROPS_ACROSS * SIZE[0], 3) for sheet in sheets)
    for number in range(count):
        sheet, place = divmod(number, CROPS_ACROSS * CROPS_DOWN)
        row, column = divmod(place, CROPS_ACROSS)
        pixel = sheets[sheet][row * SIZE[1] + 5, column * SIZE[0] + 10]
        assert np.abs(pixel.astype(int) - (0 if number == 1 else 50 + number)).max() <= 3
    assert (sheets[1][2 * SIZE[1] :] < 8).all()


def test_the_track_s_rows(tmp_path: Path) -> None:
    track = still_track(3)
    track.found[1] = False
    track.landmarks[2] = np.nan
    length = write_track(track, tmp_path / "track.bin")
    rows = np.frombuffer((tmp_path / "track.bin").read_bytes(), "<i2").reshape(3, length)
    assert rows[:, 0].tolist() == [FOUND, FILLED_IN, MISSING]
    assert rows[0, 5:].tolist() == [value for i in range(68) for value in (i, 2 * i)]
    left, top, right, bottom = rows[0, 1:5].tolist()
    assert left < right and top < bottom
    assert (rows[2, 1:] == NOWHERE).all()


@pytest.mark.parametrize("text", ["ab", "ab" * 30])  # the second is longer than the emissions
def test_a_posteriorgram_shows_the_path_of_the_text(text: str, tmp_path: Path) -> None:
    log_probs = np.log(np.full((20, 4), 0.25, np.float32))
    sentence = Sentence(text, 0.0, 1.0, 1.0, [], [], emissions=Emissions(log_probs, None, 2))
    drawn = write_posteriorgram(sentence, " ab", 25.0, tmp_path / "p.png")
    assert drawn is not None
    saved = cv2.imread(str(tmp_path / "p.png"))
    assert np.array_equal(saved[..., ::-1], drawn.picture) and saved.shape[1] == POSTERIORGRAM_WIDTH


def test_emissions_that_were_not_kept_have_no_posteriorgram(tmp_path: Path) -> None:
    assert write_posteriorgram(Sentence("a", 0.0, 1.0, 1.0, [], []), " ab", 25.0, tmp_path / "p.png") is None
