"""Filling and smoothing of landmark series against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from lipnet.cropping import smoothing
from lipnet.cropping.smoothing import fill_gaps, interpolate_held, smooth


def test_fill_gaps_interpolates_and_holds_the_ends() -> None:
    found = np.array([False, True, False, False, True, False])
    filled = fill_gaps(np.array([[[1.0, 10.0]], [[4.0, 40.0]]]), found)
    np.testing.assert_allclose(filled[:, 0, 0], [1, 1, 2, 3, 4, 4])
    np.testing.assert_allclose(filled[:, 0, 1], [10, 10, 20, 30, 40, 40])


def test_held_landmarks_lie_between_those_before_and_after() -> None:
    values = [None, 1.0, 1.0, 3.0, 3.0, 3.0, 9.0, 9.0, None, 5.0, 5.0]
    held = [False, False, True, False, True, True, False, True, False, False, True]
    points = [None if value is None else np.full((2, 2), value) for value in values]
    expected = [None, 1, 2, 3, 5, 7, 9, 9, None, 5, 5]  # the last of a run without an end keep theirs
    for one, number in zip(interpolate_held(points, held), expected, strict=True):
        assert one is None if number is None else (one == number).all()  # type: ignore[union-attr]


def test_a_part_may_start_with_held_landmarks() -> None:
    [first, second] = interpolate_held([np.zeros((1, 2)), np.ones((1, 2))], [True, False])
    assert first is not None and second is not None and (first == 0.5).all() and (second == 1).all()


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


def smooth_at_once(values: np.ndarray, band: float) -> np.ndarray:
    """The same filter with the estimates of all frames (T, series) in memory."""
    step = np.array([[1.0, 1.0], [0.0, 1.0]])
    push = (2 * np.pi * band) ** 4 * np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])
    state, covariance = np.stack([values[0], np.zeros_like(values[0])]), np.diag([1e6, 1e6])
    filtered = []
    for measured in values:
        gain = covariance[:, :1] / (covariance[0, 0] + 1)
        state = state + gain * (measured - state[0])
        covariance = covariance - gain * covariance[:1]
        filtered.append((state, covariance))
        state, covariance = step @ state, step @ covariance @ step.T + push
    smoothed = np.empty_like(values)
    later = filtered[-1][0]
    smoothed[-1] = later[0]
    for index in range(len(values) - 2, -1, -1):
        state, covariance = filtered[index]
        back = covariance @ step.T @ np.linalg.inv(step @ covariance @ step.T + push)
        later = state + back @ (later - step @ state)
        smoothed[index] = later[0]
    return smoothed


@pytest.mark.parametrize("count", [1, 6, 7, 8, 14, 75, 90])
def test_blocks_change_no_bit(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(count).normal(100, 5, (count, 136))
    expected = smooth_at_once(values, 0.12)
    for block in (7, 512):
        monkeypatch.setattr(smoothing, "BLOCK", block)
        assert np.array_equal(smooth(values.reshape(count, 68, 2), 0.12).reshape(count, -1), expected)
        assert np.array_equal(smooth(values, 0.12, np.float32), expected.astype(np.float32))
