"""The CTC loss and the word heads' cross-entropy."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from lipnet.data.dataset import Batch
from lipnet.data.transforms import IGNORE
from lipnet.models.lipnet import Output
from lipnet.tokenizer import BLANK


def ctc_loss(output: Output, batch: Batch) -> Tensor:
    """CTC loss a symbol, the mean of the clips' own means."""
    device = output.log_probs.device
    return F.ctc_loss(
        output.log_probs.transpose(0, 1),  # (B, S, V) -> (S, B, V)
        batch.targets.to(device),
        output.lengths.to(device),
        batch.target_lengths.to(device),
        blank=BLANK,
        zero_infinity=True,  # a clip shorter than its text teaches nothing, rather than stopping the run
    )


def word_loss(output: Output, batch: Batch) -> Tensor:
    """The word heads' cross-entropy over the frames whose word is known; 0 where there is none."""
    device = output.log_probs.device
    if not output.word_logits or not bool((batch.words != IGNORE).any()):
        return torch.zeros((), device=device)
    weights = frame_weights(batch.words).to(device)
    words = batch.words.to(device).flatten()
    heads = [
        weights @ F.cross_entropy(logits.flatten(0, 1), words, ignore_index=IGNORE, reduction="none")
        for logits in output.word_logits
    ]
    return torch.stack(heads).mean() / weights.sum()


def frame_weights(words: Tensor) -> Tensor:
    """(B, T) int64 word classes -> (B * T,) float32 weights in the word heads' cross-entropy.

    A frame weighs 1 / sqrt(frames of its word in the clip), so that letters, which last a fifth of what
    an adverb does and are the hardest to tell apart, are not drowned by long words and by silence.
    """
    alike = (words[:, :, None] == words[:, None, :]).sum(2)
    return (alike.rsqrt() * (words != IGNORE)).flatten()
