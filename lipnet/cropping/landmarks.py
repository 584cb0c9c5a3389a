"""Landmark layouts: which points a tracker finds, and what they are on a face; a mouth's shape as features.

Positions are in face units: the origin lies between the eyes' centres, x runs from one eye to the other, and
their distance is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lipnet.cropping.smoothing import fill_gaps


@dataclass(frozen=True, eq=False)
class LandmarkLayout:
    """``count`` points in a fixed order."""

    name: str
    count: int


@dataclass(frozen=True, eq=False)
class FaceLayout(LandmarkLayout):
    """Points on a face. The fields are indices into the points, where not said otherwise."""

    stable: np.ndarray  # (S,) points that speech hardly moves
    stable_face: np.ndarray  # (S, 2) float64: their positions on a mean upright face
    mouth: slice  # points around the mouth
    mouth_offset: tuple[float, float]  # face units from the mean of the mouth's points to its centre
    nose_tip: int
    lips: (
        tuple[int, int] | None
    )  # the outer middle of the upper and the lower lip; None: not among the points


# The 68 points of the iBUG annotation. Stable are the nose's bridge (27-30) and the eyes (36-47); their
# positions were measured on eight GRID speakers and made symmetric.
_BRIDGE = np.array([(0.0, -0.06), (0.0, 0.15), (0.0, 0.355), (0.0, 0.57)])
_LEFT_EYE = np.array(
    [(-0.70, 0.0), (-0.575, -0.065), (-0.425, -0.065), (-0.292, 0.02), (-0.43, 0.057), (-0.58, 0.057)]
)
_RIGHT_EYE = _LEFT_EYE[[3, 2, 1, 0, 5, 4]] * (-1, 1)
IBUG_68 = FaceLayout(
    name="iBUG 68",
    count=68,
    stable=np.r_[27:31, 36:48],
    stable_face=np.concatenate([_BRIDGE, _LEFT_EYE, _RIGHT_EYE]),
    mouth=slice(48, 68),
    mouth_offset=(0.0, 0.0),
    nose_tip=30,
    lips=(51, 57),
)
# MTCNN's five points: the eyes, the nose's tip, the mouth's corners. Positions as MTCNN finds them on the
# same faces.
MTCNN_5 = FaceLayout(
    name="MTCNN 5",
    count=5,
    stable=np.arange(3),
    stable_face=np.array([(-0.518, -0.014), (0.518, -0.014), (0.0, 0.607)]),
    mouth=slice(3, 5),
    mouth_offset=(0.0, 0.04),
    nose_tip=2,
    lips=None,
)
# The corners of a fixed box that holds the mouth: no face is known.
BOX_CORNERS = LandmarkLayout(name="box corners", count=4)

# The points that show speech: 20 of the lips, and 9 of the jaw.
MOUTH_POINTS = np.r_[48:68, 4:13]
LIPS = slice(0, 20)  # among MOUTH_POINTS
# For each of MOUTH_POINTS, the one that it becomes in a mirror image.
MIRRORED = np.r_[
    [6, 5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7],  # outer lip
    [16, 15, 14, 13, 12, 19, 18, 17],  # inner lip
    np.arange(28, 19, -1),  # jaw
]
# Pairs of MOUTH_POINTS whose distances are features: three openings of the inner lips, their width, and
# width and height of the outer lips.
DISTANCES = np.array([(13, 19), (14, 18), (15, 17), (12, 16), (0, 6), (3, 9)])
MOVEMENT_SCALE = 6.0  # brings the deviations from a clip's median, in mouth widths, to about 1
MIN_DEVIATION = 0.05  # keeps the noise of a still mouth small; speech has about 0.5
LANDMARK_FEATURES = 2 * len(MOUTH_POINTS) + len(DISTANCES)
# The mean face in GRID's frames, measured by the dlib cropper in every eighth frame of four clips each of
# nine people; the standard deviations between people are 12 and 5 px of the position, 3 px of the distance.
GRID_FRAME = (360, 288)  # px, width and height
GRID_EYES = (175.5, 152.0)  # px, x and y between the eyes' centres
GRID_EYE_DISTANCE = 49.8  # px


def face_points(landmarks: np.ndarray) -> np.ndarray:
    """The mouth and jaw of one clip on the face: (T, 29, 2) float32, in face units.

    Args:
        landmarks: (T, 68, 2) iBUG points in face units (`FaceTrack.on_face`), NaN in frames without, which
            are interpolated; at least one frame has them.
    """
    found = ~np.isnan(landmarks[:, 0, 0])
    return fill_gaps(landmarks[found][:, MOUTH_POINTS].astype(np.float32), found).astype(np.float32)


def mouth_points(landmarks: np.ndarray) -> np.ndarray:
    """The mouth and jaw of one clip in a common position and size: (T, 29, 2) float32, in mouth widths.

    The origin is the clip's median lip centre; the unit is its median mouth width, so that position, size and
    roll of the face do not matter, and movements of the mouth do.

    ``landmarks`` are as those of `face_points`.
    """
    points = face_points(landmarks)
    centre = np.median(points[:, LIPS].mean(axis=1), axis=0)
    width = np.median(np.linalg.norm(points[:, 6] - points[:, 0], axis=-1))
    return ((points - centre) / max(float(width), 1e-3)).astype(np.float32)


def landmark_features(points: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """What the network reads of mouth points: (T, 64) float32, their movements and six distances.

    Args:
        points: (T, 29, 2), as `mouth_points`.
        rest: (29, 2) or (T, 29, 2), the median of the clip's points.
    """
    movements = MOVEMENT_SCALE * (points - rest).reshape(len(points), -1)
    first, second = DISTANCES.T
    distances = MOVEMENT_SCALE * np.linalg.norm(points[:, first] - points[:, second], axis=-1)
    return np.concatenate([movements, distances], axis=1).astype(np.float32)


def standardized_features(points: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """`landmark_features` with mean 0 and standard deviation 1 over the frames: (T, 64) float32.

    People move their lips by different amounts, and unlike each other in different directions.
    """
    features = landmark_features(points, rest)
    deviation = features.std(axis=0) + MIN_DEVIATION
    return ((features - features.mean(axis=0)) / deviation).astype(np.float32)


def lip_coordinates(points: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The lips' points in a GRID frame in which the face has its usual position and size: (T, 40) float32.

    x and y of each point in turn, as parts of the frame's width and height.

    Args:
        points: (T, 29, 2), as `face_points`.
        rest: not used.
    """
    in_frame = GRID_EYE_DISTANCE * points[:, LIPS] + np.array(GRID_EYES)
    return (in_frame / GRID_FRAME).reshape(len(points), -1).astype(np.float32)


