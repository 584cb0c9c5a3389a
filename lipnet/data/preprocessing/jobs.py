"""What a worker does with one clip: a file of its crops."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np

from lipnet.config import CropConfig
from lipnet.cropping.crop_file import CropFile, crop_file
from lipnet.data.corpus import Clip
from lipnet.data.external_crops import load_crops, load_landmarks
from lipnet.errors import LipnetError
from lipnet.utils.files import errors_of
from lipnet.video.decode import LargePicturesError


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
