"""An animated picture of how a video is read: captions, words, mouth crop and posteriorgram.

`read_clip` reads a video, `compose` gives the frames of the picture, `write_animation` writes them as WebP or
GIF.
"""

from __future__ import annotations

import io
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from lipnet.cropping.cropper import Cropper, FaceTrack
from lipnet.cropping.geometry import transform
from lipnet.cropping.patch import Patch
from lipnet.drawing import (
    BLACK,
    BLUE,
    GREY,
    LABELS,
    ORANGE,
    PALE,
    ROW,
    WHITE,
    Colour,
    Posteriorgram,
    font,
    posteriorgram,
)
from lipnet.errors import LipnetError, problems_of
from lipnet.grid import FRAME_RATE
from lipnet.inference.reader import LipReader
from lipnet.inference.transcript import TranscribedWord, Transcript
from lipnet.output.overlay import ROUNDING_S, CaptionOverlay
from lipnet.utils.files import write_atomically
from lipnet.video.decode import iter_frames, source_name

FORMATS = {".webp": "WEBP", ".gif": "GIF"}
MAX_SECONDS = 10  # of a video: all frames of the picture are in memory, and the file of more has megabytes
WIDTH, PADDING, GAP = 800, 12, 16  # px: the whole picture, its margin, between its columns and rows
LEFT = 360  # px, width of the left column; the video in it is at most as high
RIGHT = WIDTH - 2 * PADDING - GAP - LEFT  # px
TITLE, TEXT, WORD_TEXT = 20, 13.0, 15.0  # px: height of a line with a title, size of its letters, of words
MAX_CROP_HEIGHT = 180  # px
WORDS, WORD_ROW = 6, 20  # words that are shown at once, and the height of each one's row, px
WORD_X, BAR_X, BAR_WIDTH, BAR_HEIGHT = 66, 166, 140, 10  # px, in the row of a word
SHOWN = 0.05  # symbols that are never so probable, nor the most probable one, have no row
FRAME_MS, LAST_MS = round(1000 / FRAME_RATE), 1500  # for which a picture, and the last one, are shown
WEBP = {"quality": 75, "minimize_size": True, "method": 4}  # method 6: 10 times slower, 1 % fewer bytes


@dataclass(frozen=True)
class Clip:
    """A video of T frames at 25 a second, and how it was read."""

    frames: list[np.ndarray]  # (h, w, 3) uint8 RGB, scaled for the picture
    crops: np.ndarray  # (T, H, W, 3) uint8 RGB; white in frames without a face near
    transcript: Transcript  # its track is in px of ``frames``
    log_probs: np.ndarray  # (S, V) float32, natural; outside of sentences the blank is certain
    symbols: list[str]  # V; "" is the blank
    is_cut: bool  # whether the video is longer


def read_clip(reader: LipReader, video: Path, seconds: float = MAX_SECONDS) -> Clip:
    """Read the first ``seconds`` of a video.

    Raises:
        VideoError: the video cannot be read.
        NoFaceError: no frame shows a face.
    """
    name, limit = source_name(video), round(seconds * FRAME_RATE)
    stream = reader.stream(name)
    frames: list[np.ndarray] = []
    patches: list[Patch] = []
    is_cut = False
    with problems_of(name):
        for frame in iter_frames(video, FRAME_RATE):
            is_cut = len(frames) == limit
            if is_cut:
                break
            patches.append(stream.track(frame))
            stream.add(patches[-1])
            scale = min(LEFT / frame.shape[1], LEFT / frame.shape[0])
            frames.append(_scaled(frame, scale))
        transcript = stream.finish()
    track = transcript.track
    assert track is not None  # the stream is not live
    crops = _crops(reader.cropper, patches, track)
    transcript = replace(transcript, track=_scaled_track(track, scale))
    tokenizer = reader.decoder.tokenizer
    log_probs = _log_probs(transcript, tokenizer.vocab_size, reader.backend.metadata.model.outputs_per_frame)
    return Clip(frames, crops, transcript, log_probs, ["", *tokenizer.alphabet], is_cut)


