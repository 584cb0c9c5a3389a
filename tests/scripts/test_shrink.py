"""shrink.py: checkpoints in half precision, and the mean of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import CROP, assert_one_line, run_script, tiny_model

from lipnet.config import CropConfig
from lipnet.models.checkpoint import load_weights, save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata


def write_run(
    path: Path, value: float, epoch: int, crop: CropConfig = CROP, grid: bool = False, **changes: object
) -> Path:
    """A checkpoint whose weights are all ``value``; ``changes`` are of its model."""
    model = LipNet(tiny_model(norm="batch", **changes))
    state = {
        name: torch.full_like(tensor, value) if tensor.is_floating_point() else torch.tensor(epoch)
        for name, tensor in model.state_dict().items()
    }
    info = {"epoch": epoch, "revision": f"r{epoch}", "dev": {"a": epoch / 10}, "train_split": "train"}
    save_weights(path, state, Metadata(model.config, crop, info, {"greedy": [1.0, 2.0, 3.0]}, grid))
    return path


def test_the_metadata_of_a_mean_names_its_checkpoints(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"{epoch}.safetensors", epoch / 4, epoch) for epoch in (1, 2)]
    assert run_script("shrink", *runs, "--out", tmp_path / "mean.safetensors").code == 0
    model, metadata = load_weights(tmp_path / "mean.safetensors")
    for tensor in model.state_dict().values():
        assert set(tensor.flatten().tolist()) <= {0.375, 2}  # 2: the last number of batches
    assert metadata.info == {
        "train_split": "train",
        "mean_of": [
            {"epoch": 1, "revision": "r1", "dev": {"a": 0.1}},
            {"epoch": 2, "revision": "r2", "dev": {"a": 0.2}},
        ],
    }
    assert metadata.calibration == {}  # that of another checkpoint would be wrong


def test_a_single_checkpoint_keeps_its_metadata(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run.safetensors", 0.1, 3)
    assert run_script("shrink", run, "--out", tmp_path / "half.safetensors").code == 0
    model, metadata = load_weights(tmp_path / "half.safetensors")
    assert metadata == load_weights(run)[1]
    assert float(model.output.bias.detach()[0]) == pytest.approx(float(torch.tensor(0.1).half()))


@pytest.mark.parametrize(
    "changes",
    [{"hidden": 4}, {"alphabet": "zyxwvutsrqponmlkjihgfedcba "}, {"crop": replace(CROP, eye_distance=60.0)}],
)
def test_different_models_or_crops_have_no_mean(changes: dict[str, object], tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a.safetensors", 0.5, 1),
        write_run(tmp_path / "b.safetensors", 0.5, 1, **changes),
    ]
    result = run_script("shrink", *runs, "--out", tmp_path / "mean.safetensors")
    assert_one_line(result, *runs, "of different models or crops")


def test_a_mean_is_for_grid_if_all_checkpoints_are(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{grid}.safetensors", 0.5, 1, grid=grid, dropout=0.1 + 0.5 * grid)
        for grid in (False, True)
    ]
    assert run_script("shrink", *runs, "--out", tmp_path / "mean.safetensors").code == 0
    assert not load_weights(tmp_path / "mean.safetensors")[1].grid
