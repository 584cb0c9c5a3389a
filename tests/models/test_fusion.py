"""Late fusion of two networks' outputs, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from tiny import tiny_model
from torch import Tensor

from lipnet.grid import WORDS
from lipnet.models.batch import Output
from lipnet.models.fusion import ENTROPY_SCALE, fuse_outputs, landmark_share

CONFIG = tiny_model(landmark_weight=0.7, landmark_entropy=0.5, outputs_per_frame=2, word_heads=True)
CLASSES = len(WORDS) + 1
SURE, UNSURE = 12.0, 3.0  # logits of a word's class, those of all others are 0


def output(logit: float, frames: int = 6, length: int = 6, seed: int = 0, words: bool = True) -> Output:
    """One clip that says the word of class 3 in frames 2 to 4, and is silent otherwise."""
    logits = torch.zeros(1, frames, CLASSES)
    logits[:, :, 0] = 20
    logits[:, 2:5, 0] = 0
    logits[:, 2:5, 3] = logit
    scores = torch.randn(1, 2 * frames, 28, generator=torch.Generator().manual_seed(seed))
    return Output(scores.log_softmax(-1), torch.tensor([2 * length]), [logits] * 2 if words else [])


def entropy(logit: float) -> float:
    p = torch.tensor([logit] + [0.0] * (CLASSES - 1)).softmax(0)
    return float(-(p * p.log()).sum())


def known(frames: int = 6, value: bool = True) -> Tensor:
    return torch.full((1, frames, 1), value)


@pytest.mark.parametrize("logit", [SURE, UNSURE, 4.7])
def test_the_share_is_a_function_of_the_entropy_where_there_is_speech(logit: float) -> None:
    expected = 1 / (1 + math.exp(-(entropy(logit) - 0.5) / ENTROPY_SCALE))
    assert landmark_share(output(logit), CONFIG).tolist() == pytest.approx([expected], abs=1e-5)


def test_certain_pixels_are_trusted() -> None:
    pixels = output(SURE, seed=1)
    fused = fuse_outputs(pixels, output(UNSURE, seed=2), known(), CONFIG)
    assert torch.equal(fused.log_probs, pixels.log_probs)
    torch.testing.assert_close(fused.word_log_probs, pixels.word_log_probs, atol=2e-3, rtol=0)


def test_landmarks_are_trusted_where_the_pixels_are_not_certain() -> None:
    pixels, landmarks = output(UNSURE, seed=1), output(SURE, seed=2)
    fused = fuse_outputs(pixels, landmarks, known(), CONFIG)
    assert torch.equal(fused.log_probs, landmarks.log_probs)
    expected = 0.3 * pixels.word_log_probs + 0.7 * landmarks.word_log_probs
    torch.testing.assert_close(fused.word_logits[0], expected)


def test_frames_without_landmarks_are_read_from_the_pixels() -> None:
    pixels, landmarks = output(UNSURE, seed=1), output(SURE, seed=2)
    some = known()
    some[:, 3:] = False
    fused = fuse_outputs(pixels, landmarks, some, CONFIG)
    assert torch.equal(fused.log_probs[:, :6], landmarks.log_probs[:, :6])
    assert torch.equal(fused.log_probs[:, 6:], pixels.log_probs[:, 6:])
    torch.testing.assert_close(fused.word_log_probs[:, 3:], pixels.word_log_probs[:, 3:])


def test_without_word_heads_the_characters_are_averaged() -> None:
    pixels, landmarks = output(SURE, seed=1, words=False), output(SURE, seed=2, words=False)
    fused = fuse_outputs(pixels, landmarks, known(), CONFIG)
    mean = (0.3 * pixels.log_probs + 0.7 * landmarks.log_probs).log_softmax(-1)
    torch.testing.assert_close(fused.log_probs, mean)
    assert fused.word_log_probs is None


def test_padding_does_not_count() -> None:
    long = output(UNSURE, frames=9, length=5)
    long.word_logits[0][:, 5:, 0] = 0  # noise beyond the clip's end
    short = Output(long.log_probs[:, :10], long.lengths, [logits[:, :5] for logits in long.word_logits])
    torch.testing.assert_close(landmark_share(long, CONFIG), landmark_share(short, CONFIG))