def _scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    """A copy of a picture (H, W, 3), larger or smaller by ``scale``."""
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.array(cv2.resize(picture, size, interpolation=how))


def _scaled_track(track: FaceTrack, scale: float) -> FaceTrack:
    """The track in a video whose pictures are larger by ``scale``."""
    middle = (scale - 1) / 2  # whole numbers are the centres of px
    matrix = np.array([[scale, 0, middle], [0, scale, middle], [0, 0, 1]])
    landmarks = transform(matrix, track.landmarks).astype(np.float32)
    return replace(track, landmarks=landmarks, to_crop=track.to_crop @ np.linalg.inv(matrix))


def _crops(cropper: Cropper, patches: Sequence[Patch], track: FaceTrack) -> np.ndarray:
    """The mouth crops (T, H, W, 3) of T frames; white where the track has no transform."""
    width, height = track.crop_size
    crops = np.full((len(patches), height, width, 3), 255, np.uint8)
    known = np.flatnonzero(np.isfinite(track.to_crop).all(axis=(1, 2))).tolist()
    if known:
        to_crop = [track.to_crop[i] @ patches[i].to_frame for i in known]
        crops[known] = cropper.crop([patches[i].image for i in known], np.stack(to_crop))
    return crops


def _log_probs(transcript: Transcript, symbols: int, steps_per_frame: int) -> np.ndarray:
    """The emissions of all sentences in their places: (S, V) float32."""
    log_probs = np.full((transcript.frames * steps_per_frame, symbols), -np.inf, np.float32)
    log_probs[:, 0] = 0
    for sentence in transcript.sentences:
        if sentence.emissions is not None:
            first = sentence.first_frame * steps_per_frame
            log_probs[first : first + len(sentence.emissions.log_probs)] = sentence.emissions.log_probs
    return log_probs


