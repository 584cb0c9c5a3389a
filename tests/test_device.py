"""Which device computes, and in which precision."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_model

from lipnet.device import Device, choose_device
from lipnet.errors import ConfigError
from lipnet.models.lipnet import LipNet


def test_hardware_by_name() -> None:
    assert choose_device("cpu", "bfloat16") == Device(torch.device("cpu"), True)
    assert choose_device("cpu", "float32") == Device(torch.device("cpu"), False)
    assert str(choose_device("cpu", "bfloat16")) == "cpu in bfloat16"
    assert choose_device().torch_device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("features", [{"avx512_bf16": True}, {"amx_bf16": True}, {"avx512_f": True}, {}])
def test_a_cpu_computes_in_bfloat16_where_it_can(
    features: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    assert choose_device("cpu").bfloat16 == any("bf16" in name for name in features)


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("tpu", "auto", "device 'tpu' is not available here"),
        ("cuda:99", "auto", "device 'cuda:99' is not available here"),
        ("cpu", "float16", "precision 'float16': choose"),
    ],
)
def test_hardware_that_is_not_there_is_named(device: str, precision: str, message: str) -> None:
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
