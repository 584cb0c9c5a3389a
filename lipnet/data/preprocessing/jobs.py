"""What a worker does with one clip: a file of its crops, or what another machine sends of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lipnet.config import CropConfig
from lipnet.cropping.crop_file import CropFile, crop_file
from lipnet.cropping.factory import make_cropper
from lipnet.data.corpus import Clip
from lipnet.data.external_crops import load_crops, load_landmarks
from lipnet.errors import LipnetError
from lipnet.utils.files import errors_of
from lipnet.utils.pool import WorkerError
from lipnet.video.decode import LargePicturesError

Cut = Callable[[Clip, Path], CropFile]  # `crop_clip` or `import_clip` with settings


def crop_clip(clip: Clip, folder: Path, crop: CropConfig, max_pixels: int) -> CropFile:
    """Crop a clip's video into a file in a folder.

    Raises LipnetError as `crop_file`, where more pixels than ``max_pixels`` of a picture, with the option.
    """
    try:
        return crop_file(clip.video, folder / uuid.uuid4().hex, crop, max_pixels)
    except LargePicturesError as error:
        raise LipnetError(f"{error}, or give --max-pixels") from error


def import_clip(clip: Clip, folder: Path, crop: CropConfig) -> CropFile:
    """Copy the crops that another LipNet implementation has saved of a clip into a file in a folder.

    Raises ExternalCropsError as `load_crops` and `load_landmarks`.
    """
    crops = load_crops(clip.video, (crop.width, crop.height))
    path = folder / uuid.uuid4().hex
    with errors_of(path):
        path.write_bytes(np.ascontiguousarray(crops).data)
    return CropFile(path, len(crops), len(crops), landmarks=load_landmarks(clip.video, len(crops)))


def send_crops(clip: Clip, folder: Path, cut: Cut, crop: CropConfig | None) -> tuple[CropFile, bytes]:
    """Crop a clip on another machine than the one that writes the crop store.

    Args:
        folder: for temporary files, on this machine.
        crop: settings of a cropper that this machine must have; None: of none.

    Returns:
        What is known of the crops, and the crops as the file has them.

    Raises:
        WorkerError: this machine lacks the video, or what the cropper needs.
        LipnetError: as `crop_clip` or `import_clip`.
    """
    if not clip.video.exists():
        raise WorkerError(f"{clip.video}: no such file there; give all workers the corpus under this path")
    try:
        if crop is not None:
            make_cropper(crop)
    except LipnetError as error:
        raise WorkerError(str(error)) from error
    result = cut(clip, folder)
    return result, result.path.read_bytes()


def receive_crops(sent: tuple[CropFile, bytes], folder: Path) -> CropFile:
    """Write what `send_crops` has returned into a file in a folder. Raises OSError, which names it."""
    result, content = sent
    path = folder / uuid.uuid4().hex
    with errors_of(path):
        path.write_bytes(content)
    return result._replace(path=path)
