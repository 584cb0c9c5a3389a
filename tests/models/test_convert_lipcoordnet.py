"""LipCoordNet's weights: a small random file gives what plain NumPy computes from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from plain_numpy import lipcoordnet
from published_files import COORDINATE_HIDDEN, COORDINATES, HIDDEN, lipcoordnet_state, write_vipl
from tiny import assert_one_line, run_script

from lipnet.models.checkpoint import load_weights
from lipnet.models.convert.published import LIPCOORDNET
from lipnet.settings import load_config

RECIPE = Path(__file__).parents[2] / "configs" / "lipcoordnet.yaml"
LENGTHS = (6, 9)  # frames
SOURCE = "github.com/ffeew/LipCoordNet"


@torch.no_grad()
def test_its_weights_give_what_the_architecture_computes(tmp_path: Path) -> None:
    state, out = lipcoordnet_state(), tmp_path / "lipnet.safetensors"
    result = run_script("convert", write_vipl(tmp_path / "weights.bin", state), "--out", out)
    assert result.code == 0, result.err
    assert result.out == (
        f"{out}: {SOURCE}, {sum(array.size for array in state.values()):,} parameters, reads crops of 128x64 "
        "px with the eyes 68.6 px apart, and landmarks\n"
    )
    model, metadata = load_weights(out)
    assert metadata.info["source"] == SOURCE and metadata.crop == LIPCOORDNET[0].crop
    assert (metadata.model.hidden, metadata.model.landmark_hidden) == (HIDDEN, COORDINATE_HIDDEN)

    random = np.random.default_rng(1)
    frames = random.integers(0, 256, (len(LENGTHS), max(LENGTHS), 64, 128, 3), np.uint8)
    lips = random.uniform(0, 1, (len(LENGTHS), max(LENGTHS), COORDINATES)).astype(np.float32)
    lips[0, LENGTHS[0] :] = np.nan  # beyond the end
    output = model(torch.from_numpy(frames), torch.tensor(LENGTHS), torch.from_numpy(lips))
    for clip, points, read, length in zip(frames, lips, output.log_probs.numpy(), LENGTHS, strict=True):
        expected = lipcoordnet(state, clip[:length], points[:length].reshape(length, 20, 2))
        assert expected.std() > 0.2  # otherwise a wrong order of weights would not show
        np.testing.assert_allclose(read[:length], expected, rtol=0, atol=1e-4)


def test_the_recipe_has_the_network_and_the_crops_of_the_published_weights() -> None:
    config = load_config(RECIPE)
    [published] = LIPCOORDNET
    assert config.crop == published.crop
    model = published.model
    assert (config.model.streams, config.model.fusion) == (model.streams, model.fusion)
    assert (config.model.landmark_input, config.model.landmark_channels) == ("lip_coordinates", [])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("coord_gru.bias_hh_l0", None),
        ("coord_gru.weight_ih_l0", (0, 38)),  # coordinates of 19 points
        ("FC.weight", (0, 2 * HIDDEN)),
    ],
    ids=["a tensor less", "other points", "a narrow output layer"],
)
def test_other_layouts_are_refused(name: str, change: tuple[int, int] | None, tmp_path: Path) -> None:
    state = lipcoordnet_state()
    if change is None:
        del state[name]
    else:
        state[name] = state[name][:, slice(*change)]
    path = write_vipl(tmp_path / "w.pt", state)
    result = run_script("convert", path, "--out", tmp_path / "out.safetensors")
    assert_one_line(result, f"{path}: unknown layout", "LipCoordNet")
