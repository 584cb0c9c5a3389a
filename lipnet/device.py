"""Where a model runs, and in what precision."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

import torch

from lipnet.errors import ConfigError


@dataclass(frozen=True)
class Device:
    """A device, and whether to compute in bfloat16 there."""

    torch_device: torch.device
    bfloat16: bool

    def __str__(self) -> str:
        return f"{self.torch_device} in {'bfloat16' if self.bfloat16 else 'float32'}"

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.torch_device.type, torch.bfloat16, enabled=self.bfloat16)


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # options of glibc's mallopt


def choose_device(device: str = "auto", precision: str = "auto") -> Device:
    """Resolve ``auto``: CUDA where there is one; bfloat16 where the device computes it in hardware.

    Raises ConfigError on a device that is not there or an unknown precision.
    """
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {device!r} is not available here; use cpu or auto") from error
    if precision not in ("auto", "float32", "bfloat16"):
        raise ConfigError(f"precision {precision!r}: choose auto, float32 or bfloat16")
    return Device(chosen, _has_bfloat16(chosen) if precision == "auto" else precision == "bfloat16")


def keep_freed_memory() -> None:
    """Let glibc keep what is freed instead of handing it back to the kernel, for good; elsewhere do nothing.

    A training step on a CPU frees and takes again some gigabytes of activations; without the page faults
    of fresh ones it was 15 % faster (two Zen cores, batch 16).
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Without these instructions oneDNN emulates bfloat16, many times slower than float32.
    features: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch: float32
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))
