"""The recipes in configs/: their sizes by hand, their dev lists, and that each trains and evaluates."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny import make_clip, pack, run_script, write_list

from lipnet.models.convert.published import VIPL
from lipnet.models.flops import CLIP_FRAMES, count_flops, count_parameters
from lipnet.models.lipnet import LipNet
from lipnet.settings import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
FRAMES = 30  # of the clips here: enough for the 20 or so symbols of a sentence
LARGE = {"end_to_end", "lip_read_ml", "grid_large"}  # networks that take seconds per step on a CPU
RECIPES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


class Layer(NamedTuple):
    """The cost of a layer, worked out by hand."""

    parameters: int
    products: int  # multiplications by a weight per frame


def conv(inputs: int, outputs: int, kernel: int, height: int, width: int, normed: bool = False) -> Layer:
    """A convolution with an output of ``height`` x ``width``; normalisation adds a gain and an offset."""
    weights = inputs * outputs * kernel
    return Layer(weights + outputs + (2 * outputs if normed else 0), weights * height * width)


def recurrent(inputs: int, hidden: int, gates: int = 3, sides: int = 2, biases: int = 2) -> Layer:
    """A recurrent layer, by default a bidirectional GRU."""
    weights = sides * gates * hidden * (inputs + hidden)
    return Layer(weights + sides * gates * hidden * biases, weights)


def linear(inputs: int, outputs: int) -> Layer:
    return Layer((inputs + 1) * outputs, inputs * outputs)


def grey(height: int, width: int) -> Layer:
    """The conversion from RGB to grey."""
    return Layer(0, 3 * height * width)


def grus(features: int, biases: int = 2) -> list[Layer]:
    """Two layers of 256 units and 28 outputs."""
    return [recurrent(features, 256, biases=biases), recurrent(512, 256, biases=biases), linear(512, 28)]


# 50x100 halved by the first stride, then by each pooling: convolutions at 25x50, 12x25 and 6x12.
LIPNET = [conv(3, 32, 75, 25, 50), conv(32, 64, 75, 12, 25), conv(64, 96, 27, 6, 12)]
LIPNET_NORMED = [
    conv(3, 32, 75, 25, 50, normed=True),
    conv(32, 64, 75, 12, 25, normed=True),
    conv(64, 96, 27, 6, 12, normed=True),
]
# With a stride in each convolution: 25x50, pooled 12x25, 6x13, pooled 3x6, 2x3, pooled 1x1.
KERAS = [
    conv(3, 32, 75, 25, 50, normed=True),
    conv(32, 64, 75, 6, 13, normed=True),
    conv(64, 96, 27, 2, 3, normed=True),
    *grus(96, biases=1),
]
# 46x140 at full size, pooled 23x70, 11x35, 5x17.
TUTORIAL = [
    grey(46, 140),
    conv(1, 128, 27, 46, 140),
    conv(128, 256, 27, 23, 70),
    conv(256, 75, 27, 11, 35),
]
# Two outputs per frame, and two heads of 51 words and silence.
OURS = [
    *LIPNET_NORMED,
    recurrent(96 * 3 * 6, 256),
    recurrent(512, 256),
    linear(512, 2 * 28),
    *(linear(512, 52),) * 2,
]

BY_HAND: dict[str, list[Layer]] = {
    "paper": [*LIPNET, *grus(96 * 3 * 6)],
    "baseline_nolm": [*LIPNET, *grus(96 * 3 * 6)],
    "baseline_2d": [
        conv(3, 32, 25, 25, 50),
        conv(32, 64, 25, 12, 25),
        conv(64, 96, 9, 6, 12),
        *grus(96 * 3 * 6),
    ],
    "baseline_lstm": [
        grey(25, 50),
        recurrent(25 * 50, 128, gates=4, sides=1),
        recurrent(128, 128, gates=4, sides=1),
        linear(128, 28),
    ],
    "cloud_lipreading": KERAS,
    "keras_unseen": KERAS,
    "end_to_end": [*TUTORIAL, recurrent(75 * 5 * 17, 128), recurrent(256, 128), linear(256, 40)],
    "lip_read_ml": [
        *TUTORIAL,
        recurrent(75 * 5 * 17, 128, gates=4),
        recurrent(256, 128, gates=4),
        linear(256, 40),
    ],
    # The last kernel, of 3, is padded by 2 too: 8x14 from 6x12, pooled 4x7.
    "gluon": [
        conv(3, 32, 75, 25, 50, normed=True),
        conv(32, 64, 75, 12, 25, normed=True),
        conv(64, 96, 27, 8, 14, normed=True),
        *grus(96 * 4 * 7),
    ],
    # 64x128: 32x64, pooled 16x32, 16x32, pooled 8x16, 8x16, pooled 4x8.
    "vipl": [
        conv(3, 32, 75, 32, 64),
        conv(32, 64, 75, 16, 32),
        conv(64, 96, 27, 8, 16),
        *grus(96 * 4 * 8),
    ],
    # As vipl, with 20 points of two coordinates.
    "lipcoordnet": [
        conv(3, 32, 75, 32, 64),
        conv(32, 64, 75, 16, 32),
        conv(64, 96, 27, 8, 16),
        recurrent(96 * 4 * 8, 256),
        recurrent(512, 256),
        recurrent(40, 128),
        linear(512 + 256, 28),
    ],
    # 64 numbers a frame, kernels of five frames.
    "landmarks": [
        conv(64, 160, 5, 1, 1, normed=True),
        conv(160, 160, 5, 1, 1, normed=True),
        recurrent(160, 192),
        recurrent(384, 192),
        linear(384, 2 * 28),
        *(linear(384, 52),) * 2,
    ],
    "grid": OURS,
    "grid_small": OURS,
    # A stride of 3: 17x34 from 50x100, pooled 8x17, 4x8 and 2x4.
    "grid_fast": [
        conv(3, 32, 75, 17, 34, normed=True),
        conv(32, 64, 27, 8, 17, normed=True),
        conv(64, 128, 27, 4, 8, normed=True),
        recurrent(128 * 2 * 4, 256),
        recurrent(512, 256),
        linear(512, 2 * 28),
        *(linear(512, 52),) * 2,
    ],
    "grid_large": [
        conv(3, 64, 75, 25, 50, normed=True),
        conv(64, 128, 75, 12, 25, normed=True),
        conv(128, 192, 27, 6, 12, normed=True),
        recurrent(192 * 3 * 6, 512),
        recurrent(1024, 512),
        recurrent(1024, 512),
        linear(1024, 2 * 28),
        *(linear(1024, 52),) * 3,
    ],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_parameters_and_operations(name: str) -> None:
    config = load_config(CONFIGS / f"{name}.yaml").model
    assert count_parameters(LipNet(config)) == sum(layer.parameters for layer in BY_HAND[name])
    assert count_flops(config) == 2 * CLIP_FRAMES * sum(layer.products for layer in BY_HAND[name])


def test_the_table_has_these_numbers() -> None:
    table = (CONFIGS / "README.md").read_text()
    rows = {
        row[0]: row[1:]
        for row in re.findall(r"^\| `(\w+)\.yaml` \|.* \| ([\d.]+) \| ([\d.]+) \|", table, re.M)
    }
    assert set(rows) >= set(BY_HAND)
    for name, layers in BY_HAND.items():
        millions = sum(layer.parameters for layer in layers) / 1e6
        billions = 2 * CLIP_FRAMES * sum(layer.products for layer in layers) / 1e9
        assert rows[name] == (f"{millions:.2f}", f"{billions:.1f}"), name


def test_every_recipe_is_checked_here() -> None:
    assert set(RECIPES) == {*BY_HAND, "adapt", "smoke", "grid_fusion"}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_monitors_a_dev_list(name: str) -> None:
    """Whether it selects by that list is another setting: only our recipes and keras_unseen do."""
    config = load_config(CONFIGS / f"{name}.yaml")
    assert config.data.dev_splits
    assert config.train.eval_every < config.train.epochs
    selecting = {"grid", "grid_small", "grid_fast", "grid_large", "grid_fusion", "landmarks", "smoke"}
    selecting |= {"keras_unseen"}
    assert config.train.select == ("best" if name in selecting else "last")


@pytest.mark.parametrize("name", sorted(BY_HAND.keys() - {"grid_small", "grid_fast", "landmarks"}))
def test_recipes_for_the_whole_corpus_use_the_lists_that_preprocessing_writes(name: str) -> None:
    data = load_config(CONFIGS / f"{name}.yaml").data
    assert (data.train_split, data.dev_splits) == ("unseen_fit", ["unseen_dev"])


def test_grid_large_trains_as_grid_does() -> None:
    grid, large = (load_config(CONFIGS / f"{name}.yaml") for name in ("grid", "grid_large"))
    assert replace(grid, model=large.model, train=replace(grid.train, lr=large.train.lr)) == large


def test_grid_fast_trains_as_grid_small_does_for_a_third_of_the_operations() -> None:
    small, fast = (load_config(CONFIGS / f"{name}.yaml") for name in ("grid_small", "grid_fast"))
    assert replace(small, model=fast.model) == fast
    assert count_flops(fast.model) < 3.5e9 < count_flops(small.model) / 3


def test_the_crop_settings_of_vipl_are_those_of_its_weights() -> None:
    assert load_config(CONFIGS / "vipl.yaml").crop == VIPL[0].crop


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in BY_HAND],
)
def test_one_step_and_one_evaluation(name: str, tmp_path: Path) -> None:
    """With only the directories given, as on the whole corpus, but with two clips."""
    recipe = load_config(CONFIGS / f"{name}.yaml")
    crops, run = tmp_path / "crops", tmp_path / "run"
    clips = [make_clip("s1", "bbaf2n", FRAMES), make_clip("s2", "lgbm5p", FRAMES)]
    pack(crops, clips, [FRAMES, FRAMES], recipe.crop, landmarks=True)
    write_list(crops / "splits" / f"{recipe.data.train_split}.txt", [clips[0].name])
    for split in [*recipe.data.dev_splits, "unseen_test"]:
        write_list(crops / "splits" / f"{split}.txt", [clips[1].name])

    settings = [
        f"data.root={crops}",
        f"run.dir={run}",
        "data.batch_size=1",
        "train.epochs=1",
        "run.device=cpu",
        "data.workers=0",
    ]
    trained = run_script("train", "--config", CONFIGS / f"{name}.yaml", *settings)
    assert trained.code == 0, trained.err
    weights = run / "best.safetensors"
    read = run_script("evaluate", "--weights", weights, "--data", crops, "--split", "unseen_test")
    assert read.code == 0, read.err
    assert re.search(r"WER +\d+\.\d %", read.out)
