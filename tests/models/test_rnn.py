"""Recurrent layers: Keras 2's GRU against its formula, clip by clip, and the common contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_model
from torch import Tensor

from lipnet.models.batch import Padding
from lipnet.models.rnn import KerasGru, apply_recurrent, recurrent_layer

INPUTS, HIDDEN = 5, 4
PADDING = Padding.of(torch.tensor([6, 9, 1]), 9, torch.device("cpu"))


def random_layer(bidirectional: bool, candidate: str) -> KerasGru:
    """A layer with some gates closed, some open and some in between."""
    torch.manual_seed(0)
    layer = KerasGru(INPUTS, HIDDEN, bidirectional, candidate)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1, 1)
    return layer


def reference(layer: KerasGru, clip: np.ndarray, suffix: str) -> np.ndarray:
    """The formula in numpy: one direction over one clip (T, F), forwards."""
    state = {name: values.detach().numpy() for name, values in layer.named_parameters()}
    w_r, w_z, w_n = np.split(state[f"weight_ih_l0{suffix}"], 3)
    u_r, u_z, u_n = np.split(state[f"weight_hh_l0{suffix}"], 3)
    b_r, b_z, b_n = np.split(state[f"bias_ih_l0{suffix}"], 3)
    h, states = np.zeros(HIDDEN, np.float32), []
    for x in clip:
        r = np.clip(0.2 * (w_r @ x + u_r @ h + b_r) + 0.5, 0, 1)
        z = np.clip(0.2 * (w_z @ x + u_z @ h + b_z) + 0.5, 0, 1)
        n = w_n @ x + u_n @ (r * h) + b_n
        h = z * h + (1 - z) * (np.tanh(n) if layer.candidate == "tanh" else n)
        states.append(h)
    return np.stack(states)


@pytest.mark.parametrize("candidate", ["tanh", "linear"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_each_clip_of_a_padded_batch_equals_the_formula(bidirectional: bool, candidate: str) -> None:
    layer = random_layer(bidirectional, candidate)
    x = 4 * torch.randn(3, 9, INPUTS)  # the padding is noise
    together = apply_recurrent(layer, x, PADDING).detach().numpy()
    for clip, read, length in zip(x.numpy(), together, (6, 9, 1), strict=True):
        expected = [reference(layer, clip[:length], "")]
        if bidirectional:
            expected.append(reference(layer, clip[:length][::-1], "_reverse")[::-1])
        np.testing.assert_allclose(read[:length], np.hstack(expected), rtol=1e-5, atol=1e-5)
        assert not read[length:].any()


def test_its_gates_are_hard_sigmoids() -> None:
    """A gate is exactly 1 from 2.5 on and exactly 0 up to -2.5."""
    layer = random_layer(bidirectional=False, candidate="linear")
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.get_parameter("weight_ih_l0")[2 * HIDDEN :] = 1  # the candidate state is the sum of the inputs

    def last(keep: float) -> Tensor:
        with torch.no_grad():
            layer.get_parameter("bias_ih_l0")[HIDDEN : 2 * HIDDEN] = keep
        padding = Padding.of(torch.tensor([2]), 2, torch.device("cpu"))
        return layer(torch.ones(1, 2, INPUTS), padding)[0, 1]

    assert last(-2.5).tolist() == [INPUTS] * HIDDEN
    assert last(2.5).tolist() == [0] * HIDDEN


@pytest.mark.parametrize("cell", ["gru", "lstm", "keras_gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_common_contract_of_all_cells(cell: str, bidirectional: bool) -> None:
    layer = recurrent_layer(tiny_model(cell=cell, hidden=HIDDEN, bidirectional=bidirectional), INPUTS)
    if isinstance(layer, KerasGru):
        layer = random_layer(bidirectional, "tanh")
    x = torch.randn(3, 9, INPUTS, requires_grad=True)
    y = apply_recurrent(layer, x, PADDING)
    assert y.shape == (3, 9, (2 if bidirectional else 1) * HIDDEN)
    assert not y[0, 6:].any()
    y.sum().backward()
    assert x.grad is not None and not x.grad[0, 6:].any() and bool(x.grad[0, :6].any())
    # In a forward-only layer, no frame depends on a later one.
    sees_later = torch.autograd.grad(apply_recurrent(layer, x, PADDING)[1, 0].sum(), x)[0][1, 1:].any()
    assert bool(sees_later) == bidirectional
