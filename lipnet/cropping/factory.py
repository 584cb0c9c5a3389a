"""The croppers by name, as ``crop.method`` has them."""

from __future__ import annotations

from collections.abc import Callable

from lipnet.config import CropConfig
from lipnet.cropping.cropper import Cropper, MouthCropper
from lipnet.cropping.fixed_box import FixedCropper
from lipnet.cropping.mtcnn_tracker import MtcnnTracker

CROPPERS: dict[str, Callable[[CropConfig], Cropper]] = {
    "dlib": MouthCropper,
    "mtcnn": lambda config: MouthCropper(config, MtcnnTracker()),
    "fixed": FixedCropper,
}


def make_cropper(config: CropConfig) -> Cropper:
    """The cropper that the config names. Raises LipnetError where what it runs on is missing."""
    return CROPPERS[config.method](config)
