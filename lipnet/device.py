"""The device that computes, and its precision."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

import torch

from lipnet.errors import ConfigError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # options of glibc's mallopt
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = ("auto", *DTYPES)


@dataclass(frozen=True)
class Device:
    """A device, and the precision of its convolutions and linear layers: that of all else is float32."""

    torch_device: torch.device
    dtype: torch.dtype = torch.float32

    def __str__(self) -> str:
        return f"{self.torch_device} in {str(self.dtype).removeprefix('torch.')}"

    @property
    def is_gpu(self) -> bool:
        return self.torch_device.type != "cpu"

    def autocast(self) -> torch.autocast:
        """Context manager in which operations run in this precision."""
        is_reduced = self.dtype != torch.float32
        dtype = self.dtype if is_reduced else torch.bfloat16  # which is not used then
        return torch.autocast(self.torch_device.type, dtype, enabled=is_reduced)

    def tune(self) -> None:
        """Settings of this process that make training on this device faster."""
        if not self.is_gpu:
            keep_freed_memory()
            return
        if self.torch_device.index is not None:  # of this GPU are events that name none, as in the loaders
            torch.cuda.set_device(self.torch_device)
        # TF32, with the exponents of float32 and 10 bits of its mantissa, for what is left in float32.
        is_reduced = self.dtype != torch.float32
        torch.set_float32_matmul_precision("high" if is_reduced else "highest")
        torch.backends.cudnn.allow_tf32 = is_reduced
        torch.backends.cudnn.benchmark = True  # the fastest algorithm for each shape of a batch


def choose_device(device: str = "auto", precision: str = "auto") -> Device:
    """Choose a device and its precision.

    Args:
        device: auto (CUDA if available), cpu, cuda or cuda:N.
        precision: float32, bfloat16, float16, or auto: bfloat16 if the device supports it in hardware, else
            float16 on a GPU, float32 on a CPU.

    Raises:
        ConfigError: the device is not available, or the precision is unknown.
    """
    name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {device!r} is not available here; use cpu or auto") from error
    if precision not in PRECISIONS:
        raise ConfigError(f"precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    return Device(chosen, _fast_dtype(chosen) if precision == "auto" else DTYPES[precision])


def _fast_dtype(device: torch.device) -> torch.dtype:
    if supports_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else torch.float32


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
