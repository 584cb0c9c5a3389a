"""The device that computes, and its precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from tiny import tiny_model

from lipnet.device import Device, choose_device, supports_bfloat16
from lipnet.errors import ConfigError
from lipnet.models.lipnet import LipNet


def test_devices_by_name() -> None:
    assert choose_device("cpu", "bfloat16") == Device(torch.device("cpu"), torch.bfloat16)
    assert choose_device("cpu", "float32") == Device(torch.device("cpu"), torch.float32)
    assert str(choose_device("cpu", "bfloat16")) == "cpu in bfloat16"
    assert choose_device().torch_device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("features", [{"avx512_bf16": True}, {"amx_bf16": True}, {"avx512_f": True}, {}])
def test_a_cpu_computes_in_bfloat16_if_it_has_the_instructions(
    features: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    is_fast = any("bf16" in name for name in features)
    assert choose_device("cpu").dtype == (torch.bfloat16 if is_fast else torch.float32)


def test_the_chosen_gpu_is_asked_for_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two GPUs, the current one (0) is too old for bfloat16, the other one is not."""
    current = [torch.device("cuda:0")]

    @contextmanager
    def use(device: torch.device) -> Iterator[None]:
        current.append(device)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", use)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: current[-1].index == 1)
    assert supports_bfloat16(torch.device("cuda:1"))
    assert not supports_bfloat16(torch.device("cuda:0"))
    assert current == [torch.device("cuda:0")]


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("tpu", "auto", "device 'tpu' is not available here"),
        ("cuda:99", "auto", "device 'cuda:99' is not available here"),
        ("cpu", "int8", "precision 'int8': choose one of auto, float32, bfloat16, float16"),
    ],
)
def test_an_unavailable_device_or_precision_is_named(device: str, precision: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_device(device, precision)


def test_bfloat16_stays_close_to_float32() -> None:
    model = LipNet(tiny_model()).eval().place("cpu")
    frames, lengths = torch.randint(256, (2, 8, 16, 24, 3), dtype=torch.uint8), torch.tensor([8, 5])
    with torch.inference_mode():
        exact = model(frames, lengths).log_probs
        with choose_device("cpu", "bfloat16").autocast():
            rounded = model(frames, lengths).log_probs
    assert rounded.dtype == torch.float32
    assert 0 < float((exact - rounded)[0].abs().max()) < 0.1
