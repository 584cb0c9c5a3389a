"""A video's frames -> landmarks with gaps filled, smoothed -> one similarity warp a frame -> mouth crops.

Every way to cut mouths out is a `Cropper`; the one here follows a face.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lipnet.config import CropConfig
from lipnet.cropping.dlib_tracker import DlibTracker
from lipnet.cropping.geometry import (
    LANDMARK_LAYOUTS,
    LANDMARKS,
    face_box,
    fit_pose,
    scale_of,
    transform,
    warp,
)
from lipnet.cropping.smoothing import fill_gaps, smooth
from lipnet.cropping.tracker import FaceTracker
from lipnet.errors import LipnetError

REACH = 1.5  # face units on each side of the mouth; a crop reaches 0.8, and smoothing moves it little
HEAD_BAND = 0.12  # cycles a frame (3 Hz at 25 fps): what is faster in the landmarks counts as noise
MOUTH_BAND = 0.012  # cycles a frame: likewise for the mouth's place on the face


class NoFaceError(LipnetError):
    """A video in no frame of which a face was found."""


def no_face_error(frames: int, name: str) -> NoFaceError:
    return NoFaceError(f"{name}: no face in its {frames} frames; give a video of one seen from the front")


@dataclass(frozen=True)
class FaceTrack:
    """Where one face and its mouth were in each of T frames.

    The number of landmarks tells what they are: 68 or 5 of a face (`LANDMARK_LAYOUTS`), or the 4 corners
    of a box that holds the mouth.
    """

    landmarks: np.ndarray  # (T, N, 2) float32, frame px, gaps filled, smoothed over time
    found: np.ndarray  # (T,) bool: measured in this frame rather than filled in
    to_crop: np.ndarray  # (T, 3, 3) float64: the affine map from frame px to those of the mouth crop

    @classmethod
    def none(cls, frames: int, landmarks: int = LANDMARKS) -> FaceTrack:
        """Of frames without a face anywhere near: NaN."""
        unknown = np.full((frames, landmarks, 2), np.nan, np.float32), np.full((frames, 3, 3), np.nan)
        return cls(unknown[0], np.zeros(frames, dtype=bool), unknown[1])

    @classmethod
    def joined(cls, parts: Sequence[FaceTrack]) -> FaceTrack:
        """One after the other."""
        parts = parts or [cls.none(0)]
        return cls(
            np.concatenate([part.landmarks for part in parts]),
            np.concatenate([part.found for part in parts]),
            np.concatenate([part.to_crop for part in parts]),
        )

    def until(self, frames: int) -> FaceTrack:
        """The first ``frames`` of it."""
        return FaceTrack(self.landmarks[:frames], self.found[:frames], self.to_crop[:frames])


@dataclass(frozen=True)
class Crops:
    """The mouth in T frames."""

    frames: np.ndarray  # (T, height, width, 3) uint8 RGB
    track: FaceTrack


class Cropper(ABC):
    """A way to cut the mouth out of videos. Three steps, each of which may see a video part by part:

    `follow` says where the mouth is in each frame, as landmarks or not at all; `complete` makes these a
    track, which knows of every frame what its crop shows; `crop` cuts. A call takes all three.
    """

    landmarks: int  # N, in a frame: what `FaceTrack` says of them

    def __init__(self, config: CropConfig) -> None:
        self.config = config

    @abstractmethod
    def follow(self, frames: Iterable[np.ndarray], name: str = "video") -> Iterator[np.ndarray | None]:
        """For each frame, (H, W, 3) uint8 RGB, as it comes: landmarks (N, 2) in frame px, or None.

        Raises LipnetError, which names the video, on frames that cannot be cropped.
        """

    @abstractmethod
    def complete(self, measured: Sequence[np.ndarray | None], name: str = "video") -> FaceTrack:
        """The track of T frames, one or more, in which `follow` has found this.

        Raises NoFaceError, which names the video, where it has found nothing at all.
        """

    @abstractmethod
    def crop(self, images: Iterable[np.ndarray], to_crop: np.ndarray) -> np.ndarray:
        """Cut each image by its own matrix (T, 3, 3), from its px: (T, height, width, 3) uint8 RGB.

        Images are frames, or the parts of frames within `crop_reach` of their landmarks.
        """

    def __call__(self, frames: Sequence[np.ndarray] | np.ndarray, name: str = "video") -> Crops:
        """Track and crop T frames, (H, W, 3) uint8 RGB; ``name`` is the video's in an error.

        Raises:
            NoFaceError: no frame shows a face.
            LipnetError: frames that cannot be cropped.
        """
        track = self.track(frames, name)
        return Crops(self.crop(frames, track.to_crop), track)

    def track(self, frames: Iterable[np.ndarray], name: str = "video") -> FaceTrack:
        """Where the mouth is in T frames; errors as in a call."""
        return self.complete(list(self.follow(frames, name)), name)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a crop, px."""
        return self.config.width, self.config.height


