"""The CTC loss, and the cross-entropy of the word heads. Nothing here waits for a GPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from lipnet.data.dataset import Batch
from lipnet.data.transforms import IGNORE
from lipnet.models.batch import Output, send
from lipnet.tokenizer import BLANK
from lipnet.training.ctc import device_ctc_losses
from lipnet.training.distributed import ALONE, Processes


def batch_losses(output: Output, batch: Batch, processes: Processes = ALONE) -> tuple[Tensor, Tensor, Tensor]:
    """The losses of a batch that the processes share; those of late fusion's two networks are averaged.

    Returns:
        The CTC loss in nats per symbol, a mean over the clips, and the cross-entropy of the word heads in
        nats, both () float32: this process's terms of the sums that are the means over the whole batch. And
        (2,) float32, how many clips of the whole batch the first one is a mean over, and how many there are.
    """
    networks = output.streams or (output,)
    ctc = torch.stack([ctc_losses(one, batch) for one in networks]).sum()
    heads, weights = zip(*(word_loss(one, batch) for one in networks), strict=True)
    fitting, clips = int(alignable(output, batch).sum()), len(batch.names)
    counts = processes.sum_(
        torch.stack([weights[0].detach(), ctc.new_full((), fitting), ctc.new_full((), clips)])
    )
    ctc = ctc / (len(networks) * counts[1].clamp_min(1))
    # All weights are 0 or at least 1 / sqrt(T), so that the bound only matters where all are 0.
    words = torch.stack(heads).mean() / counts[0].clamp_min(1e-6)
    return ctc, words, counts[1:]


def alignable(output: Output, batch: Batch) -> Tensor:
    """(B,) bool on the CPU: the clips with as many CTC steps as their text needs."""
    return batch.steps <= output.lengths


def ctc_losses(output: Output, batch: Batch) -> Tensor:
    """CTC loss of each clip in nats per symbol, (B,) float32; 0 for clips that are not `alignable`, whose
    loss is infinite, whatever the network's output.
    """
    device = output.log_probs.device
    if device.type == "cpu":
        losses = F.ctc_loss(
            output.log_probs.transpose(0, 1),  # (B, S, V) -> (S, B, V)
            batch.targets,
            output.lengths,
            batch.target_lengths,
            blank=BLANK,
            reduction="none",
            zero_infinity=True,  # the gradient of an infinite loss would be NaN
        )
    else:
        losses = device_ctc_losses(output.log_probs, output.lengths, batch.targets, batch.target_lengths)
    losses = losses / send(batch.target_lengths.clamp_min(1), device)
    fits = alignable(output, batch)
    return losses if bool(fits.all()) else losses.masked_fill(send(~fits, device), 0.0)


def word_loss(output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the word heads in nats, in float32 also under autocast.

    Returns:
        The sum over the frames whose word is known, each times its weight, as the mean over the heads, and
        the sum of the weights; 0 and 0 if there are none.
    """
    weights = frame_weights(batch.words)
    if not output.word_logits:
        return torch.zeros((), device=output.log_probs.device), torch.zeros_like(weights.sum())
    with torch.autocast(output.log_probs.device.type, enabled=False):
        words = batch.words.flatten()
        heads = [
            weights @ F.cross_entropy(logits.flatten(0, 1), words, ignore_index=IGNORE, reduction="none")
            for logits in output.word_logits
        ]
        return torch.stack(heads).mean(), weights.sum()


def frame_weights(words: Tensor) -> Tensor:
    """Weights of frames in the word heads' cross-entropy: (B, T) int64 word classes -> (B * T,) float32.

    A frame weighs 1 / sqrt(number of frames of its word in the clip). Letters last a fifth as long as
    adverbs and are the hardest to tell apart; with equal weights, long words and silence would dominate.
    """
    same_word = (words[:, :, None] == words[:, None, :]).sum(2)
    return (same_word.rsqrt() * (words != IGNORE)).flatten()
