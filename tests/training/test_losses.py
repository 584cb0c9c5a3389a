"""The CTC loss against sums over all paths, and the word heads' cross-entropy by hand."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from lipnet.data.dataset import Batch, ctc_steps
from lipnet.data.transforms import IGNORE
from lipnet.models.lipnet import Output
from lipnet.training.losses import alignable, batch_losses, ctc_losses, frame_weights


def random_log_probs(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)


def label_batch(targets: list[list[int]], lengths: list[int], words: list[list[int]] | None = None) -> Batch:
    """A batch with labels and black frames."""
    return Batch(
        torch.zeros(len(targets), max(lengths), 1, 1, 3, dtype=torch.uint8),
        torch.tensor(lengths),
        torch.tensor([symbol for target in targets for symbol in target]),
        torch.tensor([len(target) for target in targets]),
        torch.tensor([ctc_steps(target) for target in targets]),
        torch.tensor(words or [[IGNORE] * max(lengths)] * len(targets)),
        [f"s1/{i}" for i in range(len(targets))],
        ["" for _ in targets],
    )


def path_sum(log_probs: Tensor, target: list[int]) -> float:
    """Probability of a target: the sum over all V ** T paths that collapse to it."""
    frames, symbols = log_probs.shape
    total = 0.0
    for path in itertools.product(range(symbols), repeat=frames):
        if [symbol for symbol, _ in itertools.groupby(path) if symbol] == target:
            total += math.exp(sum(float(log_probs[t, symbol]) for t, symbol in enumerate(path)))
    return total


def test_ctc_loss_is_the_mean_over_clips_of_nats_per_symbol() -> None:
    log_probs = random_log_probs(3, 5, 3)
    targets, lengths = [[1, 2], [2], [1, 1, 2]], [5, 2, 4]
    output, batch = Output(log_probs, torch.tensor(lengths), []), label_batch(targets, lengths)
    ctc, words, counts = batch_losses(output, batch)
    expected = [
        -math.log(path_sum(log_probs[i, :length], target)) / len(target)
        for i, (target, length) in enumerate(zip(targets, lengths, strict=True))
    ]
    assert ctc.item() == pytest.approx(sum(expected) / 3, rel=1e-5)
    assert words.item() == 0 and counts.tolist() == [3, 3]


def test_a_clip_shorter_than_its_text_is_left_out_of_the_mean() -> None:
    """Two equal neighbours need a blank between them: four steps for three symbols."""
    log_probs = random_log_probs(2, 4, 3).requires_grad_()
    output, batch = Output(log_probs, torch.tensor([3, 4]), []), label_batch([[1, 1, 2], [1]], [3, 4])
    ctc, _, counts = batch_losses(output, batch)
    assert counts.tolist() == [1, 2] and ctc_losses(output, batch)[0] == 0
    assert alignable(output, batch).tolist() == [False, True]
    assert ctc.item() == pytest.approx(-math.log(path_sum(log_probs[1].detach(), [1])), rel=1e-5)
    ctc.backward()
    assert log_probs.grad is not None
    assert not log_probs.grad[0].any() and log_probs.grad[1].any()


def test_without_a_clip_that_fits_the_loss_is_zero() -> None:
    log_probs = random_log_probs(1, 2, 3).requires_grad_()
    ctc, _, counts = batch_losses(Output(log_probs, torch.tensor([2]), []), label_batch([[1, 1]], [2]))
    ctc.backward()
    assert counts.tolist() == [0, 1] and ctc.item() == 0
    assert log_probs.grad is not None and not log_probs.grad.any()


def test_cross_entropy_ignores_frames_without_a_known_word() -> None:
    heads = [torch.randn(2, 3, 5), torch.randn(2, 3, 5)]
    words = [[1, IGNORE, 4], [0, IGNORE, IGNORE]]
    batch = label_batch([[1], [1]], [3, 1], words)
    _, loss, _ = batch_losses(Output(random_log_probs(2, 3, 3), torch.tensor([3, 1]), heads), batch)
    known = [(0, 0, 1), (0, 2, 4), (1, 0, 0)]
    expected = [-head.log_softmax(-1)[i, t, word].item() for head in heads for i, t, word in known]
    assert loss.item() == pytest.approx(sum(expected) / 6, rel=1e-5)


def test_a_word_is_weighted_by_the_square_root_of_its_frames() -> None:
    words = torch.tensor([[0, 7, 7, 7, 7, 3, 0, 0, 0], [IGNORE, 7, 7, 0, IGNORE, IGNORE, 3, 3, 3]])
    third = 3**-0.5
    expected = [[0.5] * 5 + [1] + [0.5] * 3, [0, 0.5**0.5, 0.5**0.5, 1, 0, 0, third, third, third]]
    torch.testing.assert_close(frame_weights(words), torch.tensor(expected).flatten())


def test_the_loss_uses_all_steps_of_each_clip() -> None:
    """With two outputs a frame, a clip of two frames has four steps, enough for three characters."""
    log_probs = random_log_probs(1, 6, 3)
    batch = label_batch([[1, 2, 1]], [2])
    ctc, _, _ = batch_losses(Output(log_probs, torch.tensor([4]), []), batch)
    assert ctc.item() == pytest.approx(-math.log(path_sum(log_probs[0, :4], [1, 2, 1])) / 3, rel=1e-5)


def test_without_any_alignment_the_word_loss_is_zero() -> None:
    logits = torch.randn(1, 3, 5, requires_grad=True)
    output = Output(random_log_probs(1, 3, 3), torch.tensor([3]), [logits])
    _, loss, _ = batch_losses(output, label_batch([[1]], [3]))
    assert loss.item() == 0
    loss.backward()
    assert logits.grad is not None and not logits.grad.any()


def test_losses_are_in_float32_under_autocast() -> None:
    """In bfloat16, the sum over a batch's frames was wrong in the third digit."""
    torch.manual_seed(0)
    heads = [3 * torch.randn(16, 75, 52), 3 * torch.randn(16, 75, 52)]
    words = torch.randint(52, (16, 75)).tolist()
    targets = [[1, 2, 3]] * 16
    output = Output(random_log_probs(16, 75, 28), torch.tensor([75] * 16), heads)
    batch = label_batch(targets, [75] * 16, words)
    exact = batch_losses(output, batch)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = batch_losses(output, batch)
    for loss, expected in zip(under_autocast[:2], exact[:2], strict=True):
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
