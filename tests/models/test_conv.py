"""Convolutional blocks: sizes, order of operations, and statistics without padding."""

from __future__ import annotations

import pytest
import torch
from tiny import random_frames, tiny_model
from torch import nn

from lipnet.config import ModelConfig
from lipnet.models.batch import Padding
from lipnet.models.conv import EPSILON, feature_size
from lipnet.models.lipnet import LipNet


@pytest.mark.parametrize(
    ("height", "width", "tables"),
    [
        (50, 100, {}),
        (64, 128, {}),
        (33, 47, {}),
        (50, 100, {"strides": [[1, 2, 2]] * 3}),
        (50, 100, {"paddings": [[1, 2, 2]] * 3}),
        (33, 47, {"paddings": [[1, 0, 3], [1, 3, 0], [1, 0, 0]]}),
        (21, 30, {"kernels": [[3, 4, 2], [1, 2, 4]], "strides": [[1, 1, 2], [1, 2, 1]]}),
        (19, 23, {"kernels": [[5, 7, 1]], "strides": [[1, 3, 3]]}),
    ],
)
def test_feature_size_is_that_of_the_convolutions_output(
    height: int, width: int, tables: dict[str, list[list[int]]]
) -> None:
    channels = [2] * len(tables.get("kernels", ModelConfig().kernels))
    config = tiny_model(height=height, width=width, channels=channels, **tables)
    model = LipNet(config)
    x = torch.zeros(1, 3, 4, height, width)
    for block in model.blocks:
        x = block(x)
    assert x.shape[:3] == (1, 2, 4)
    assert feature_size(config) == x[0, :, 0].numel()
    assert model(random_frames(1, 4, height, width), torch.tensor([4])).log_probs.shape == (1, 4, 28)


def test_feature_size_of_the_paper() -> None:
    assert feature_size(ModelConfig()) == 96 * 3 * 6


@torch.no_grad()
def test_instance_normalisation_is_over_each_clip_and_channel() -> None:
    norm = LipNet(tiny_model(norm="instance")).blocks[0].norm
    norm.weight.uniform_(-1, 1)
    norm.bias.uniform_(-1, 1)
    x = 3 * torch.randn(2, 4, 5, 6, 7) + 2
    expected = nn.functional.instance_norm(x, weight=norm.weight, bias=norm.bias, eps=EPSILON)
    torch.testing.assert_close(norm(x), expected)
    padding = Padding.of(torch.tensor([5, 3]), 5, x.device)
    alone = nn.functional.instance_norm(x[1:, :, :3], weight=norm.weight, bias=norm.bias, eps=EPSILON)
    torch.testing.assert_close(norm(x, padding)[1:, :, :3], alone)


def test_blocks_may_have_their_own_dropout() -> None:
    model = LipNet(tiny_model(dropout=0.25))
    assert [block.dropout.p for block in model.blocks] + [model.dropout.p] == [0.25] * 4
    model = LipNet(tiny_model(dropout=0.25, block_dropout=0.0))
    assert [block.dropout.p for block in model.blocks] + [model.dropout.p] == [0.0] * 3 + [0.25]


def test_a_block_is_convolution_relu_pool() -> None:
    block = LipNet(tiny_model(norm="batch")).eval().blocks[0]
    x = torch.randn(1, 3, 4, 16, 24)
    expected = block.pool(block.norm(block.conv(x)).relu())  # in the order of the paper
    torch.testing.assert_close(block(x), expected)


def test_dropout_zeroes_whole_channels_in_training_only() -> None:
    torch.manual_seed(0)
    block = LipNet(tiny_model(channels=[64, 4, 4])).blocks[0]
    x = torch.randn(2, 3, 4, 16, 24)
    whole = block.eval()(x)
    dropped = block.train()(x)
    zeroed = (dropped == 0).flatten(2).all(2)
    assert 0.3 < zeroed.float().mean() < 0.7
    torch.testing.assert_close(dropped, whole * 2 * ~zeroed[:, :, None, None, None])


def test_padding_does_not_enter_the_statistics_of_a_training_batch() -> None:
    frames = random_frames(1, 9, 16, 24)
    padded = torch.cat([frames, torch.zeros(1, 5, 16, 24, 3, dtype=torch.uint8)], dim=1)
    models = []
    for batch in (frames, padded):
        torch.manual_seed(0)
        model = LipNet(tiny_model(norm="batch", dropout=0.0)).train()
        models.append((model(batch, torch.tensor([9])).log_probs[:, :9], model.state_dict()))
    (plain, state), (other, other_state) = models
    torch.testing.assert_close(other, plain)
    for name in (name for name in state if "running" in name):
        torch.testing.assert_close(other_state[name], state[name])
