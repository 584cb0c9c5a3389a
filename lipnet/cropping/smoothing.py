"""Landmark series over time: gaps filled, noise smoothed."""

from __future__ import annotations

import numpy as np


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
