"""Augmentation of landmarks, and samples that have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import OFF, make_clip, pack, random_landmarks

from lipnet.config import AugmentConfig
from lipnet.cropping.landmarks import MIRRORED, landmark_features, mouth_points
from lipnet.data.crop_store import CropStore
from lipnet.data.dataset import ClipDataset, SampleKey
from lipnet.data.landmark_transforms import augment_landmarks
from lipnet.tokenizer import DEFAULT_TOKENIZER

CLIPS = [make_clip("s1", "bbaf2n", 30), make_clip("s1", "swiq9a", 40)]


def mouth(frames: int = 20) -> tuple[np.ndarray, np.ndarray]:
    points = mouth_points(random_landmarks(frames))
    return points, np.broadcast_to(np.median(points, axis=0), points.shape)


def augment(mirror: bool = False, seed: int = 0, **changes: object) -> np.ndarray:
    config = replace(OFF, **changes)  # type: ignore[arg-type]
    return augment_landmarks(*mouth(), mirror, config, np.random.default_rng(seed))


@pytest.fixture
def store(tmp_path: Path) -> CropStore:
    pack(tmp_path, CLIPS, [30, 40], landmarks=True)
    return CropStore(tmp_path)


def test_nothing_changes_where_all_is_off() -> None:
    np.testing.assert_allclose(augment(), landmark_features(*mouth()), atol=1e-5)


def test_mirroring_exchanges_left_and_right() -> None:
    points, rest = mouth()
    reflected = landmark_features(points[:, MIRRORED] * (-1, 1), rest[:, MIRRORED] * (-1, 1))
    np.testing.assert_allclose(augment(mirror=True), reflected, atol=1e-5)
    assert np.array_equal(MIRRORED[MIRRORED], np.arange(len(MIRRORED)))


def test_a_larger_movement_is_the_same_in_every_point() -> None:
    plain, moved = augment()[:, :58], augment(landmark_movement=0.5)[:, :58]
    factor = np.linalg.norm(moved) / np.linalg.norm(plain)
    assert not np.isclose(factor, 1)
    np.testing.assert_allclose(moved, factor * plain, atol=1e-4)


def test_an_offset_is_constant_and_a_jitter_is_not() -> None:
    offset = augment(landmark_offset=0.1)[:, :58] - augment()[:, :58]
    jitter = augment(landmark_jitter=0.1)[:, :58] - augment()[:, :58]
    assert np.ptp(offset, axis=0).max() < 1e-4 < np.abs(offset).max()
    assert np.ptp(jitter, axis=0).min() > 0.1


def test_a_mask_hides_one_run_of_frames() -> None:
    for seed in range(20):
        hidden = np.flatnonzero((augment(seed=seed, landmark_mask=5) == 0).all(axis=1))
        assert len(hidden) <= 5 and (np.diff(hidden) == 1).all()


@pytest.mark.parametrize("setting", ["landmark_rotation", "landmark_stretch", "landmark_shear"])
def test_the_geometry_changes_within_its_limits(setting: str) -> None:
    value = 10 if setting == "landmark_rotation" else 0.2
    changed = augment(**{setting: value})[:, :58]
    plain = augment()[:, :58]
    assert not np.allclose(changed, plain, atol=1e-3)
    assert np.linalg.norm(changed - plain) < 0.3 * np.linalg.norm(plain)


def test_samples_have_the_features_of_their_frames(store: CropStore) -> None:
    data = ClipDataset(store, store.split("all"), DEFAULT_TOKENIZER, streams=["landmarks"])
    points = mouth_points(random_landmarks(40, seed=1))
    sample = data[SampleKey(1)]
    np.testing.assert_allclose(
        sample.landmarks, landmark_features(points, np.median(points, axis=0)), atol=1e-5
    )
    assert not sample.array.size  # no pixels are read


def test_spliced_frames_move_about_the_rest_of_their_own_clip(store: CropStore) -> None:
    augmented = replace(OFF, splice=1.0)
    data = ClipDataset(store, store.split("all"), DEFAULT_TOKENIZER, augmented, streams=["landmarks"])
    whole = {}
    for clip, frames in zip(store.split("all"), (30, 40), strict=True):
        points = mouth_points(random_landmarks(frames, seed=len(whole) // 30))
        features = landmark_features(points, np.median(points, axis=0))
        whole |= {clip.start + frame: row for frame, row in enumerate(features)}
    for copy in range(10):
        sample = data[SampleKey(0, copy=copy)]
        expected = np.stack([whole[index] for index in sample.indices])
        np.testing.assert_allclose(sample.landmarks, expected, atol=1e-5)


def test_excerpts_are_consecutive_words(store: CropStore) -> None:
    data = ClipDataset(store, store.split("all"), DEFAULT_TOKENIZER, replace(OFF, excerpt=1.0))
    lengths = set()
    for copy in range(60):
        sample = data[SampleKey(1, copy=copy)]
        assert f" {sample.sentence} " in f" {data.clips[1].sentence} "
        spoken = sample.words[sample.words > 0]
        assert len(np.unique(spoken)) >= len(sample.sentence.split())
        lengths.add(len(sample.sentence.split()))
    assert lengths == {2, 3, 4}


def test_mirrored_samples_say_so(store: CropStore) -> None:
    data = ClipDataset(store, store.split("all"), DEFAULT_TOKENIZER, AugmentConfig(resample=0.0, flip=0.5))
    mirrored = [data[SampleKey(0, copy=copy)].mirror for copy in range(200)]
    assert 70 < sum(mirrored) < 130
