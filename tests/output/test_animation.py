"""Animated pictures: what they show when, their sizes and times, and that a failure leaves the old file."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from captioned import sentence, transcript
from PIL import Image
from scripted_video import fake_cropper
from tiny import assert_one_line, run_script

from lipnet.cropping.cropper import FaceTrack
from lipnet.cropping.landmarks import IBUG_68
from lipnet.cropping.patch import Patch
from lipnet.drawing import BLUE, LABELS, ORANGE
from lipnet.errors import LipnetError
from lipnet.inference.reader import LipReader
from lipnet.output import animation
from lipnet.output.animation import (
    BAR_WIDTH,
    BAR_X,
    FRAME_MS,
    GAP,
    LAST_MS,
    LEFT,
    MAX_SECONDS,
    PADDING,
    TITLE,
    WIDTH,
    WORD_ROW,
    WORDS,
    Clip,
    compose,
    read_clip,
    write_animation,
)
from lipnet.video.decode import read_video

SYMBOLS = ["", " ", "a", "b"]
FRAMES = 10
GREEN = (64, 255, 64)  # of a face track, where it was detected


def made_up_clip(words: str = "bin blue", frame: tuple[int, int] = (80, LEFT), track: bool = False) -> Clip:
    """A grey video of frames (height, width); its crops get brighter, its greedy path is a, a ... b."""
    log_probs = np.full((2 * FRAMES, len(SYMBOLS)), np.log(0.02), np.float32)
    log_probs[:, 2] = np.log(0.9)
    log_probs[-2:, 2:] = np.log([0.02, 0.9])
    crops = np.stack([np.full((20, 40, 3), 20 * number, np.uint8) for number in range(FRAMES)])
    said = [sentence(words, 0.12, 0.12)] if words else []
    frames = [np.full((*frame, 3), 90, np.uint8)] * FRAMES
    return Clip(frames, crops, transcript(*said, track=face() if track else None), log_probs, SYMBOLS, False)


def face() -> FaceTrack:
    landmarks = np.full((FRAMES, 68, 2), (180.0, 40.0), np.float32)
    landmarks[:, IBUG_68.stable] = IBUG_68.stable_face * 15 + (180, 30)
    return FaceTrack(IBUG_68, (40, 20), landmarks, np.ones(FRAMES, bool), np.tile(np.eye(3), (FRAMES, 1, 1)))


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(H, W) bool: the pixels of a colour."""
    return np.asarray((picture == colour).all(axis=-1))


