"""Mouth crops as other LipNets keep them: for each clip an array, ``SPEAKER/ID.npy``, or a folder of images,
``SPEAKER/ID/mouth_000.png`` and so on."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from lipnet.data.corpus import Corpus, find_clips
from lipnet.errors import LipnetError
from lipnet.grid import natural_key
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer
from lipnet.utils.files import write_atomically

KINDS = {"npy": "arrays SPEAKER/ID.npy", "png": "images SPEAKER/ID/mouth_000.png, ..."}
IMAGES = frozenset({".png", ".jpg", ".jpeg"})


class ExternalCropsError(LipnetError):
    """Crops of another LipNet that cannot be used."""


def find_crops(
    root: Path,
    kind: str,
    aligns: Path | None = None,
    speakers: Iterable[str] | None = None,
    tokenizer: Tokenizer = DEFAULT_TOKENIZER,
) -> Corpus:
    """Find the crops of every clip below ``root``, and their alignments, as `grid.find_clips` does videos.

    Args:
        kind: npy or png. The ``video`` of a clip is then its array, or its folder of images.

    Raises:
        CorpusError: no such folder, no crops in it, or an unknown speaker.
    """
    list_clips = _arrays if kind == "npy" else _image_folders
    return find_clips(root, aligns, speakers, tokenizer, list_clips, KINDS[kind])


def _arrays(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix == ".npy" and path.is_file()]


def _image_folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and any(map(_is_image, path.iterdir()))]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGES


def load_crops(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The crops (T, height, width, 3) uint8 RGB in an array, or in a folder of images.

    Args:
        size: their width and height, px.

    Raises:
        ExternalCropsError: no such crops are there; the message names the file, the cause and the cure.
    """
    shape = (size[1], size[0], 3)
    if path.is_dir():
        return np.stack([_checked(_read_image(image), shape, image) for image in _images(path)])
    crops = _read_array(path)
    if crops.ndim != 4 or not len(crops):
        raise ExternalCropsError(
            f"{path}: holds an array {crops.shape}; give one of frames, (T, {size[1]}, {size[0]}, 3)"
        )
    return _checked(crops, shape, path)


def save_crops(folder: Path, name: str, crops: np.ndarray, kind: str) -> None:
    """Write a clip's crops (T, H, W, 3) uint8 RGB below ``folder``, unless all are there.

    Args:
        name: SPEAKER/ID.
        kind: npy for one array, png for T images.
    """
    last = folder / (f"{name}.npy" if kind == "npy" else f"{name}/{_image_name(len(crops) - 1)}")
    if last.exists():
        return
    last.parent.mkdir(parents=True, exist_ok=True)
    if kind == "npy":
        buffer = io.BytesIO()
        np.save(buffer, crops)
        write_atomically(last, buffer.getvalue())
        return
    for number, crop in enumerate(crops):
        _, encoded = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
        write_atomically(last.with_name(_image_name(number)), encoded.tobytes())


def _image_name(number: int) -> str:
    return f"mouth_{number:03d}.png"


def _images(folder: Path) -> list[Path]:
    """A clip's images by the numbers that end their names, none of which may be missing."""
    images = [path for path in folder.iterdir() if _is_image(path)]
    images.sort(key=lambda path: natural_key(path.stem))
    ends = [re.search(r"\d+$", path.stem) for path in images]
    numbers = [int(end[0]) for end in ends if end]
    if len(numbers) < len(images) or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise ExternalCropsError(
            f"{folder}: its images are not numbered without a gap; name them {_image_name(0)}, ..."
        )
    return images


def _read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    content = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise ExternalCropsError(f"{path}: cannot be read as an image; cut it out anew")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _read_array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ExternalCropsError(
            f"{path}: cannot be read as an array ({error}); save it by numpy.save"
        ) from error
    if not isinstance(array, np.ndarray):
        raise ExternalCropsError(f"{path}: holds several arrays; save one a clip by numpy.save")
    return array


def _checked(crops: np.ndarray, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """Crops (..., H, W, 3) that are uint8 and of that shape."""
    if crops.dtype != np.uint8:
        raise ExternalCropsError(f"{path}: its pixels are {crops.dtype}; save them as uint8, 0 to 255")
    if crops.shape[-3:] != shape:
        raise ExternalCropsError(
            f"{path}: its crops are {crops.shape[-3:]}, not {shape} (height, width, RGB); set "
            "crop.height and crop.width to theirs"
        )
    return crops
