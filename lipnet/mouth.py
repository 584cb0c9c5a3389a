"""A video's frames -> landmarks with gaps filled, smoothed -> one similarity warp a frame -> mouth crops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lipnet.config import CropConfig
from lipnet.errors import LipnetError
from lipnet.face import LANDMARKS, FaceFinder, fit_pose, transform, warp

MOUTH = slice(48, 68)  # of iBUG's 68 landmarks
HEAD_BAND = 0.12  # cycles a frame (3 Hz at 25 fps): what is faster in the landmarks counts as noise
MOUTH_BAND = 0.012  # cycles a frame: likewise for the mouth's place on the face


class NoFaceError(LipnetError):
    """A video in no frame of which a face was found."""


def no_face(frames: int, name: str) -> NoFaceError:
    return NoFaceError(f"{name}: no face in its {frames} frames; give a video of one seen from the front")


@dataclass(frozen=True)
class FaceTrack:
    """Where one face and its mouth were in each of T frames."""

    landmarks: np.ndarray  # (T, 68, 2) float32, frame px, gaps filled, smoothed over time
    found: np.ndarray  # (T,) bool: measured in this frame rather than filled in
    to_crop: np.ndarray  # (T, 3, 3) float64: the similarity from frame px to those of the mouth crop

    @classmethod
    def none(cls, frames: int) -> FaceTrack:
        """Of frames without a face anywhere near: NaN."""
        unknown = np.full((frames, LANDMARKS, 2), np.nan, np.float32), np.full((frames, 3, 3), np.nan)
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


class MouthCropper:
    """Cuts the mouth out of videos. The models behind it are loaded once a process."""

    def __init__(self, config: CropConfig) -> None:
        self.config = config
        self.finder = FaceFinder(config.predictor)

    def __call__(self, frames: Sequence[np.ndarray] | np.ndarray, name: str = "video") -> Crops:
        """Track and crop T frames, (H, W, 3) uint8 RGB; ``name`` is the video's in an error.

        Raises:
            NoFaceError: no frame shows a face.
        """
        track = self.track(frames, name)
        return Crops(self.crop(frames, track.to_crop), track)

    def track(self, frames: Iterable[np.ndarray], name: str = "video") -> FaceTrack:
        """Follow the largest face through T frames; errors as in a call."""
        return self.complete(list(self.finder.follow(frames, self.config.detect_every)), name)

    def complete(self, measured: Sequence[np.ndarray | None], name: str = "video") -> FaceTrack:
        """Fill the gaps in T frames' landmarks, each (68, 2) or None, and smooth them.

        Raises NoFaceError where no frame has any.
        """
        found = np.array([points is not None for points in measured], dtype=bool)
        if not found.any():
            raise no_face(len(found), name)
        points = np.stack([points for points in measured if points is not None])
        landmarks = smooth(fill_gaps(points, found), HEAD_BAND).astype(np.float32)
        return FaceTrack(landmarks, found, crop_transforms(landmarks, self.size, self.config.eye_distance))

    def crop(self, frames: Iterable[np.ndarray], to_crop: np.ndarray) -> np.ndarray:
        """Warp each frame by its own matrix (T, 3, 3): (T, height, width, 3) uint8 RGB."""
        return np.stack(
            [warp(frame, matrix, self.size) for frame, matrix in zip(frames, to_crop, strict=True)]
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a crop, px."""
        return self.config.width, self.config.height


def crop_transforms(landmarks: np.ndarray, size: tuple[int, int], eye_distance: float) -> np.ndarray:
    """The similarities (T, 3, 3) from frame px to the px of mouth-centred crops of ``size`` (width, height).

    Each frame's eyes and nose set place, scale (``eye_distance`` px a face unit) and roll. The mouth's
    place on the face changes only with pose and identity, slowly, so it is smoothed hard: speech opens
    and closes the mouth within the crop and does not move the crop.
    """
    poses = fit_pose(landmarks)
    mouth = smooth(transform(poses, landmarks[:, MOUTH]).mean(axis=1), MOUTH_BAND)  # (T, 2) face units
    from_face = np.tile(np.diag([eye_distance, eye_distance, 1.0]), (len(poses), 1, 1))
    from_face[:, :2, 2] = (np.array(size) - 1) / 2 - eye_distance * mouth
    return from_face @ poses


def fill_gaps(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Spread the N measured rows of points (N, ...) over T frames, ``found`` (T,) of which have one.

    Gaps are interpolated, the ends hold the nearest measurement.
    """
    if found.all():
        return points
    frames, columns = np.flatnonzero(found), points.reshape(len(points), -1).T
    filled = np.stack([np.interp(np.arange(len(found)), frames, column) for column in columns], axis=1)
    return filled.reshape(len(found), *points.shape[1:])


def smooth(values: np.ndarray, band: float) -> np.ndarray:
    """Smooth series (T, ...) over time with a forward-backward (Rauch-Tung-Striebel) Kalman filter.

    The model is a steady velocity that is pushed at random, measured with unit noise. A push of variance
    (2 pi band)^4 halves what swings at ``band`` cycles a frame; what is slower passes, without any lag.
    """
    series = values.reshape(len(values), -1).astype(np.float64)
    step = np.array([[1.0, 1.0], [0.0, 1.0]])
    push = (2 * np.pi * band) ** 4 * np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])
    # All series are measured in the same frames, so one covariance serves them all: state (2, series).
    state, covariance = np.stack([series[0], np.zeros_like(series[0])]), np.diag([1e6, 1e6])
    filtered = []
    for measured in series:
        gain = covariance[:, :1] / (covariance[0, 0] + 1)
        state = state + gain * (measured - state[0])
        covariance = covariance - gain * covariance[:1]
        filtered.append((state, covariance))
        state, covariance = step @ state, step @ covariance @ step.T + push
    smoothed = np.empty_like(series)
    later, _ = filtered[-1]
    smoothed[-1] = later[0]
    for index in range(len(series) - 2, -1, -1):
        state, covariance = filtered[index]
        back = covariance @ step.T @ np.linalg.inv(step @ covariance @ step.T + push)
        later = state + back @ (later - step @ state)
        smoothed[index] = later[0]
    return smoothed.reshape(values.shape)
