"""A GPU that only computes shapes, dtypes and devices: what runs on it runs on a real one without waiting.

Tensors of the CPU are real, since packed sequences and CTC need the lengths. Those of ``cuda`` are fake, and
have no gradients, for which PyTorch needs a GPU; those of ``meta`` have some, but cannot be in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class WaitsError(Exception):
    """An operation for which the CPU would wait for the GPU."""


class PretendedGpu(TorchDispatchMode):
    """Operations on CPU tensors are real also within FakeTensorMode; the others are checked."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        device = torch.device(kwargs.get("device") or "cpu")
        if all(map(is_on_cpu, inputs)) and device.type == "cpu":
            with unset_fake_temporarily():
                return operation(*args, **kwargs)
        self._check(str(operation), inputs, device, kwargs)
        return operation(*args, **kwargs)

    def _check(self, name: str, inputs: list[Tensor], device: torch.device, kwargs: dict[str, Any]) -> None:
        """Raises WaitsError on a copy that is waited for, and on tensors of CPU and GPU in one operation."""
        if "_to_copy" in name and kwargs.get("device") is not None:
            is_moved = device.type != inputs[0].device.type
            if is_moved and not (kwargs.get("non_blocking") and is_on_cpu(inputs[0])):
                raise WaitsError(f"copy from {inputs[0].device} to {device}")
        elif "nonzero" in name or "_local_scalar_dense" in name or "masked_select" in name:
            raise WaitsError(name)
        elif len({is_on_cpu(value) for value in inputs if value.ndim}) == 2:
            raise WaitsError(f"{name} on tensors of CPU and GPU")


def is_on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def read(data: Tensor, clips: Tensor, state: Any, weights: Sequence[Tensor], *_: Any) -> tuple[Tensor, ...]:
    """In place of cuDNN's recurrent layers, which a GPU alone has: output and states, from all inputs."""
    assert is_on_cpu(clips) and int(clips.sum()) == len(data)
    states = list(state) if isinstance(state, tuple) else [state]
    assert not any(is_on_cpu(value) for value in [data, *states, *weights])
    assert all(value.shape[1] == clips[0] for value in states)
    width = states[0].shape[0] * states[0].shape[2]
    total = data.sum(1, keepdim=True) + sum(weight.sum() for weight in weights)
    return (total.expand(-1, width), *states)


@contextmanager
def pretended_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """Within it, tensors may be moved to the GPU that this yields; ``name``: cuda or meta."""
    monkeypatch.setattr(torch._VF, "gru", read, raising=False)
    monkeypatch.setattr(torch._VF, "lstm", read, raising=False)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.backends.cudnn, "is_acceptable", lambda _: False)
    if name == "meta":
        monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    with ExitStack() as stack:
        if name == "cuda":  # in this order: PyTorch does not look for a driver while its own mode is active
            stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(PretendedGpu())
        yield torch.device(name, 0) if name == "cuda" else torch.device(name)
