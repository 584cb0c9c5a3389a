"""Filling and smoothing of landmark series against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from lipnet.cropping.smoothing import fill_gaps, smooth


def test_fill_gaps_interpolates_and_holds_the_ends() -> None:
    found = np.array([False, True, False, False, True, False])
    filled = fill_gaps(np.array([[[1.0, 10.0]], [[4.0, 40.0]]]), found)
    np.testing.assert_allclose(filled[:, 0, 0], [1, 1, 2, 3, 4, 4])
    np.testing.assert_allclose(filled[:, 0, 1], [10, 10, 20, 30, 40, 40])


@pytest.mark.parametrize("band", [0.012, 0.12])
def test_smooth_equals_least_squares_over_the_whole_series(band: float) -> None:
    """The filter's two passes give the minimum of one quadratic: squared errors plus the pushes' cost."""
    count = 40
    values = np.random.default_rng(0).normal(size=(count, 3)).cumsum(axis=0)
    push = (2 * np.pi * band) ** 4 * np.array([[1 / 3, 1 / 2], [1 / 2, 1]])
    root = np.linalg.cholesky(np.linalg.inv(push)).T
    rows, targets = [], []
    for t in range(count):  # unknowns: place and speed in each frame
        row = np.zeros((1, 2 * count))
        row[0, 2 * t] = 1
        rows.append(row)
        targets.append(values[t : t + 1])
    for t in range(count - 1):
        row = np.zeros((2, 2 * count))
        row[:, 2 * t : 2 * t + 2] = -root @ np.array([[1, 1], [0, 1]])
        row[:, 2 * t + 2 : 2 * t + 4] = root
        rows.append(row)
        targets.append(np.zeros((2, 3)))
    solution = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0]
    np.testing.assert_allclose(smooth(values, band), solution[::2], atol=1e-3)


def test_smooth_halves_at_its_band_and_has_no_lag() -> None:
    frames = np.arange(400)
    for cycles, low, high in ((0.02, 0.98, 1.01), (0.12, 0.4, 0.6), (0.4, 0.0, 0.03)):
        wave = np.cos(2 * np.pi * cycles * frames)
        smoothed = smooth(wave, 0.12)[100:300]
        assert low <= smoothed @ wave[100:300] / (wave[100:300] @ wave[100:300]) <= high


def test_smooth_takes_one_frame() -> None:
    np.testing.assert_allclose(smooth(np.ones((1, 68, 2)), 0.12), 1.0, atol=1e-5)
