"""Late fusion: the outputs of the network that reads pixels and of the one that reads landmarks become one.

Pixels tell more of a speaker whom the network was trained on, landmarks more of any other. Which of the two
a clip shows can be told by how certain the pixel network is of its words: the mean entropy of its word
posteriors is higher for new speakers (RESULTS.md has the measurements).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lipnet.config import ModelConfig
from lipnet.models.batch import Output, send

ENTROPY_SCALE = 0.05  # nats; of the logistic function that turns an entropy into a share
# Above this share the characters are those of the landmarks: their network spells worse than it tells words.
CHARACTER_SHARE = 0.88


def fuse_outputs(pixels: Output, landmarks: Output, known: Tensor, config: ModelConfig) -> Output:
    """One output for a batch of B clips of T frames.

    The word heads' log-probabilities are averaged. The characters are those of one network: the peaks of two
    CTC networks are in different steps, so that an average has none. Without word heads, the characters are
    averaged nevertheless.

    Args:
        known: (B, T, 1) bool, frames with landmarks; the others are read from the pixels.
    """
    if not pixels.word_logits:
        steps = (config.landmark_weight * known).repeat_interleave(config.outputs_per_frame, dim=1)
        log_probs = torch.lerp(pixels.log_probs, landmarks.log_probs, steps).log_softmax(-1)
        return Output(log_probs, pixels.lengths, [])
    share = landmark_share(pixels, config)[:, None, None] * known
    words = [
        torch.lerp(ours.log_softmax(-1), theirs.log_softmax(-1), config.landmark_weight * share)
        for ours, theirs in zip(pixels.word_logits, landmarks.word_logits, strict=True)
    ]
    chosen = (share > CHARACTER_SHARE).repeat_interleave(config.outputs_per_frame, dim=1)
    return Output(torch.where(chosen, landmarks.log_probs, pixels.log_probs), pixels.lengths, words)


def landmark_share(pixels: Output, config: ModelConfig) -> Tensor:
    """(B,) float32 from 0 to 1: how far the landmarks are to be trusted more than the pixels in each clip.

    A logistic function of the mean entropy of the pixel network's word posteriors over the frames with
    speech, 0.5 at ``landmark_entropy``.
    """
    assert pixels.word_log_probs is not None
    words = pixels.word_log_probs.log_softmax(-1)  # (B, T, K)
    entropy = -(words.exp() * words).sum(-1)
    frames = send(pixels.lengths // config.outputs_per_frame, words.device)
    speech = words[..., 0] < math.log(0.5)
    speech &= torch.arange(words.shape[1], device=words.device)[None, :] < frames[:, None]
    mean = (entropy * speech).sum(1) / speech.sum(1).clamp_min(1)
    return ((mean - config.landmark_entropy) / ENTROPY_SCALE).sigmoid()
