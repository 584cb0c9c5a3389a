"""Caption overlay: words appear when they are spoken; the debug overlay shows the face track."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from captioned import played, sentence, transcript, with_captions
from video_files import write_video

from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.landmarks import IBUG_68
from lipnet.inference.transcript import Transcript
from lipnet.output.overlay import LINGER_S

GREY = [np.full((144, 180, 3), 90, np.uint8)] * 50
LONG = "in the beginning there was nothing at all to be heard but incomprehensibilities of every kind"


def captioned(
    folder: Path, pictures: Sequence[np.ndarray], what: Transcript, debug: bool = False
) -> np.ndarray:
    """The pictures with captions, (T, H, W, 3) int."""
    source = write_video(folder / "source.mkv", pictures, codec="ffv1", pix_fmt="bgr0")
    return np.stack(played(with_captions(source, what, debug)).pictures).astype(int)


def differing_pixels(after: np.ndarray, before: Sequence[np.ndarray]) -> np.ndarray:
    """Where two videos differ, (T, H, W) bool."""
    return np.abs(after - np.stack(before)).max(axis=-1) > 40


def changed_pixels(
    folder: Path, pictures: Sequence[np.ndarray], what: Transcript, debug: bool = False
) -> np.ndarray:
    """Where the captioned pictures differ from the plain ones, (T, H, W) bool."""
    return differing_pixels(captioned(folder, pictures, what, debug), pictures)


def test_words_appear_when_they_are_spoken(tmp_path: Path) -> None:
    changed = changed_pixels(tmp_path, GREY, transcript(sentence("bin blue at", 0.4, 0.2)))
    assert not changed[:, :72].any()  # the upper half is unchanged
    ink = changed.sum(axis=(1, 2))
    gone = round((1.0 + LINGER_S) * 25)
    assert not ink[:10].any() and not ink[gone:].any()
    assert ink[10:gone].all()
    widths = [np.flatnonzero(frame.any(axis=0)) for frame in changed[10:gone]]
    assert len({columns[0] for columns in widths}) == 1  # words do not move
    grown = [index + 11 for index in range(len(widths) - 1) if widths[index + 1][-1] > widths[index][-1] + 4]
    assert grown == [15, 20]
    text = np.flatnonzero(changed[25].any(axis=0))
    assert text[0] + text[-1] == pytest.approx(180, abs=3)  # centred


def test_the_word_being_spoken_is_highlighted(tmp_path: Path) -> None:
    pictures = captioned(tmp_path, GREY, transcript(sentence("bin blue", 0.4, 0.2)))
    coloured = (np.ptp(pictures, axis=-1) > 60).any(axis=1)  # (T, W)
    assert coloured[10:20].any(axis=1).all()
    assert not coloured[:10].any() and not coloured[20:].any()
    first, second = np.flatnonzero(coloured[12]), np.flatnonzero(coloured[17])
    assert first[-1] < second[0]


def test_the_next_sentence_replaces_the_last(tmp_path: Path) -> None:
    both = transcript(sentence("set", 1.0), sentence("bin blue at", 0.2))
    changed, alone = (
        changed_pixels(tmp_path, GREY, both),
        changed_pixels(tmp_path, GREY, transcript(sentence("set", 1.0))),
    )
    assert changed[24].sum() > 2 * changed[25].sum()
    assert (changed[25:30] != alone[25:30]).mean() < 0.001


@pytest.mark.parametrize("size", [(180, 144), (72, 128), (320, 96), (64, 48)])
def test_a_long_sentence_stays_inside_the_picture(tmp_path: Path, size: tuple[int, int]) -> None:
    changed = changed_pixels(
        tmp_path, [np.full((size[1], size[0], 3), 90, np.uint8)] * 50, transcript(sentence(LONG, 0, 0.1))
    )
    assert changed.any(axis=(1, 2)).all()
    assert not changed[:, :, 0].any() and not changed[:, :, -1].any()
    assert not changed[:, -1].any()


def test_words_of_a_long_sentence_do_not_move(tmp_path: Path) -> None:
    changed = changed_pixels(
        tmp_path, GREY, transcript(sentence("place white with w seven please now", 0.0, 0.2))
    )
    for before, after in pairwise(changed):
        assert (before & ~after).sum() <= 0.1 * before.sum()


def face_track(found: Sequence[bool]) -> FaceTrack:
    """A face in the middle of 180x144 px; its mouth crop shows the 50x25 px in the top left corner."""
    landmarks = np.full((len(found), 68, 2), (90.0, 80.0), np.float32)
    landmarks[:, IBUG_68.stable] = IBUG_68.stable_face * 30 + (90, 60)
    to_crop = np.tile(np.diag([2.0, 2.0, 1.0]), (len(found), 1, 1))
    return FaceTrack(IBUG_68, (100, 50), landmarks, np.array(found), to_crop)


def test_debug_draws_landmarks_box_and_crop(tmp_path: Path) -> None:
    picture = np.full((144, 180, 3), 90, np.uint8)
    picture[10:20, 20:40] = (30, 30, 220)
    track = face_track([True] * 10 + [False] * 5)
    pictures = captioned(tmp_path, [picture] * 20, transcript(track=track), debug=True)
    seen, filled = pictures[5], pictures[12]
    green, orange = (seen[..., 1] - seen[..., 0] > 80), (filled[..., 0] - filled[..., 2] > 80)
    for x, y in np.rint(track.landmarks[0]).astype(int):
        assert green[y - 2 : y + 3, x - 2 : x + 3].any()
        assert orange[y - 2 : y + 3, x - 2 : x + 3].any()
    assert green.any(axis=0).sum() > 60  # the box
    changed = differing_pixels(pictures, [picture] * 20)
    # after the end of the track, its last frame is shown
    np.testing.assert_array_equal(changed[14], changed[19])
    blue = seen[:40, :70, 2] - seen[:40, :70, 0] > 80  # in the crop: 40-80 of 100 px, 20-40 of 50 px
    rows, columns = np.nonzero(blue[2:, 2:])
    scale = 63 / 100
    assert (columns.min(), columns.max()) == pytest.approx((40 * scale, 80 * scale), abs=3)
    assert rows.max() == pytest.approx(40 * scale, abs=3)


@pytest.mark.parametrize("track", [None, face_track([])])
def test_debug_without_a_track_draws_nothing(tmp_path: Path, track: FaceTrack | None) -> None:
    assert not changed_pixels(tmp_path, GREY[:5], transcript(track=track), debug=True).any()


def test_a_track_is_drawn_only_for_debugging(tmp_path: Path) -> None:
    assert not changed_pixels(tmp_path, GREY[:5], transcript(track=face_track([True] * 5))).any()
