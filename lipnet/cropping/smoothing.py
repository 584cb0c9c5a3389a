"""Landmark series over time: gaps filled, noise smoothed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCK = 512  # frames of which all estimates are in memory
STEP = np.array([[1.0, 1.0], [0.0, 1.0]])  # from a frame to the next: the velocity is added to the place
Estimate = tuple[np.ndarray, np.ndarray]  # place and velocity (2, series), and their covariance (2, 2)


def fill_gaps(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Spread the N measured rows of points (N, ...) over T frames, ``found`` (T,) of which have one.

    Gaps are interpolated, the ends hold the nearest measurement.
    """
    if found.all():
        return points
    frames, columns = np.flatnonzero(found), points.reshape(len(points), -1).T
    filled = np.stack([np.interp(np.arange(len(found)), frames, column) for column in columns], axis=1)
    return filled.reshape(len(found), *points.shape[1:])


def interpolate_held(points: Sequence[np.ndarray | None], held: Sequence[bool]) -> list[np.ndarray | None]:
    """Interpolate landmarks (N, 2) between the frames in which they were looked for.

    Args:
        points: of each frame; None where there is no face.
        held: (T,), whether a frame has the landmarks of the one before. It keeps them where the next frame
            that was looked at has none, or is not among these.
    """
    result = list(points)
    run: list[int] = []  # held frames since the last one that was looked at
    for frame, is_held in enumerate(held):
        if is_held:
            run.append(frame)
            continue
        now = points[frame]
        for step, inner in enumerate(run, start=1):
            before = points[inner]
            if before is not None and now is not None:
                result[inner] = before + (now - before) * (step / (len(run) + 1))
        run = []
    return result


def smooth(values: np.ndarray, band: float, dtype: type = np.float64) -> np.ndarray:
    """Smooth series (T, ...) over time with a forward-backward (Rauch-Tung-Striebel) Kalman filter.

    The model is a steady velocity that is pushed at random, measured with unit noise. A push of variance
    (2 pi band)^4 halves what swings at ``band`` cycles a frame; what is slower passes, without any lag.
    The result has the type ``dtype``.
    """
    series = values.reshape(len(values), -1).astype(np.float64, copy=False)
    push = (2 * np.pi * band) ** 4 * np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])
    # All series are measured in the same frames, so one covariance serves them all: state (2, series).
    predicted = np.stack([series[0], np.zeros_like(series[0])]), np.diag([1e6, 1e6])
    # The backward pass needs what the forward pass knew of each frame. Of a long video only the first frame
    # of each block is kept, and the rest of the block is computed again.
    starts = range(0, len(series), BLOCK)
    kept = []
    for start in starts:
        kept.append(predicted)
        filtered, predicted = _filter(series[start : start + BLOCK], predicted, push)
    smoothed: np.ndarray = np.empty(series.shape, dtype)
    later = None
    for start in reversed(starts):
        if start != starts[-1]:
            filtered, _ = _filter(series[start : start + BLOCK], kept[start // BLOCK], push)
        for index in range(len(filtered) - 1, -1, -1):
            state, covariance = filtered[index]
            if later is None:
                later = state
            else:
                back = covariance @ STEP.T @ np.linalg.inv(STEP @ covariance @ STEP.T + push)
                later = state + back @ (later - STEP @ state)
            smoothed[start + index] = later[0]
    return smoothed.reshape(values.shape)


def _filter(series: np.ndarray, predicted: Estimate, push: np.ndarray) -> tuple[list[Estimate], Estimate]:
    """The forward pass over frames (T, series): the estimate of each frame, and the prediction after them."""
    state, covariance = predicted
    filtered = []
    for measured in series:
        gain = covariance[:, :1] / (covariance[0, 0] + 1)
        state = state + gain * (measured - state[0])
        covariance = covariance - gain * covariance[:1]
        filtered.append((state, covariance))
        state, covariance = STEP @ state, STEP @ covariance @ STEP.T + push
    return filtered, (state, covariance)
