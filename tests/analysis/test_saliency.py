"""Saliency: the gradient against finite differences, and guided ReLUs against a calculation by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import random_landmarks, tiny_model

from lipnet.analysis.saliency import GuidedBackpropagation, pixel_gradient, saliency
from lipnet.cropping.landmarks import clip_features
from lipnet.models.lipnet import LipNet


def network(**changes: object) -> LipNet:
    torch.manual_seed(0)
    model = LipNet(tiny_model(**changes))
    with torch.no_grad():
        model.output.weight *= 3
        model.output.bias[0] = -9  # no blanks
    return model.eval()


@pytest.mark.parametrize("streams", [["pixels"], ["pixels", "landmarks"]])
def test_the_gradient_against_finite_differences(streams: list[str]) -> None:
    model = network(streams=streams)
    random = np.random.default_rng(0)
    frames = random.uniform(0, 255, (8, 16, 24, 3)).astype(np.float32)
    landmarks = clip_features(random_landmarks(8)) if len(streams) == 2 else None
    part = slice(2, 6)
    _, gradient = pixel_gradient(model, frames, part, landmarks, guided=False)
    assert gradient.shape == frames.shape
    for seed in range(3):
        # Along the gradient in half of the pixels: a random direction would change the score too little.
        chosen = np.random.default_rng(seed).choice([0, 1], frames.shape)
        direction = (np.sign(gradient) * chosen).astype(np.float32)
        change = 0.05  # grey levels: few ReLUs and maxima of pooling change their side
        above, below = (
            pixel_gradient(model, frames + sign * change * direction, part, landmarks, guided=False)[0]
            for sign in (1, -1)
        )
        expected = (above - below) / (2 * change)
        assert (gradient * direction).sum() == pytest.approx(expected, rel=0.02)


def test_guided_relus_against_a_calculation_by_hand() -> None:
    x = torch.tensor([-1.0, 2.0, 3.0, 4.0], requires_grad=True)
    with GuidedBackpropagation():
        y = x.relu()
        (y * torch.tensor([5.0, 5.0, -5.0, 2.0])).sum().backward()
    assert y.tolist() == [0, 2, 3, 4]
    assert x.grad is not None and x.grad.tolist() == [0, 5, 0, 2]
    x.grad = None
    (x.relu() * torch.tensor([5.0, 5.0, -5.0, 2.0])).sum().backward()
    assert x.grad.tolist() == [0, 5, -5, 2]  # outside, it is the usual gradient


def test_a_sure_network_has_a_gradient() -> None:
    model = network()
    with torch.no_grad():
        model.output.weight *= 200  # probabilities are 1 in float32
    frames = np.random.default_rng(0).integers(0, 256, (6, 16, 24, 3), dtype=np.uint8)
    score, gradient = pixel_gradient(model, frames, slice(None))
    assert np.isfinite(score) and score > 6 * 17 and np.abs(gradient).max() > 0


def test_guided_has_the_same_score_and_another_gradient() -> None:
    model = network()
    frames = np.random.default_rng(0).integers(0, 256, (6, 16, 24, 3), dtype=np.uint8)
    score, gradient = pixel_gradient(model, frames, slice(None), guided=False)
    guided_score, guided = pixel_gradient(model, frames, slice(None))
    assert guided_score == pytest.approx(score)
    assert not np.allclose(guided, gradient)
    shown = saliency(guided)
    assert shown.shape == (6, 16, 24) and shown.min() >= 0 and shown.max() == 1
    assert saliency(np.zeros((2, 3, 4, 3), np.float32)).max() == 0
