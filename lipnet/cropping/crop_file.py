"""A video file -> a file of its mouth crops, with a bounded number of frames and crops in memory."""

from __future__ import annotations

import math
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lipnet.config import CropConfig
from lipnet.cropping.factory import make_cropper
from lipnet.utils.files import errors_of
from lipnet.video.decode import VideoError, iter_frames
from lipnet.video.resample import PictureCount
from lipnet.video.video_frames import VideoFrames

BLOCK = 256  # crops in memory


class CropFile(NamedTuple):
    """Crops of a clip in a file without a header, (frames, height, width, 3) uint8 RGB."""

    path: Path
    frames: int
    faces: int  # number of frames in which a face was detected; all of them if no detector was used
    most_faces: int = 1  # in one frame
    landmarks: np.ndarray | None = None  # (frames, 68, 2) float16, as `FaceTrack.on_face`
    start: int = 0  # frames before them in the file
    is_temporary: bool = True  # the file has nothing else, and is not needed once the crops are stored

    def crops(self, crop: CropConfig) -> np.ndarray:
        """The crops, memory-mapped: (frames, height, width, 3) uint8 RGB."""
        shape = (self.frames, crop.height, crop.width, 3)
        return np.memmap(self.path, np.uint8, "r", self.start * math.prod(shape[1:]), shape)

    def remove(self) -> None:
        """Remove the file if it is temporary."""
        if self.is_temporary:
            self.path.unlink()


def crop_file(video: Path, out: Path, crop: CropConfig, max_pixels: int) -> CropFile:
    """Cut the mouth out of a video's frames and write the crops to the file ``out``.

    Raises:
        LipnetError: the video cannot be read, its pictures have more than ``max_pixels`` px or are too few
            (`PictureCount`), or it shows no face; the message names it.
        OSError: ``out``, which it names, cannot be written.
    """
    frames = VideoFrames(partial(iter_frames, video, max_pixels=max_pixels))
    cropper = make_cropper(crop)
    count = PictureCount()
    track = cropper.track(map(count.add, frames), str(video))
    if problem := count.problem():
        raise VideoError(f"{video}: {problem}; get or convert the file again")
    images = iter(frames)
    try:
        with errors_of(out), out.open("wb") as file:
            for start in range(0, len(track.found), BLOCK):
                to_crop = track.to_crop[start : start + BLOCK]
                file.write(cropper.crop(islice(images, len(to_crop)), to_crop).data)
    except OSError:  # the disk is full: there is room again for what is done
        out.unlink(missing_ok=True)
        raise
    landmarks = None if track.on_face is None else track.on_face.astype(np.float16)
    return CropFile(out, len(track.found), int(track.found.sum()), track.faces, landmarks)