class LandmarkInput(NamedTuple):
    """What a network reads of a clip's landmarks, in two steps; augmentation comes between them."""

    size: int  # numbers a frame
    points: Callable[[np.ndarray], np.ndarray]  # landmarks (T, 68, 2) in face units -> (T, 29, 2)
    features: Callable[[np.ndarray, np.ndarray], np.ndarray]  # these and their median -> (T, size) float32


# By the names that ``model.landmark_input`` has.
LANDMARK_INPUTS = {
    "features": LandmarkInput(LANDMARK_FEATURES, mouth_points, landmark_features),
    "standardized": LandmarkInput(LANDMARK_FEATURES, mouth_points, standardized_features),
    "lip_coordinates": LandmarkInput(2 * (LIPS.stop - LIPS.start), face_points, lip_coordinates),
}


def has_landmarks(landmarks: np.ndarray | None) -> bool:
    """Whether any frame of a clip's landmarks (T, 68, 2), NaN in frames without, has some."""
    return landmarks is not None and not bool(np.isnan(landmarks[:, 0, 0]).all())


def clip_features(landmarks: np.ndarray | None, kind: str = "features") -> np.ndarray | None:
    """What a network reads of a clip's landmarks: (T, F) float32; None if no frame has any.

    Args:
        landmarks: (T, 68, 2) in face units, NaN in frames without.
        kind: one of LANDMARK_INPUTS.
    """
    if landmarks is None or not has_landmarks(landmarks):
        return None
    _, points_of, features = LANDMARK_INPUTS[kind]
    points = points_of(landmarks)
    return features(points, np.median(points, axis=0))
