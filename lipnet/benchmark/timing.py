"""Repeated measurements of how long something takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import torch

from lipnet.device import Device


@dataclass(frozen=True)
class Timing:
    """How long one repeat took."""

    seconds: Sequence[float]  # of each repeat, one or more

    @property
    def median(self) -> float:
        return median(self.seconds)

    def __truediv__(self, count: float) -> Timing:
        """The time of each of ``count`` equal parts."""
        return Timing([seconds / count for seconds in self.seconds])


@dataclass(frozen=True)
class Result:
    """One line of the report."""

    part: str  # name of a part of the benchmark
    name: str  # what of it was measured
    value: float  # the median of the repeats
    unit: str
    lowest: float  # of the repeats
    highest: float
    repeats: int
    details: dict[str, float] = field(default_factory=dict)  # other numbers, their units in their names

    @classmethod
    def rate(cls, part: str, name: str, timing: Timing, count: float, **details: float) -> Result:
        """Clips a second, of ``count`` clips in each repeat."""
        rates = [count / seconds for seconds in timing.seconds]
        return cls._of(part, name, "clips/s", rates, details)

    @classmethod
    def milliseconds(cls, part: str, name: str, timing: Timing, count: float, **details: float) -> Result:
        """Milliseconds a clip, of ``count`` clips in each repeat."""
        return cls._of(part, name, "ms/clip", [1000 * s / count for s in timing.seconds], details)

    @classmethod
    def real_time(cls, part: str, name: str, timing: Timing, seconds: float, **details: float) -> Result:
        """Seconds of computing for each second of a video; each repeat reads ``seconds`` of it."""
        return cls._of(part, name, "real-time factor", [one / seconds for one in timing.seconds], details)

    @classmethod
    def _of(
        cls, part: str, name: str, unit: str, values: Sequence[float], details: dict[str, float]
    ) -> Result:
        return cls(part, name, median(values), unit, min(values), max(values), len(values), details)


def measure(work: Callable[[], object], repeats: int, device: Device | None = None) -> Timing:
    """Time ``work``, which is done once more before that, to warm up.

    Args:
        repeats: one or more.
        device: what the work runs on; its end is waited for in each repeat. None: no accelerator is involved.
    """
    seconds = []
    for repeat in range(repeats + 1):
        synchronize(device)
        started = time.perf_counter()
        work()
        synchronize(device)
        if repeat:
            seconds.append(time.perf_counter() - started)
    return Timing(seconds)


def synchronize(device: Device | None) -> None:
    """Wait until an accelerator has done what it was given."""
    if device is not None and device.is_gpu:
        torch.cuda.synchronize(device.torch_device)


def matmul_peak(device: Device, size: int, repeats: int) -> float:
    """Floating-point operations a second of the device's fastest product of two square matrices.

    They are of the device's precision, with ``size`` rows. A convolution or a recurrent layer reaches at most
    this; data sheets give higher numbers.
    """
    first, second = (torch.rand(size, size, device=device.torch_device) for _ in range(2))
    with device.autocast():
        precision = (first[:1] @ second[:, :1]).dtype
    first, second = first.to(precision), second.to(precision)
    timing = measure(lambda: first @ second, repeats, device)
    return float(2 * size**3 / min(timing.seconds))
