"""Recurrent layers as nodes of an ONNX graph. Shapes are in the letters of ``models/lipnet.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from torch import nn

from lipnet.models.onnx.graph import Graph, float_array
from lipnet.models.rnn import KerasGru, Recurrent, directions

# ONNX's order of gates, as indices into PyTorch's: z r h of r z n, and i o f c of i f g o.
GATES = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
# Activations of the candidate state of Keras' GRU with their coefficients; Affine is a x + b.
CANDIDATES: dict[str, tuple[str, list[float], list[float]]] = {
    "tanh": ("Tanh", [], []),
    "linear": ("Affine", [1.0], [0.0]),
}


def recurrent(graph: Graph, layer: Recurrent, x: str, activation: str) -> str:
    """One layer, (B, T, F) -> (B, T, D * hidden); its backward direction starts at the input ``lengths``.

    ``activation``: none or relu, after the layer.
    """
    operator = "LSTM" if isinstance(layer, nn.LSTM) else "GRU"
    bias = _gates(layer, operator, "bias_ih_l0")
    second = np.zeros_like(bias) if isinstance(layer, KerasGru) else _gates(layer, operator, "bias_hh_l0")
    states = graph.add(
        operator,
        graph.add("Transpose", x, perm=(1, 0, 2)),  # (B, T, F) -> (T, B, F)
        graph.constant(_gates(layer, operator, "weight_ih_l0")),
        graph.constant(_gates(layer, operator, "weight_hh_l0")),
        graph.constant(np.hstack([bias, second])),
        graph.add("Cast", "lengths", to=TensorProto.INT32),
        hidden_size=layer.hidden_size,
        direction="bidirectional" if layer.bidirectional else "forward",
        **_cell_attributes(layer),
    )
    x = graph.add("Transpose", states, perm=(2, 0, 1, 3))  # (T, D, B, hidden) -> (B, T, D, hidden)
    x = graph.reshape(x, 0, 0, -1)
    return graph.add("Relu", x) if activation == "relu" else x


def _cell_attributes(layer: Recurrent) -> dict[str, Any]:
    if isinstance(layer, nn.GRU):
        # PyTorch's GRU applies the reset gate after the matrix product, ONNX's by default before it.
        return {"linear_before_reset": 1}
    if isinstance(layer, nn.LSTM):
        return {}
    candidate, a, b = CANDIDATES[layer.candidate]
    copies = len(directions(layer))
    return {
        "activations": ["HardSigmoid", candidate] * copies,
        "activation_alpha": [0.2, *a] * copies,
        "activation_beta": [0.5, *b] * copies,
    }


def _gates(layer: Recurrent, operator: str, name: str) -> np.ndarray:
    """A weight of each direction with its gates in ONNX's order: (D, gates * hidden, ...) float32."""
    order = GATES[operator]
    state = layer.state_dict()
    gates = [np.split(float_array(state[name + suffix]), len(order)) for suffix in directions(layer)]
    return np.stack([np.concatenate([direction[gate] for gate in order]) for direction in gates])
