"""The GRU of old Keras, clip by clip after its formula, and the layers' common contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_model
from torch import Tensor

from lipnet.models.rnn import KerasGru, read_clips, recurrent_layer

INPUTS, HIDDEN = 5, 4
LENGTHS = torch.tensor([6, 9, 1])


def filled(bidirectional: bool, candidate: str) -> KerasGru:
    """A layer whose gates are partly closed, partly open and partly in between."""
    torch.manual_seed(0)
    layer = KerasGru(INPUTS, HIDDEN, bidirectional, candidate)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1, 1)
    return layer


def by_hand(layer: KerasGru, clip: np.ndarray, suffix: str) -> np.ndarray:
    """One direction over one clip (T, F), forwards."""
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
def test_each_clip_of_a_padded_batch_is_what_the_formula_gives(bidirectional: bool, candidate: str) -> None:
    layer = filled(bidirectional, candidate)
    x = 4 * torch.randn(3, 9, INPUTS)  # the padding is noise
    together = read_clips(layer, x, LENGTHS).detach().numpy()
    for clip, read, length in zip(x.numpy(), together, LENGTHS.tolist(), strict=True):
        expected = [by_hand(layer, clip[:length], "")]
        if bidirectional:
            expected.append(by_hand(layer, clip[:length][::-1], "_reverse")[::-1])
        np.testing.assert_allclose(read[:length], np.hstack(expected), rtol=1e-5, atol=1e-5)
        assert not read[length:].any()


def test_its_gates_are_hard() -> None:
    """At 2.5 and more a gate is open, at -2.5 and less it is closed, exactly."""
    layer = filled(bidirectional=False, candidate="linear")
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.get_parameter("weight_ih_l0")[2 * HIDDEN :] = 1  # the new state is the inputs' sum

    def last(keep: float) -> Tensor:
        with torch.no_grad():
            layer.get_parameter("bias_ih_l0")[HIDDEN : 2 * HIDDEN] = keep
        return layer(torch.ones(1, 2, INPUTS), torch.tensor([2]))[0, 1]

    assert last(-2.5).tolist() == [INPUTS] * HIDDEN
    assert last(2.5).tolist() == [0] * HIDDEN


@pytest.mark.parametrize("cell", ["gru", "lstm", "keras_gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_layers_common_contract(cell: str, bidirectional: bool) -> None:
    layer = recurrent_layer(tiny_model(cell=cell, hidden=HIDDEN, bidirectional=bidirectional), INPUTS)
    if isinstance(layer, KerasGru):
        layer = filled(bidirectional, "tanh")
    x = torch.randn(3, 9, INPUTS, requires_grad=True)
    y = read_clips(layer, x, LENGTHS)
    assert y.shape == (3, 9, (2 if bidirectional else 1) * HIDDEN)
    assert not y[0, 6:].any()
    y.sum().backward()
    assert x.grad is not None and not x.grad[0, 6:].any() and bool(x.grad[0, :6].any())
    # Without the other direction, no frame sees a later one.
    sees_later = torch.autograd.grad(read_clips(layer, x, LENGTHS)[1, 0].sum(), x)[0][1, 1:].any()
    assert bool(sees_later) == bidirectional
