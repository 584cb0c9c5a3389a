"""Video frames -> a face track -> mouth crops.

A `Cropper` is one way to locate and cut out the mouth. `FaceCropper` tracks a face: gaps in its landmarks are
filled, the landmarks are smoothed over time, and each frame is warped by one similarity into its crop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lipnet.config import CropConfig
from lipnet.cropping.geometry import fit_pose, mouth_centre, transform, warp
from lipnet.cropping.landmarks import IBUG_68, FaceLayout, LandmarkLayout
from lipnet.cropping.smoothing import fill_gaps, interpolate_held, smooth
from lipnet.cropping.tracker import FaceTracker
from lipnet.errors import LipnetError

HEAD_BAND = 0.12  # cycles a frame (3 Hz at 25 fps): faster changes of the landmarks count as noise
MOUTH_BAND = 0.012  # cycles a frame: faster changes of the mouth's position on the face count as noise

# Takes the frames of one video in their order, each (H, W, 3) uint8 RGB, and gives their landmarks (N, 2) in
# frame px, or None where they are not found.
FrameTracker = Callable[[np.ndarray], np.ndarray | None]


def faces_seen(tracker: FrameTracker) -> int:
    """The largest number of faces that a video's tracker has seen in one frame; 1 if it looks for none."""
    return getattr(tracker, "most_faces", 1)


def is_held(tracker: FrameTracker) -> bool:
    """Whether a tracker has not looked at the last frame, and gave the landmarks of the one before."""
    return getattr(tracker, "held", False)


class NoFaceError(LipnetError):
    """A video without a face in any of its frames."""

    @classmethod
    def of(cls, name: str, frames: int) -> NoFaceError:
        """The error of the video called ``name``, which has so many frames."""
        return cls(f"{name}: no face in its {frames} frames; give a video of one seen from the front")


@dataclass(frozen=True)
class FaceTrack:
    """Where one face and its mouth are in each of T frames."""

    layout: LandmarkLayout
    crop_size: tuple[int, int]  # width and height of the crops, px
    landmarks: np.ndarray  # (T, N, 2) float32, frame px, gaps filled, smoothed over time
    found: np.ndarray  # (T,) bool: measured in this frame rather than filled in
    to_crop: np.ndarray  # (T, 3, 3) float64: the affine map from frame px to crop px
    faces: int = 1  # the largest number of faces that were seen in one frame, as far as they were looked for
    # (T, 68, 2) float32, face units: the landmarks as measured, by a pose that is smoothed over time; NaN in
    # frames without. None if they are not known, or of a layout that has not 68 points on a face.
    on_face: np.ndarray | None = None

    @classmethod
    def missing(cls, frames: int, layout: LandmarkLayout, crop_size: tuple[int, int]) -> FaceTrack:
        """The track of frames without a face nearby: landmarks and transforms are NaN."""
        landmarks = np.full((frames, layout.count, 2), np.nan, np.float32)
        to_crop = np.full((frames, 3, 3), np.nan)
        on_face = landmarks if layout is IBUG_68 else None
        return cls(layout, crop_size, landmarks, np.zeros(frames, dtype=bool), to_crop, on_face=on_face)

    def __getitem__(self, frames: slice | np.ndarray) -> FaceTrack:
        """The track of some frames: a slice, or a mask (T,) bool."""
        return replace(
            self,
            landmarks=self.landmarks[frames],
            found=self.found[frames],
            to_crop=self.to_crop[frames],
            on_face=None if self.on_face is None else self.on_face[frames],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[FaceTrack]) -> FaceTrack:
        """The track of consecutive parts, one or more, of a video."""
        return cls(
            parts[0].layout,
            parts[0].crop_size,
            np.concatenate([part.landmarks for part in parts]),
            np.concatenate([part.found for part in parts]),
            np.concatenate([part.to_crop for part in parts]),
            max(part.faces for part in parts),
            join_landmarks([part.on_face for part in parts]),
        )


