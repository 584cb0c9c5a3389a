"""The pixel stream as nodes of an ONNX graph: normalisation and convolutional blocks.

Shapes are in the letters of ``models/lipnet.py``. ``mask`` (B, T) bool marks the valid frames.
"""

from __future__ import annotations

from typing import cast

from onnx import TensorProto

from lipnet.config import LUMA
from lipnet.models.conv import EPSILON, ConvBlock, MaskedBatchNorm, MaskedInstanceNorm
from lipnet.models.lipnet import MIN_STD, LipNet
from lipnet.models.onnx.graph import Graph


def pixel_features(graph: Graph, model: LipNet, mask: str) -> str:
    """The input ``frames``, (B, T, H, W, 3) uint8 -> (B, T, F)."""
    mask = graph.add("Unsqueeze", mask, graph.integers(1, 3, 4))  # (B, 1, T, 1, 1)
    x = _normalize(graph, model, mask)
    for block in model.blocks:
        x = _block(graph, cast(ConvBlock, block), x, mask)
    x = graph.add("Transpose", x, perm=(0, 2, 1, 3, 4))
    return graph.reshape(x, 0, 0, -1)  # (B, T, C, H, W) -> (B, T, F)


def _normalize(graph: Graph, model: LipNet, mask: str) -> str:
    """The normalised input of the first convolution: (B, C, T, H, W) float32."""
    x = graph.add("Cast", "frames", to=TensorProto.FLOAT)
    if model.config.in_channels == 1:
        x = graph.add("MatMul", x, graph.floats(model.mean.new_tensor(LUMA)[:, None]))
    if model.config.normalization != "clip":
        x = graph.add("Sub", x, graph.floats(model.mean))
        x = graph.add("Div", x, graph.floats(model.std))
    x = graph.add("Transpose", x, perm=(0, 4, 1, 2, 3))
    if model.config.normalization == "clip":
        x, variance = _centre(graph, x, mask)
        deviation = graph.add("Max", graph.add("Sqrt", variance), graph.number(MIN_STD))
        x = graph.add("Div", x, deviation)
    return x


def _centre(graph: Graph, x: str, mask: str) -> tuple[str, str]:
    """As `clip_moments`: x (B, C, T, H, W) minus each clip's mean, and its variance (B, C, 1, 1, 1)."""
    frame_axis = graph.integers(2)
    ones = graph.add("Cast", mask, to=TensorProto.FLOAT)
    weights = graph.add("Div", ones, graph.add("ReduceSum", ones, frame_axis))

    def mean(values: str) -> str:
        frame_means = graph.add("ReduceMean", values, axes=(3, 4))
        return graph.add("ReduceSum", graph.add("Mul", frame_means, weights), frame_axis)

    centred = graph.add("Sub", x, mean(x))
    return centred, mean(graph.add("Mul", centred, centred))


def _block(graph: Graph, block: ConvBlock, x: str, mask: str) -> str:
    """(B, C, T, H, W) -> (B, C', T, H', W')."""
    conv, norm = block.conv, block.norm
    x = graph.add("Where", mask, x, graph.number(0))
    x = graph.add(
        "Conv",
        x,
        *graph.state(conv, "weight", "bias"),
        kernel_shape=conv.kernel_size,
        strides=conv.stride,
        pads=conv.padding * 2,  # at the start and at the end of each axis
    )
    if isinstance(norm, MaskedBatchNorm):
        x = batch_norm(graph, norm, x)
    elif isinstance(norm, MaskedInstanceNorm):
        x = _instance_norm(graph, norm, x, mask)
    x = graph.add("MaxPool", x, kernel_shape=(1, 2, 2), strides=(1, 2, 2))
    return graph.add("Relu", x)


def batch_norm(graph: Graph, norm: MaskedBatchNorm, x: str) -> str:
    """(B, C, ...) -> the same shape."""
    state = graph.state(norm, "weight", "bias", "running_mean", "running_var")
    return graph.add("BatchNormalization", x, *state, epsilon=norm.eps)


def _instance_norm(graph: Graph, norm: MaskedInstanceNorm, x: str, mask: str) -> str:
    gain, offset = (graph.floats(values[:, None, None, None]) for values in (norm.weight, norm.bias))
    x, variance = _centre(graph, x, mask)
    deviation = graph.add("Sqrt", graph.add("Add", variance, graph.number(EPSILON)))
    return graph.add("Add", graph.add("Mul", graph.add("Div", x, deviation), gain), offset)
