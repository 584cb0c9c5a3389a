"""Mouth crops in the files of other LipNet implementations: an array or a folder of images per clip.

Beside an array, ``ID.landmarks.npy`` may have the landmarks of its frames.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from lipnet.cropping.landmarks import has_landmarks
from lipnet.data.corpus import Corpus, find_clips, is_hidden
from lipnet.data.crop_store.index import LANDMARK_SHAPE
from lipnet.errors import LipnetError
from lipnet.grid import natural_key
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer, shortened
from lipnet.utils.files import write_atomically

KINDS = {"npy": "arrays SPEAKER/ID.npy", "png": "images SPEAKER/ID/mouth_000.png, ..."}
LANDMARKS = ".landmarks.npy"  # after the clip's ID
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


class ExternalCropsError(LipnetError):
    """Crops of another LipNet implementation that cannot be used."""


def find_crops(
    root: Path,
    kind: str,
    aligns: Path | None = None,
    speakers: Iterable[str] | None = None,
    tokenizer: Tokenizer = DEFAULT_TOKENIZER,
) -> Corpus:
    """Find the crops of all clips below ``root``, and their transcripts; see `corpus.find_clips`.

    Args:
        kind: npy or png. The ``video`` of a clip is its array or its folder of images.

    Raises:
        CorpusError: the folder does not exist or has no crops, or a speaker is unknown.
    """
    list_clips = _arrays if kind == "npy" else _image_folders
    return find_clips(root, aligns, speakers, tokenizer, list_clips, KINDS[kind])


def _arrays(folder: Path) -> list[Path]:
    arrays = [path for path in folder.iterdir() if path.suffix.lower() == ".npy" and not is_hidden(path)]
    return [path for path in arrays if path.is_file() and not path.name.endswith(LANDMARKS)]


def _image_folders(folder: Path) -> list[Path]:
    folders = [path for path in folder.iterdir() if path.is_dir() and not is_hidden(path)]
    return [path for path in folders if any(map(_is_image, path.iterdir()))]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path)


def load_crops(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Load a clip's crops, (T, height, width, 3) uint8 RGB, from an array or a folder of images.

    Args:
        size: width and height of the crops, px.

    Raises:
        ExternalCropsError: a file cannot be read or has other contents than such crops.
    """
    shape = (size[1], size[0], 3)
    if path.is_dir():
        return np.stack([_checked(_read_image(image), shape, image) for image in _images(path)])
    crops = _read_array(path)
    if crops.ndim != 4 or not len(crops):
        raise ExternalCropsError(
            f"{path}: an array of shape {crops.shape}; give one of shape (T, {size[1]}, {size[0]}, 3)"
        )
    return _checked(crops, shape, path)


def load_landmarks(path: Path, frames: int) -> np.ndarray | None:
    """The landmarks beside the array ``path`` of crops: (T, 68, 2) float16; None if no frame has any.

    Raises:
        ExternalCropsError: a file cannot be read, or does not have those of ``frames`` frames.
    """
    path = path.with_name(path.stem + LANDMARKS)
    if not path.exists():
        return None
    landmarks = _read_array(path)
    shape = (frames, *LANDMARK_SHAPE)
    if landmarks.shape != shape or landmarks.dtype != np.float16 or np.isinf(landmarks).any():
        raise ExternalCropsError(
            f"{path}: an array of {landmarks.dtype} {landmarks.shape}; give numbers or NaN, float16 {shape}"
        )
    return np.array(landmarks) if has_landmarks(landmarks) else None


def save_crops(
    folder: Path, name: str, crops: np.ndarray, kind: str, landmarks: np.ndarray | None = None
) -> None:
    """Write a clip's crops, (T, H, W, 3) uint8 RGB, below ``folder``, unless all of them exist.

    Args:
        name: SPEAKER/ID.
        kind: npy for one array, png for T images.
        landmarks: (T, 68, 2) float16, written beside an array; None: none are known.
    """
    last = folder / (f"{name}.npy" if kind == "npy" else f"{name}/{_image_name(len(crops) - 1)}")
    if last.exists():
        return
    last.parent.mkdir(parents=True, exist_ok=True)
    if kind == "npy":
        if landmarks is not None:
            write_atomically(folder / f"{name}{LANDMARKS}", _npy(landmarks))
        write_atomically(last, _npy(crops))
        return
    for number, crop in enumerate(crops):
        _, encoded = cv2.imencode(".png", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
        write_atomically(last.with_name(_image_name(number)), encoded.tobytes())


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _image_name(number: int) -> str:
    return f"mouth_{number:03d}.png"


def _images(folder: Path) -> list[Path]:
    """A clip's images in the order of the numbers at the end of their names, none of which may be missing."""
    images = [path for path in folder.iterdir() if _is_image(path)]
    images.sort(key=lambda path: natural_key(path.stem))
    ends = [re.search(r"\d+$", path.stem) for path in images]
    numbers = [int(end[0]) for end in ends if end]
    if len(numbers) < len(images) or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise ExternalCropsError(
            f"{folder}: its images are not numbered consecutively; name them {_image_name(0)}, ..."
        )
    return images


def _read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    content = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    except cv2.error:  # such as too many pixels
        image = None
    if image is None:
        raise ExternalCropsError(f"{path}: cannot be read as an image; save it again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _read_array(path: Path) -> np.ndarray:
    try:
        # Mapped, so that no memory is allocated for a shape that is larger than the file.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # also those of Python's parser and of zip files
        reason = " ".join(str(error).split())
        raise ExternalCropsError(
            f"{path}: cannot be read as an array ({shortened(reason)}); save it with numpy.save"
        ) from error
    if not isinstance(array, np.ndarray):
        raise ExternalCropsError(f"{path}: has several arrays; save one per clip with numpy.save")
    return array


def _checked(crops: np.ndarray, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """Crops (..., H, W, 3), once they are known to be uint8 and of ``shape`` (H, W, 3)."""
    if crops.dtype != np.uint8:
        raise ExternalCropsError(f"{path}: its pixels are {crops.dtype}; save them as uint8, 0 to 255")
    if crops.shape[-3:] != shape:
        raise ExternalCropsError(
            f"{path}: the shape of its crops is {crops.shape[-3:]}, not {shape} (height, width, RGB); set "
            "crop.height and crop.width accordingly"
        )
    return crops
