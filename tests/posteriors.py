"""Synthetic CTC log-probabilities, and scores of texts by brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from lipnet.tokenizer import Tokenizer


def random_log_probs(seed: int, *shape: int, sharpness: float = 2.0) -> Tensor:
    """Random log-probabilities over the last dimension; ``sharpness``: standard deviation of the logits."""
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(shape, generator=generator)).log_softmax(-1)


def on_path(path: str, tokenizer: Tokenizer, probability: float = 0.9) -> Tensor:
    """Log-probabilities (1, S, V) that put ``probability`` on each symbol of ``path`` ("-": blank)."""
    indices = [0 if symbol == "-" else tokenizer.encode(symbol)[0] for symbol in path]
    probs = torch.full((1, len(path), tokenizer.vocab_size), (1 - probability) / (tokenizer.vocab_size - 1))
    probs[0, range(len(path)), indices] = probability
    return probs.log()


def all_steps(log_probs: Tensor) -> Tensor:
    """Lengths (B,) of a batch (B, S, V) without padding."""
    return torch.full((len(log_probs),), log_probs.shape[1])


def collapse(path: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
    """The labels of a CTC path and the steps in which they start."""
    starts = [t for t, symbol in enumerate(path) if symbol and (t == 0 or symbol != path[t - 1])]
    return tuple(path[t] for t in starts), starts


def brute_force(
    log_probs: Tensor,
) -> tuple[dict[tuple[int, ...], float], dict[tuple[int, ...], tuple[int, ...]]]:
    """Probability of each label sequence, and the best path that spells it, over all V ** S paths."""
    probs = log_probs.double().exp().numpy()
    totals: dict[tuple[int, ...], float] = {}
    best: dict[tuple[int, ...], tuple[float, tuple[int, ...]]] = {}
    for path in itertools.product(range(probs.shape[1]), repeat=len(probs)):
        labels, _ = collapse(path)
        probability = math.prod(probs[t, symbol] for t, symbol in enumerate(path))
        totals[labels] = totals.get(labels, 0.0) + probability
        best[labels] = max(best.get(labels, (0.0, ())), (probability, path))
    return totals, {labels: path for labels, (_, path) in best.items()}


def ctc_log_probabilities(log_probs: Tensor, texts: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """(len(texts),) float64: log-probability of each text given (S, V), by PyTorch's CTC."""
    scores = []
    for start in range(0, len(texts), 2000):
        part = [tokenizer.encode(text) for text in texts[start : start + 2000]]
        scores.append(
            -F.ctc_loss(
                log_probs.double()[:, None].expand(-1, len(part), -1),
                torch.tensor([label for labels in part for label in labels]),
                torch.full((len(part),), len(log_probs)),
                torch.tensor([len(labels) for labels in part]),
                reduction="none",
            )
        )
    return torch.cat(scores).numpy()
