"""The CTC loss for GPUs against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from lipnet.training.ctc import device_ctc_losses


@pytest.mark.parametrize("seed", range(6))
def test_losses_and_gradients_are_those_of_pytorch(seed: int) -> None:
    """Texts with double symbols, of all lengths from none to as many as fit, some longer than that."""
    random = torch.Generator().manual_seed(seed)
    batch, size, symbols = 7, 30, 4
    logits = 5 * torch.randn(batch, size, symbols, generator=random)
    steps = torch.randint(1, size + 1, (batch,), generator=random)
    lengths = torch.cat([torch.tensor([0, 1]), torch.randint(0, 20, (batch - 2,), generator=random)])
    targets = torch.randint(1, symbols, (int(lengths.sum()),), generator=random)
    weights = torch.randn(batch, generator=random)
    results = []
    for is_ours in (True, False):
        x = logits.clone().requires_grad_()
        log_probs = x.log_softmax(-1)
        if is_ours:
            losses = device_ctc_losses(log_probs, steps, targets, lengths)
        else:
            losses = F.ctc_loss(
                log_probs.transpose(0, 1), targets, steps, lengths, reduction="none", zero_infinity=True
            )
        (losses * weights).nan_to_num(posinf=0, neginf=0).sum().backward()
        results.append((losses.detach().nan_to_num(posinf=0), x.grad))
    (ours, our_gradient), (theirs, their_gradient) = results
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(our_gradient, their_gradient, rtol=1e-4, atol=1e-5)


def test_texts_of_blank_steps_are_not_lost() -> None:
    """At the start of training a network gives blanks nearly everywhere: paths far below float32's range."""
    log_probs = torch.full((1, 60, 3), -30.0).index_fill_(2, torch.tensor([0]), -1e-6).requires_grad_()
    arguments = torch.tensor([60]), torch.tensor([1, 2] * 12), torch.tensor([24])
    loss = device_ctc_losses(log_probs, *arguments)
    expected = F.ctc_loss(
        log_probs.transpose(0, 1), arguments[1], arguments[0], arguments[2], reduction="sum"
    )
    torch.testing.assert_close(loss[0], expected, rtol=1e-5, atol=1e-4)
    assert loss.item() > 600


def test_a_nan_stays_one() -> None:
    log_probs = torch.full((1, 5, 3), torch.nan)
    assert device_ctc_losses(log_probs, torch.tensor([5]), torch.tensor([1]), torch.tensor([1])).isnan().all()


def test_a_batch_without_any_text() -> None:
    log_probs = torch.randn(2, 4, 3).log_softmax(-1)
    lengths = torch.tensor([4, 2])
    losses = device_ctc_losses(log_probs, lengths, torch.empty(0, dtype=torch.int64), torch.tensor([0, 0]))
    torch.testing.assert_close(losses, -torch.stack([log_probs[0, :, 0].sum(), log_probs[1, :2, 0].sum()]))