class MouthCropper(Cropper):
    """Follows the largest face. The models behind it are loaded once a process."""

    def __init__(self, config: CropConfig, tracker: FaceTracker | None = None) -> None:
        """``finder``: dlib's, unless another is given."""
        super().__init__(config)
        self.tracker = tracker or DlibTracker(config.predictor)
        self.landmarks = self.tracker.landmarks

    def follow(self, frames: Iterable[np.ndarray], name: str = "video") -> Iterator[np.ndarray | None]:
        return self.tracker.follow(frames, self.config.detect_every)

    def complete(self, measured: Sequence[np.ndarray | None], name: str = "video") -> FaceTrack:
        """Fill the gaps in T frames' landmarks and smooth them."""
        found = np.array([points is not None for points in measured], dtype=bool)
        if not found.any():
            raise no_face_error(len(found), name)
        points = np.stack([points for points in measured if points is not None])
        landmarks = smooth(fill_gaps(points, found), HEAD_BAND).astype(np.float32)
        return FaceTrack(
            landmarks,
            found,
            crop_transforms(landmarks, self.size, self.config.eye_distance, self.config.center_offset),
        )

    def crop(self, images: Iterable[np.ndarray], to_crop: np.ndarray) -> np.ndarray:
        return np.stack(
            [warp(image, matrix, self.size) for image, matrix in zip(images, to_crop, strict=True)]
        )


def crop_reach(points: np.ndarray) -> np.ndarray:
    """Corners (4, 2), frame px, of what the crops of a frame with landmarks (N, 2) may need of it."""
    if len(points) not in LANDMARK_LAYOUTS:
        return points  # a box's
    pose = fit_pose(points)
    reach = REACH * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    return transform(np.linalg.inv(pose), mouth_centre(pose, points) + reach)


def face_unit(points: np.ndarray) -> float:
    """px between the eyes of a face with landmarks (N, 2); 0 of a box, in which none is known."""
    return 1 / scale_of(fit_pose(points)) if len(points) in LANDMARK_LAYOUTS else 0.0


def outline(points: np.ndarray) -> np.ndarray:
    """The box (4,), left top right bottom in frame px, of a face with landmarks (N, 2), or the fixed one."""
    if len(points) not in LANDMARK_LAYOUTS:
        return np.concatenate([points.min(axis=0), points.max(axis=0)])
    return face_box(fit_pose(points))


def mouth_centre(poses: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Where the mouths of faces at poses (..., 3, 3) with landmarks (..., N, 2) are: (..., 2) face units."""
    scheme = LANDMARK_LAYOUTS[landmarks.shape[-2]]
    return transform(poses, landmarks[..., scheme.mouth, :]).mean(axis=-2) + scheme.mouth_shift


def crop_transforms(
    landmarks: np.ndarray, size: tuple[int, int], eye_distance: float, center_offset: float = 0.0
) -> np.ndarray:
    """The similarities (T, 3, 3) from frame px to the px of crops of ``size`` (width, height).

    Crops are centred ``center_offset`` face units below the mouth.

    Each frame's eyes and nose set place, scale (``eye_distance`` px a face unit) and roll. The mouth's
    place on the face changes only with pose and identity, slowly, so it is smoothed hard: speech opens
    and closes the mouth within the crop and does not move the crop.
    """
    poses = fit_pose(landmarks)
    mouth = smooth(mouth_centre(poses, landmarks), MOUTH_BAND)  # (T, 2) face units
    from_face = np.tile(np.diag([eye_distance, eye_distance, 1.0]), (len(poses), 1, 1))
    from_face[:, :2, 2] = (np.array(size) - 1) / 2 - eye_distance * (mouth + np.array([0.0, center_offset]))
    return from_face @ poses
