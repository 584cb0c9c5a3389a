"""The landmark stream as nodes of an ONNX graph. Shapes are in the letters of ``models/lipnet.py``."""

from __future__ import annotations

from typing import cast

from torch import nn

from lipnet.models.conv import MaskedBatchNorm
from lipnet.models.landmark_encoder import LandmarkEncoder
from lipnet.models.lipnet import LipNet
from lipnet.models.onnx.graph import Graph
from lipnet.models.onnx.pixels import batch_norm
from lipnet.models.onnx.recurrent import recurrent
from lipnet.models.rnn import Recurrent


def known_frames(graph: Graph) -> str:
    """Where the input ``landmarks``, (B, T, F) float32, is not NaN: (B, T, 1) bool."""
    first = graph.add("Slice", "landmarks", graph.integers(0), graph.integers(1), graph.integers(2))
    return graph.add("Not", graph.add("IsNaN", first))


def landmark_features(graph: Graph, model: LipNet, mask: str) -> str:
    """The input ``landmarks``, valid frames (B, T) bool -> (B, T, C), 0 where unknown.

    After the landmarks' recurrent layer, if there is one.
    """
    known, zero = known_frames(graph), graph.number(0)
    x = graph.add("Where", known, "landmarks", zero)
    x = _encoder(graph, cast(LandmarkEncoder, model.landmark_encoder), x, mask)
    x = graph.add("Where", known, x, zero)
    if model.landmark_recurrent is None:
        return x
    layer = cast(Recurrent, model.landmark_recurrent)
    return graph.add("Where", known, recurrent(graph, layer, x, model.config.activation), zero)


def _encoder(graph: Graph, encoder: LandmarkEncoder, x: str, mask: str) -> str:
    """(B, T, F) -> (B, T, C)."""
    mask = graph.add("Unsqueeze", mask, graph.integers(1))  # (B, 1, T)
    x = graph.add("Transpose", x, perm=(0, 2, 1))
    for module, norm in zip(encoder.convs, encoder.norms, strict=True):
        conv = cast(nn.Conv1d, module)
        half = conv.kernel_size[0] // 2
        x = graph.add("Where", mask, x, graph.number(0))
        x = graph.add(
            "Conv",
            x,
            *graph.state(conv, "weight", "bias"),
            kernel_shape=conv.kernel_size,
            pads=(half, half),
        )
        x = graph.add("Relu", batch_norm(graph, cast(MaskedBatchNorm, norm), x))
    return graph.add("Transpose", x, perm=(0, 2, 1))
