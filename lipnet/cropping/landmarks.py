"""Landmark layouts: which points a tracker finds, and what they are on a face.

Positions are in face units: the origin lies between the eyes' centres, x runs from one eye to the other, and
their distance is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
