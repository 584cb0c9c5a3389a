"""Videos for tests: numbered pictures, in any container, codec and timing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from rapidfuzz.distance import Levenshtein

BITS = 8  # of a picture's number, each a dark or bright vertical bar


def numbered(number: int, width: int = 128, height: int = 64) -> np.ndarray:
    """A grey picture, (height, width, 3) uint8, from which `number_of` reads the number after any codec."""
    bits = [number >> bit & 1 for bit in range(BITS)]
    bars = np.repeat(bits, -(-width // BITS))[:width] * 160 + 48
    return np.broadcast_to(bars[None, :, None], (height, width, 3)).astype(np.uint8)


def number_of(picture: np.ndarray) -> int:
    """The number drawn by `numbered`."""
    width = picture.shape[1]
    columns = [int((bar + 0.5) * -(-width // BITS)) for bar in range(BITS)]
    return sum(int(picture[:, column].mean() > 128) << bit for bit, column in enumerate(columns))


def numbers_of(pictures: Sequence[np.ndarray]) -> list[int]:
    return [number_of(picture) for picture in pictures]


def words_that_differ(text: str, other: str) -> int:
    """Word errors between two texts."""
    return int(Levenshtein.distance(text.split(), other.split()))


def write_video(
    path: Path,
    pictures: Sequence[np.ndarray],
    rate: Fraction | int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times_ms: Sequence[int] | None = None,
    rotation: int = 0,
    colours: tuple[int, int] = (2, 0),
) -> Path:
    """Write (H, W, 3) uint8 RGB pictures and return ``path``.

    Args:
        times_ms: each picture's time; at ``rate`` if None.
        rotation: degrees counter-clockwise by which players turn the pictures.
        colours: FFmpeg's numbers for colour space and range; (2, 0) leaves them unspecified.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.colorspace, stream.codec_context.color_range = colours
        if codec in ("libx264", "libvpx-vp9"):
            stream.options = {"crf": "12", "g": "12", "preset": "ultrafast", "deadline": "realtime"}
        else:
            stream.codec_context.bit_rate = 4_000_000
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture))
            space, colour_range = colours
            frame = frame.reformat(
                format=pix_fmt,
                dst_colorspace=None if space == 2 else space,
                dst_color_range=colour_range or None,
            )
            frame.pts = index if times_ms is None else times_ms[index]
            frame.time_base = 1 / Fraction(rate) if times_ms is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """Write a file with an audio stream and no pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        samples = np.zeros((1, int(16000 * seconds)), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def damage(path: Path, places: int, first: float, last: float = 1.0, seed: int = 0) -> None:
    """Invert ``places`` random bytes of a file between two fractions of its length."""
    content = bytearray(path.read_bytes())
    span = (int(len(content) * first), int(len(content) * last))
    for place in np.random.default_rng(seed).integers(*span, places):
        content[place] ^= 0xFF
    path.write_bytes(content)