def test_words_appear_when_they_are_spoken_with_their_confidence() -> None:
    pictures = list(compose(made_up_clip()))
    assert len(pictures) == FRAMES and {picture.shape[1] for picture in pictures} == {WIDTH}
    top = PADDING + 80 + GAP + TITLE
    for number, picture in enumerate(pictures):
        table = picture[top : top + WORDS * WORD_ROW, PADDING : PADDING + LEFT]
        rows = [has(row, BLUE).any() for row in np.split(table, WORDS)]
        assert rows == [number >= 3, number >= 6, *[False] * (WORDS - 2)], number
        spoken = [(has(row, ORANGE)[:, :BAR_X]).any() for row in np.split(table, WORDS)]
        assert spoken == [3 <= number < 6, 6 <= number < 9, *[False] * (WORDS - 2)], number
        captions = picture[PADDING : PADDING + 80, PADDING : PADDING + LEFT]
        assert (captions != 90).any() == (number >= 3), number
    bar = has(table[WORD_ROW // 2], BLUE)
    assert np.flatnonzero(bar)[[0, -1]].tolist() == [BAR_X, BAR_X + round(0.9 * BAR_WIDTH)]


def test_more_words_than_rows_replace_the_first_ones() -> None:
    words = sentence(" ".join(["a"] * (WORDS + 2)), 0.0, 0.04).words
    rows = [animation._word_table(words, 0.04 * number) for number in range(WORDS + 2)]
    bars = [has(row, BLUE)[:, BAR_X].reshape(-1)[TITLE:].reshape(WORDS, -1).any(axis=1).sum() for row in rows]
    assert bars == [1, 2, 3, 4, 5, 6, 1, 2]


def test_the_posteriorgram_appears_with_time_and_the_crop_is_that_of_the_frame() -> None:
    pictures = list(compose(made_up_clip()))
    left = PADDING + LEFT + GAP + LABELS
    for number, picture in enumerate(pictures):
        assert (picture[PADDING + TITLE + 20, left + 20] == 20 * number).all()
        path = np.flatnonzero(has(picture, ORANGE)[:, left:].any(axis=0))
        played = (number + 1) / FRAMES
        assert path[-1] / (WIDTH - PADDING - 4 - left) == pytest.approx(played, abs=0.01)


def test_the_face_is_marked() -> None:
    marked, plain = (next(compose(made_up_clip("", track=track))) for track in (True, False))
    assert has(marked, GREEN).any() and not has(plain, GREEN).any()


@pytest.mark.parametrize("frame", [(LEFT, 200), (2, LEFT), (LEFT, 1)])
def test_videos_of_any_shape_and_without_words(frame: tuple[int, int]) -> None:
    first = next(compose(made_up_clip("", frame)))
    assert first.shape[1] == WIDTH and first.dtype == np.uint8
    at = PADDING + (LEFT - frame[1]) // 2
    assert (first[PADDING : PADDING + frame[0], at : at + frame[1]] == 90).all()


def test_a_webp_has_all_frames_loops_and_is_the_same_each_time(tmp_path: Path) -> None:
    pictures = list(compose(made_up_clip()))
    for name in ("a.webp", "b.webp"):
        write_animation(tmp_path / "new" / name, pictures)
    first, second = (tmp_path / "new" / name for name in ("a.webp", "b.webp"))
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image:
        assert (image.format, image.n_frames, image.info["loop"]) == ("WEBP", FRAMES, 0)
        assert image.size == (WIDTH, pictures[0].shape[0])
        durations = []
        for number, picture in enumerate([pictures[-1], *pictures[:-1]]):
            image.seek(number)
            difference = np.abs(np.asarray(image.convert("RGB")).astype(int) - picture)
            assert difference.mean() < 3
            durations.append(image.info["duration"])
        assert durations == [LAST_MS] + [FRAME_MS] * (FRAMES - 1)


def test_a_gif_lasts_as_long(tmp_path: Path) -> None:
    write_animation(tmp_path / "a.GIF", compose(made_up_clip()))
    with Image.open(tmp_path / "a.GIF") as image:
        assert (image.format, image.info["loop"]) == ("GIF", 0)
        durations = []
        for number in range(image.n_frames):
            image.seek(number)
            durations.append(image.info["duration"])
        assert sum(durations) == FRAME_MS * (FRAMES - 1) + LAST_MS


def test_one_frame(tmp_path: Path) -> None:
    write_animation(tmp_path / "a.webp", [np.zeros((8, 8, 3), np.uint8)])
    with Image.open(tmp_path / "a.webp") as image:
        assert image.size == (8, 8)


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.webp"
    target.write_bytes(b"old")

    def fail(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*/a\.webp'"):
        write_animation(target, compose(made_up_clip()))
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["a.webp"] and target.read_bytes() == b"old"


def test_the_start_of_a_video_is_read_as_by_the_reader(untrained_weights: Path, synthetic_clip: Path) -> None:
    reader = LipReader.load(untrained_weights, device="cpu")
    frames = read_video(synthetic_clip)[:25]
    read, clip = reader.read(frames, 25, str(synthetic_clip)), read_clip(reader, synthetic_clip, seconds=1)
    assert clip.transcript == read and clip.transcript.track is not None and read.track is not None
    assert clip.is_cut and len(clip.frames) == len(clip.crops) == read.frames == 25
    np.testing.assert_array_equal(clip.frames, frames)  # they are as large as the picture shows them
    np.testing.assert_array_equal(clip.transcript.track.landmarks, read.track.landmarks)
    crops = reader.cropper.crop(frames, read.track.to_crop)
    assert np.abs(clip.crops.astype(int) - crops).max() <= 1  # cut from a part of the frame
    [spoken] = read.sentences
    assert spoken.emissions is not None
    np.testing.assert_allclose(clip.log_probs, spoken.emissions.log_probs, atol=1e-5)
    assert clip.symbols == ["", *reader.decoder.tokenizer.alphabet]


def test_a_larger_video_is_made_smaller_and_its_track_with_it() -> None:
    track = face()
    scaled = animation._scaled_track(track, 0.25)
    np.testing.assert_allclose(scaled.landmarks, (track.landmarks + 0.5) / 4 - 0.5, atol=1e-5)
    point = np.array([180.0, 40.0, 1.0])
    small = np.array([(180.5 / 4) - 0.5, (40.5 / 4) - 0.5, 1.0])
    np.testing.assert_allclose(scaled.to_crop[0] @ small, track.to_crop[0] @ point, atol=1e-5)


def test_bad_input(untrained_weights: Path, synthetic_clip: Path, grey_video: Path, tmp_path: Path) -> None:
    def animate(video: Path, out: str, *more: object) -> None:
        result = run_script("animate", video, "--weights", untrained_weights, "--out", tmp_path / out, *more)
        assert_one_line(result, *expected)

    (tmp_path / "folder.webp").mkdir()
    expected: tuple[object, ...] = ("a.mp4: not an animated picture", ".webp or .gif")
    animate(synthetic_clip, "a.mp4")
    expected = ("folder.webp: is a folder",)
    animate(synthetic_clip, "folder.webp")
    expected = ("nowhere.mp4: no such file",)
    animate(Path("nowhere.mp4"), "a.webp")
    expected = (grey_video, "no face")
    animate(grey_video, "a.webp")
    expected = ("unknown decoder",)
    animate(synthetic_clip, "a.webp", "--decoder", "none")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.webp"]
    with pytest.raises(LipnetError, match="is the video itself"):
        picture = tmp_path / "a.gif"
        picture.write_bytes(b"")
        animation.check_picture(picture, picture)


def test_the_script_writes_a_picture_and_says_that_the_video_is_longer(
    untrained_weights: Path, synthetic_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_clip, "__defaults__", (0.4,))
    given = (synthetic_clip, "--weights", untrained_weights, "--out", tmp_path / "a.webp")
    result = run_script("animate", *given)
    assert result.code == 0, result.err
    assert f"warning: {synthetic_clip}: longer than {MAX_SECONDS} s: only the first" in result.err
    assert f"{tmp_path / 'a.webp'}: 10 frames" in result.out
    with Image.open(tmp_path / "a.webp") as image:
        assert image.n_frames == 10


def test_the_picture_of_the_readme_is_small() -> None:
    path = Path(__file__).parents[2] / "pictures" / "demo.webp"
    assert path.stat().st_size < 1_000_000
    with Image.open(path) as image:
        assert (image.size[0], image.n_frames, image.info["loop"]) == (WIDTH, 75, 0)


def test_crops_are_white_where_no_face_is_near() -> None:
    frames = [np.full((40, 60, 3), 90, np.uint8)] * 3
    cropper = fake_cropper()
    patches = [Patch(frame, np.eye(3), None) for frame in frames]
    track = FaceTrack.missing(3, cropper.layout, cropper.size)
    track.to_crop[1] = np.eye(3)
    crops = animation._crops(cropper, patches, track)
    assert [int(crop.mean()) for crop in crops] == [255, 90, 255]
