"""The CTC loss, and the cross-entropy of the word heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from lipnet.data.dataset import Batch
from lipnet.data.transforms import IGNORE
from lipnet.models.lipnet import Output
from lipnet.tokenizer import BLANK


def ctc_losses(output: Output, batch: Batch) -> Tensor:
    """CTC loss of each clip in nats per symbol: (N,) for the N <= B clips that have as many steps as their
    text needs. The loss of the others is infinite, whatever the network's output.
    """
    losses = F.ctc_loss(
        output.log_probs.transpose(0, 1),  # (B, S, V) -> (S, B, V)
        batch.targets,
        output.lengths,
        batch.target_lengths,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,  # the gradient of an infinite loss would be NaN
    )
    losses = losses / batch.target_lengths.clamp_min(1).to(losses.device)
    fits = batch.steps <= output.lengths
    return losses if bool(fits.all()) else losses[fits.to(losses.device)]


def ctc_loss(losses: Tensor) -> Tensor:
    """The mean of ``ctc_losses``; 0 without any."""
    return losses.mean() if len(losses) else losses.sum()


def word_loss(output: Output, batch: Batch) -> Tensor:
    """Cross-entropy of the word heads in nats, in float32 also under autocast.

    The mean over the heads and over the frames whose word is known; 0 if there are none.
    """
    if not output.word_logits:
        return torch.zeros((), device=output.log_probs.device)
    with torch.autocast(output.log_probs.device.type, enabled=False):
        weights = frame_weights(batch.words)
        words = batch.words.flatten()
        heads = [
            weights @ F.cross_entropy(logits.flatten(0, 1), words, ignore_index=IGNORE, reduction="none")
            for logits in output.word_logits
        ]
        # All weights are 0 or at least 1 / sqrt(T), so that the bound only matters where all are 0.
        return torch.stack(heads).mean() / weights.sum().clamp_min(1e-6)


def frame_weights(words: Tensor) -> Tensor:
    """Weights of frames in the word heads' cross-entropy: (B, T) int64 word classes -> (B * T,) float32.

    A frame weighs 1 / sqrt(number of frames of its word in the clip). Letters last a fifth as long as
    adverbs and are the hardest to tell apart; with equal weights, long words and silence would dominate.
    """
    same_word = (words[:, :, None] == words[:, None, :]).sum(2)
    return (same_word.rsqrt() * (words != IGNORE)).flatten()