def join_landmarks(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The landmarks of consecutive parts of a video, (T, 68, 2); None where a part has none."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


@dataclass(frozen=True)
class Crops:
    """The mouth crops of T frames."""

    frames: np.ndarray  # (T, height, width, 3) uint8 RGB
    track: FaceTrack


class Cropper(ABC):
    """One way to cut the mouth out of videos, in three steps that may see a video part by part.

    `start` gives a function that locates the mouth frame by frame, `build_track` makes a track of the
    landmarks of consecutive frames, and `crop` cuts images by the track's transforms. A call takes all three.
    """

    layout: LandmarkLayout  # of the landmarks that the frames get

    def __init__(self, config: CropConfig) -> None:
        self.config = config

    @abstractmethod
    def start(self, name: str = "video") -> FrameTracker:
        """A new tracker for one video. It raises LipnetError, with the video's name, on unsuitable frames."""

    @abstractmethod
    def build_track(self, landmarks: Sequence[np.ndarray | None], name: str = "video") -> FaceTrack:
        """The track of T consecutive frames, one or more, from their landmarks (N, 2), or None where not
        found.

        Raises NoFaceError, with the video's name, where none was found.
        """

    @abstractmethod
    def crop(self, images: Iterable[np.ndarray], to_crop: np.ndarray) -> np.ndarray:
        """Cut each image by its matrix (T, 3, 3) from image px to crop px: (T, height, width, 3) uint8 RGB.

        Images are frames, or the parts of frames within `geometry.mouth_region`.
        """

    def __call__(self, frames: Sequence[np.ndarray] | np.ndarray, name: str = "video") -> Crops:
        """Track and crop T frames, (H, W, 3) uint8 RGB.

        Raises:
            NoFaceError: no frame shows a face; ``name`` is the video's in the message.
            LipnetError: frames that cannot be cropped.
        """
        track = self.track(frames, name)
        return Crops(self.crop(frames, track.to_crop), track)

    def track(self, frames: Iterable[np.ndarray], name: str = "video") -> FaceTrack:
        """Where the mouth is in T frames, of which one is held at a time; errors as in a call."""
        tracker = self.start(name)
        landmarks, held = [], []
        for frame in frames:
            landmarks.append(tracker(frame))
            held.append(is_held(tracker))
        return replace(self.build_track(interpolate_held(landmarks, held), name), faces=faces_seen(tracker))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a crop, px."""
        return self.config.width, self.config.height


class FaceCropper(Cropper):
    """Crops that follow one face, the one that ``crop.face`` says."""

    layout: FaceLayout

    def __init__(self, config: CropConfig, tracker: FaceTracker) -> None:
        super().__init__(config)
        self.tracker, self.layout = tracker, tracker.layout

    def start(self, name: str = "video") -> FrameTracker:
        return self.tracker.start(self.config)

    def build_track(self, landmarks: Sequence[np.ndarray | None], name: str = "video") -> FaceTrack:
        """Fill the gaps in T frames' landmarks and smooth them."""
        found = np.array([points is not None for points in landmarks], dtype=bool)
        if not found.any():
            raise NoFaceError.of(name, len(found))
        measured = np.stack([points for points in landmarks if points is not None])
        smoothed = smooth(fill_gaps(measured, found), HEAD_BAND, np.float32)
        to_crop = crop_transforms(
            smoothed, self.layout, self.size, self.config.eye_distance, self.config.center_offset
        )
        on_face = None
        if self.layout is IBUG_68:
            on_face = np.full(smoothed.shape, np.nan, np.float32)
            on_face[found] = transform(fit_pose(smoothed[found], IBUG_68), measured)
        return FaceTrack(self.layout, self.size, smoothed, found, to_crop, on_face=on_face)

    def crop(self, images: Iterable[np.ndarray], to_crop: np.ndarray) -> np.ndarray:
        return np.stack(
            [warp(image, matrix, self.size) for image, matrix in zip(images, to_crop, strict=True)]
        )


def crop_transforms(
    landmarks: np.ndarray,
    layout: FaceLayout,
    size: tuple[int, int],
    eye_distance: float,
    center_offset: float = 0.0,
) -> np.ndarray:
    """The similarities (T, 3, 3) from frame px to the px of mouth-centred crops.

    Position, scale and roll of each frame follow from its eyes and nose. The mouth's position on the face
    changes only with pose and identity, slowly, so it is smoothed hard: speech opens and closes the mouth
    within the crop and does not move the crop.

    Args:
        landmarks: (T, N, 2) frame px, smoothed over time.
        size: width and height of a crop, px.
        eye_distance: px between the eyes in a crop.
        center_offset: eye distances by which the crop's centre lies below the mouth's.
    """
    poses = fit_pose(landmarks, layout)
    mouth = smooth(mouth_centre(poses, landmarks, layout), MOUTH_BAND)  # (T, 2) face units
    from_face = np.tile(np.diag([eye_distance, eye_distance, 1.0]), (len(poses), 1, 1))
    from_face[:, :2, 2] = (np.array(size) - 1) / 2 - eye_distance * (mouth + np.array([0.0, center_offset]))
    return from_face @ poses
