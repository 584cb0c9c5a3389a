"""Two networks joined by late fusion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CROP, assert_one_line, random_crops, random_landmarks, run_script, tiny_model

from lipnet.cropping.landmarks import clip_features
from lipnet.inference.torch_backend import TorchBackend
from lipnet.models.checkpoint import save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata


def save(path: Path, seed: int, **changes: object) -> Path:
    torch.manual_seed(seed)
    config = tiny_model(word_heads=True, **changes)
    save_weights(path, LipNet(config).state_dict(), Metadata(config, CROP, {"seed": seed}))
    return path


def emissions(path: Path, landmarks: np.ndarray | None) -> np.ndarray:
    [result] = TorchBackend.load(path, "cpu")([random_crops(9)], [landmarks])
    return result.log_probs


def test_the_joined_network_reads_both(tmp_path: Path) -> None:
    pixels = save(tmp_path / "p.safetensors", 0)
    settings = {"landmark_channels": [6], "landmark_input": "standardized"}
    landmarks = save(tmp_path / "l.safetensors", 1, streams=["landmarks"], **settings)
    both = tmp_path / "both.safetensors"
    result = run_script("fuse", pixels, landmarks, "--weight", 0.25, "--entropy", 0.3, "--out", both)
    assert result.code == 0
    features = clip_features(random_landmarks(9), "standardized")
    # Untrained pixels are not certain of any word, so that the characters are those of the landmarks.
    np.testing.assert_allclose(emissions(both, features), emissions(landmarks, features), atol=1e-5)
    np.testing.assert_allclose(emissions(both, None), emissions(pixels, None), atol=1e-5)
    metadata = TorchBackend.load(both, "cpu").metadata
    assert metadata.info == {"pixels": {"seed": 0}, "landmarks": {"seed": 1}}
    assert (metadata.model.landmark_weight, metadata.model.landmark_entropy) == (0.25, 0.3)
    assert metadata.model.landmark_input == "standardized"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "reads pixels; give weights for landmarks"),
        (
            {"streams": ["landmarks"], "outputs_per_frame": 2},
            "model.outputs_per_frame is 2, in ",
        ),
    ],
)
def test_networks_that_do_not_fit(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    pixels = save(tmp_path / "p.safetensors", 0)
    other = save(tmp_path / "l.safetensors", 1, **changes)
    result = run_script("fuse", pixels, other, "--out", tmp_path / "both.safetensors")
    assert_one_line(result, message)
    assert not (tmp_path / "both.safetensors").exists()
