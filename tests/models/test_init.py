"""Weight initialisation schemes."""

from __future__ import annotations

import math

import pytest
import torch
from tiny import tiny_model

from lipnet.config import ModelConfig
from lipnet.models.init import BOUND
from lipnet.models.lipnet import LipNet


@torch.no_grad()
def test_initialisation_of_the_paper() -> None:
    torch.manual_seed(0)
    paper = LipNet(ModelConfig())
    for block in paper.blocks:
        he = math.sqrt(2 / block.conv.weight[0].numel())
        assert float(block.conv.weight.std()) == pytest.approx(he, rel=0.05)
        assert not block.conv.bias.any()
    # The released code calls nninit.kaiming with the gain of a sigmoid, 1, for the output layer.
    assert float(paper.output.weight.std()) == pytest.approx(math.sqrt(1 / 512), rel=0.03)  # 0.0442
    assert not paper.output.bias.any()
    bound = math.sqrt(3) * math.sqrt(2 / (1728 + 256))
    for direction in ("", "_reverse"):
        inputs = getattr(paper.recurrent[0], f"weight_ih_l0{direction}")
        assert bound * 0.999 < float(inputs.abs().max()) <= bound
        assert float(inputs.std()) == pytest.approx(bound / math.sqrt(3), rel=0.01)  # uniform
        for gate in getattr(paper.recurrent[0], f"weight_hh_l0{direction}").split(256):
            torch.testing.assert_close(gate @ gate.T, torch.eye(256), rtol=0, atol=1e-4)
        assert not getattr(paper.recurrent[0], f"bias_hh_l0{direction}").any()


@torch.no_grad()
@pytest.mark.parametrize("cell", ["gru", "lstm", "keras_gru"])
def test_initialisation_of_keras(cell: str) -> None:
    torch.manual_seed(0)
    models = {scheme: LipNet(tiny_model(cell=cell, init=scheme)) for scheme in ("keras", "glorot")}
    for model in models.values():
        for name, parameter in model.recurrent[0].named_parameters():
            if name.startswith("weight"):  # all gates together
                rows = parameter if parameter.shape[0] < parameter.shape[1] else parameter.T
                torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), rtol=0, atol=1e-4)
            elif cell == "lstm" and name.startswith("bias_ih"):
                assert parameter.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
            else:
                assert not parameter.any()
    kernel = models["glorot"].blocks[1].conv.weight
    bound = math.sqrt(6 / (kernel[0].numel() + kernel[:, 0].numel()))
    assert 0.95 * bound < float(kernel.abs().max()) <= bound
    kernel = models["keras"].blocks[1].conv.weight
    assert float(kernel.std()) == pytest.approx(math.sqrt(2 / kernel[0].numel()), rel=0.1)
    dense = models["keras"].output.weight  # he_normal, as in rizkiarm's and osalinasv's models
    assert float(dense.std()) == pytest.approx(math.sqrt(2 / dense[0].numel()), rel=0.1)


def test_initialisation_of_the_lstm_baseline() -> None:
    model = LipNet(tiny_model(cell="lstm", init="uniform", norm="batch"))
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            assert 0.5 * BOUND < float(parameter.detach().abs().max()) <= BOUND, name