def compose(clip: Clip) -> Iterator[np.ndarray]:
    """The T frames of the picture, (H, WIDTH, 3) uint8 RGB on white; H depends on the clip.

    Left the video, with captions and face track, above the words with their times and confidences; right the
    mouth crop above the posteriorgram. Words and posteriorgram appear as far as the video has been played.
    """
    rate = FRAME_RATE * len(clip.log_probs) / len(clip.frames)
    drawn = posteriorgram(clip.log_probs, clip.symbols, rate, RIGHT, SHOWN)
    crop_scale = min(drawn.width / clip.crops.shape[2], MAX_CROP_HEIGHT / clip.crops.shape[1])
    crop_height = _scaled(clip.crops[0], crop_scale).shape[0]
    right = PADDING + LEFT + GAP
    crop_top = PADDING + TITLE
    plot_top = crop_top + crop_height + GAP + TITLE
    words_top = PADDING + clip.frames[0].shape[0] + GAP
    height = max(plot_top + len(drawn.picture), words_top + TITLE + WORDS * WORD_ROW) + PADDING
    titles = {
        (right + LABELS, PADDING): "Mouth crop",
        (right + LABELS, plot_top - TITLE): "Probability of each character (CTC), greedy path in orange",
    }
    sheet = _sheet(height, titles)
    captions = CaptionOverlay(clip.transcript, debug=True, inset=False)
    words = sorted(clip.transcript.words, key=lambda word: word.start)
    for number, (frame, crop) in enumerate(zip(clip.frames, clip.crops, strict=True)):
        elapsed = number / FRAME_RATE
        picture, shown = sheet.copy(), frame.copy()
        captions.draw(shown, elapsed)
        _paste(picture, shown, PADDING + (LEFT - shown.shape[1]) // 2, PADDING)
        _paste(picture, _word_table(words, elapsed), PADDING, words_top)
        _paste(picture, _scaled(crop, crop_scale), right + drawn.left, crop_top)
        _paste(picture, _played(drawn, (number + 1) / len(clip.frames)), right, plot_top)
        yield picture


def _played(drawn: Posteriorgram, part: float) -> np.ndarray:
    """The picture of a posteriorgram up to that part of its time, where a line is; all of it at 1."""
    picture = drawn.picture.copy()
    inside = picture[drawn.top + 1 : drawn.top + drawn.height, drawn.left + 1 : drawn.left + drawn.width - 1]
    place = math.ceil(part * inside.shape[1])
    inside[:, place:] = WHITE
    inside[ROW - 1 :: ROW, place:] = PALE  # its lines between the rows
    inside[:, place : place + 1] = BLACK
    return picture


def _sheet(height: int, titles: dict[tuple[int, int], str]) -> np.ndarray:
    """An empty picture with titles; their places are in px from the left and the top."""
    sheet = Image.new("RGB", (WIDTH, height), WHITE)
    draw = ImageDraw.Draw(sheet)
    for place, title in titles.items():
        draw.text(place, title, GREY, font(TEXT))
    return np.asarray(sheet)


def _paste(picture: np.ndarray, part: np.ndarray, left: int, top: int) -> None:
    picture[top : top + part.shape[0], left : left + part.shape[1]] = part


def _word_table(words: Sequence[TranscribedWord], elapsed: float) -> np.ndarray:
    """WORDS words, each from its start on: (H, LEFT, 3) uint8 RGB. ``elapsed`` is in seconds."""
    table = Image.new("RGB", (LEFT, TITLE + WORDS * WORD_ROW), WHITE)
    draw = ImageDraw.Draw(table)
    for x, title in ((0, "Time"), (WORD_X, "Word"), (BAR_X, "Confidence")):
        draw.text((x, 0), title, GREY, font(TEXT))
    started = bisect_right([word.start for word in words], elapsed + ROUNDING_S)
    first = max(started - 1, 0) // WORDS * WORDS
    for row, word in enumerate(words[first:started]):
        middle = TITLE + row * WORD_ROW + WORD_ROW // 2
        colour: Colour = ORANGE if elapsed < word.end and first + row == started - 1 else BLACK
        draw.text((0, middle), f"{word.start:.2f} s", GREY, font(TEXT), anchor="lm")
        narrow = (BAR_X - WORD_X - GAP) / max(font(WORD_TEXT).getlength(word.word), 1.0)
        draw.text((WORD_X, middle), word.word, colour, font(WORD_TEXT * min(1.0, narrow)), anchor="lm")
        top, end = middle - BAR_HEIGHT // 2, BAR_X + round(word.confidence * BAR_WIDTH)
        draw.rectangle((BAR_X, top, BAR_X + BAR_WIDTH, top + BAR_HEIGHT), PALE)
        draw.rectangle((BAR_X, top, end, top + BAR_HEIGHT), BLUE)
        draw.text((BAR_X + BAR_WIDTH + 8, middle), f"{word.confidence:.2f}", BLACK, font(TEXT), anchor="lm")
    return np.asarray(table)


def check_picture(video: Path, target: Path) -> None:
    """Check that an animation of ``video`` may be written to ``target``, as far as can be known in advance.

    Raises:
        LipnetError: ``target`` is neither .webp nor .gif, is a folder, or is ``video`` itself.
    """
    if target.suffix.lower() not in FORMATS:
        raise LipnetError(f"{target}: not an animated picture; give a name that ends in .webp or .gif")
    if target.is_dir():
        raise LipnetError(f"{target}: is a folder; give a file in it")
    if video.exists() and target.exists() and target.samefile(video):
        raise LipnetError(f"{target}: is the video itself; give the picture another name")


def write_animation(target: Path, pictures: Iterable[np.ndarray]) -> None:
    """Write pictures, (H, W, 3) uint8 RGB at 25 a second, as a loop; if this fails, ``target`` is unchanged.

    The last picture, which stays longer, is the file's first: where nothing moves, that one is shown.

    Args:
        target: ends in .webp or .gif; its folder is created if necessary.
    """
    *others, last = (Image.fromarray(picture) for picture in pictures)
    durations = [LAST_MS, *[FRAME_MS] * len(others)]
    kind, content = FORMATS[target.suffix.lower()], io.BytesIO()
    options = WEBP if kind == "WEBP" else {}
    last.save(content, kind, save_all=True, append_images=others, duration=durations, loop=0, **options)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, content.getvalue())
