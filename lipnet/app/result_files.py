"""The files that show one transcript in the browser: captioned video, pictures, face track, downloads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.geometry import face_outline, warp
from lipnet.decoding.base import DecodeError
from lipnet.decoding.forced_alignment import aligned_symbols
from lipnet.drawing import Posteriorgram, posteriorgram
from lipnet.inference.transcript import Sentence
from lipnet.tokenizer import Tokenizer

CROPS_ACROSS, CROPS_DOWN = 10, 10  # of a sheet of crops
JPEG_QUALITY = 85
POSTERIORGRAM_WIDTH = 960  # px
SHOWN = 0.02  # symbols that never become so probable have no row
MISSING, FILLED_IN, FOUND = range(3)  # whether a frame's landmarks are known, and how
NOWHERE = -32768  # coordinate of a landmark that is not known


def sheet_name(number: int) -> str:
    """Of a sheet of crops, numbered from 0."""
    return f"crops_{number}.jpg"


def write_crops(frames: Iterable[np.ndarray], track: FaceTrack, folder: Path) -> int:
    """Write the mouth crops of a video as sheets of CROPS_ACROSS x CROPS_DOWN, row by row.

    Args:
        frames: (H, W, 3) uint8 RGB, those of the track.
        track: frames without a face nearby give black crops.
        folder: of the files, `sheet_name`.

    Returns:
        The number of sheets.
    """
    width, height = track.crop_size
    sheet, count = np.empty(0, np.uint8), 0
    for number, crop in enumerate(_crops(frames, track)):
        place = number % (CROPS_ACROSS * CROPS_DOWN)
        if place == 0:
            if number:
                _write_sheet(folder, count, sheet)
                count += 1
            sheet = np.zeros((CROPS_DOWN * height, CROPS_ACROSS * width, 3), np.uint8)
        row, column = divmod(place, CROPS_ACROSS)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = crop
    _write_sheet(folder, count, sheet)
    return count + 1


def _write_sheet(folder: Path, number: int, sheet: np.ndarray) -> None:
    _write_picture(folder / sheet_name(number), sheet, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def _crops(frames: Iterable[np.ndarray], track: FaceTrack) -> Iterator[np.ndarray]:
    black = np.zeros((track.crop_size[1], track.crop_size[0], 3), np.uint8)
    for frame, to_crop in zip(frames, track.to_crop, strict=False):
        yield black if np.isnan(to_crop).any() else warp(frame, to_crop, track.crop_size)


def write_track(track: FaceTrack, path: Path) -> int:
    """Write where the face is: rows of little-endian int16, one for each frame.

    A row is whether the landmarks are known (MISSING, FILLED_IN or FOUND), the face's box (left, top, right,
    bottom), and the landmarks (x, y), in px of the frame; NOWHERE stands for unknown coordinates.

    Returns:
        The numbers in a row.
    """
    rows = np.full((len(track.found), 5 + 2 * track.layout.count), NOWHERE, "<i2")
    rows[:, 0] = MISSING
    for row, points, found in zip(rows, track.landmarks, track.found, strict=True):
        if not np.isnan(points).any():
            box = face_outline(points, track.layout)
            row[0] = FOUND if found else FILLED_IN
            row[1:] = np.clip(np.rint(np.concatenate([box, points.ravel()])), NOWHERE + 1, -NOWHERE - 1)
    path.write_bytes(rows.tobytes())
    return rows.shape[1]


def write_posteriorgram(sentence: Sentence, alphabet: str, fps: float, path: Path) -> Posteriorgram | None:
    """Write what was decoded of a sentence, with the path of its text; None if it was not kept."""
    if sentence.emissions is None:
        return None
    tokenizer = Tokenizer(alphabet)
    log_probs = sentence.emissions.log_probs
    try:
        spelt = aligned_symbols(log_probs.astype(np.float64), tokenizer.encode(sentence.text))
    except DecodeError:  # a text of a dictionary may be longer than the emissions
        spelt = None
    symbols = ["", *alphabet]
    rate = fps * sentence.emissions.steps_per_frame
    drawn = posteriorgram(log_probs, symbols, rate, POSTERIORGRAM_WIDTH, SHOWN, spelt)
    _write_picture(path, drawn.picture, [])
    return drawn


def _write_picture(path: Path, rgb: np.ndarray, options: list[int]) -> None:
    _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    path.write_bytes(encoded.tobytes())
