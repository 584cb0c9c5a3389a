"""Saliency of pixels by guided backpropagation (Springenberg et al. 2015), as in LipNet's figure 3.

The score is the log-odds of a part of the greedy path; its gradient by the pixels is where a change of the
picture would move the output. Guided: at each ReLU only positive gradients pass, which leaves what speaks for
the text. Log-odds, since the gradient of a log-probability vanishes where the network is sure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lipnet.models.lipnet import LipNet


class _GuidedRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient.clamp_min(0) * (x > 0)


class GuidedBackpropagation(TorchFunctionMode):
    """Within this context, each ReLU passes only the positive part of the gradient."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in (Tensor.relu, torch.relu, torch.nn.functional.relu):
            return _GuidedRelu.apply(args[0])
        return func(*args, **(kwargs or {}))


def pixel_gradient(
    model: LipNet,
    frames: np.ndarray,
    steps: slice,
    landmarks: np.ndarray | None = None,
    guided: bool = True,
) -> tuple[float, np.ndarray]:
    """Score of a part of the greedy path, and its gradient by the pixels.

    The score is the sum of the log-odds of the most probable symbol of each step in which that is not the
    blank.

    Args:
        model: reads pixels, and is in evaluation mode.
        frames: (T, H, W, 3) uint8 or float RGB, of one clip.
        steps: part of the path, such as that of a word.
        landmarks: (T, F) float32, as the network reads them; None without.
        guided: False: the true gradient.

    Returns:
        The score in nats, and (T, H, W, 3) float32, nats a grey level.
    """
    device = model.mean.device
    pixels = torch.as_tensor(frames, dtype=torch.float32, device=device)[None].requires_grad_()
    features = None if landmarks is None else torch.as_tensor(landmarks, device=device)[None]
    with torch.enable_grad(), _guided(guided), torch.backends.cudnn.flags(enabled=False):
        log_probs = model(pixels, torch.tensor([len(frames)]), features).log_probs[0]  # (S, V)
        best, symbols = log_probs[steps].max(dim=1)
        others = log_probs[steps].scatter(1, symbols[:, None], -torch.inf).logsumexp(dim=1)
        score = ((best - others) * (symbols != 0)).sum()
        [gradient] = torch.autograd.grad(score, pixels)
    return float(score.detach()), gradient[0].cpu().numpy()


def saliency(gradient: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) -> (T, H, W) float32 from 0 to 1: the largest absolute gradient of the three colours.

    1 is the 99.5 % quantile of the clip, so that single pixels do not hide the rest.
    """
    strength = np.abs(gradient).max(axis=3)
    return np.minimum(strength / max(float(np.quantile(strength, 0.995)), 1e-12), 1).astype(np.float32)


@contextmanager
def _guided(guided: bool) -> Iterator[None]:
    if not guided:
        yield
        return
    with GuidedBackpropagation():
        yield
