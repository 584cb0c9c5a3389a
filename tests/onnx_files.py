"""Networks to export as ONNX files, and the files."""

from __future__ import annotations

from dataclasses import replace

import torch
from tiny import CROP

from lipnet.config import ModelConfig
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata


def perturbed_model(config: ModelConfig) -> LipNet:
    """A network whose biases and running statistics are all changed from their initial 0 or 1."""
    torch.manual_seed(0)
    model = LipNet(config).eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.5 * (torch.rand_like(tensor) - 0.5))  # more would amplify rounding
    return model


def export(model: LipNet, metadata: Metadata | None = None) -> bytes:
    from lipnet.models.onnx.export import onnx_model  # needs onnx

    crop = replace(CROP, width=model.config.width, height=model.config.height)
    content: bytes = onnx_model(model, metadata or Metadata(model.config, crop)).SerializeToString()
    return content
