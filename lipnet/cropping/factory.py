"""The croppers by name, as ``crop.method`` has them."""

from __future__ import annotations

from collections.abc import Callable

from lipnet.config import CropConfig
from lipnet.cropping.cropper import Cropper, FaceCropper
from lipnet.cropping.dlib_tracker import DlibTracker
from lipnet.cropping.fixed_box import FixedBoxCropper, WholeFrameCropper
from lipnet.cropping.mtcnn_tracker import MtcnnTracker


def _dlib(config: CropConfig) -> Cropper:
    return FaceCropper(config, DlibTracker(config.predictor))


def _mtcnn(config: CropConfig) -> Cropper:
    return FaceCropper(config, MtcnnTracker())


CROPPERS: dict[str, Callable[[CropConfig], Cropper]] = {
    "dlib": _dlib,
    "mtcnn": _mtcnn,
    "fixed": FixedBoxCropper,
    "none": WholeFrameCropper,
}


def make_cropper(config: CropConfig) -> Cropper:
    """The cropper that the config names. Raises LipnetError where its models or packages are missing."""
    return CROPPERS[config.method](config)
