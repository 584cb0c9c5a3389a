"""The device that computes, and its precision."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

import torch

from lipnet.errors import ConfigError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # options of glibc's mallopt


@dataclass(frozen=True)
class Device:
    """A device, and whether to compute in bfloat16 on it."""

    torch_device: torch.device
    bfloat16: bool

    def __str__(self) -> str:
        return f"{self.torch_device} in {'bfloat16' if self.bfloat16 else 'float32'}"

    def autocast(self) -> torch.autocast:
        """Context manager in which operations run in this precision."""
        return torch.autocast(self.torch_device.type, torch.bfloat16, enabled=self.bfloat16)


def choose_device(device: str = "auto", precision: str = "auto") -> Device:
    """Choose a device and its precision.

    Args:
        device: auto (CUDA if available), cpu, cuda or cuda:N.
        precision: auto (bfloat16 if the device supports it in hardware), float32 or bfloat16.

    Raises:
        ConfigError: the device is not available, or the precision is unknown.
    """
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {device!r} is not available here; use cpu or auto") from error
    if precision not in ("auto", "float32", "bfloat16"):
        raise ConfigError(f"precision {precision!r}: choose auto, float32 or bfloat16")
    return Device(chosen, supports_bfloat16(chosen) if precision == "auto" else precision == "bfloat16")


def supports_bfloat16(device: torch.device) -> bool:
    """Whether this very device, not the current one of its kind, computes in bfloat16 in hardware."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    # Without these instructions oneDNN emulates bfloat16, many times slower than float32.
    features: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch: float32
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))


def keep_freed_memory() -> None:
    """Make glibc keep freed memory in this process instead of returning it to the kernel.

    A training step on a CPU frees and allocates gigabytes of activations. Without the page faults of fresh
    memory it was 15 % faster (two Zen cores, batch 16). Does nothing without glibc.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
