"""LipNet as an ONNX graph in evaluation mode, built node by node from the modules' weights.

``torch.onnx.export`` was tried with PyTorch 2.14 and cannot write every network for clips of any length. With
``dynamo=True`` it stops at ``bool(valid.all())`` and, without that line, at packed sequences. The deprecated
TorchScript exporter keeps only the branch that its example takes (after an example without padding, padded
clips are wrong by 14 to 17 nats) and fixes the number of frames in the loop of ``keras_gru``. Shapes are in
the letters of ``models/lipnet.py``.
"""

from __future__ import annotations

from itertools import count
from typing import Any, cast

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from torch import Tensor, nn

from lipnet import __version__
from lipnet.config import LUMA
from lipnet.models.conv import EPSILON, ConvBlock, MaskedBatchNorm, MaskedInstanceNorm
from lipnet.models.lipnet import MIN_STD, LipNet
from lipnet.models.metadata import KEY, Metadata, dump_metadata
from lipnet.models.rnn import KerasGru, Recurrent, directions

OPSET, IR_VERSION = 17, 8  # of the year 2022, read by ONNX Runtime from 1.12 on
# ONNX's order of gates, as indices into PyTorch's: z r h of r z n, and i o f c of i f g o.
GATES = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
# Activations of the candidate state of Keras' GRU with their coefficients; Affine is a x + b.
CANDIDATES: dict[str, tuple[str, list[float], list[float]]] = {
    "tanh": ("Tanh", [], []),
    "linear": ("Affine", [1.0], [0.0]),
}


def onnx_model(model: LipNet, metadata: Metadata) -> ModelProto:
    """The ONNX model of a network, with its checkpoint metadata in the model's metadata.

    Inputs:
        frames: (B, T, H, W, 3) uint8 RGB.
        lengths: (B,) int64, the valid (unpadded) frames of each clip, from 1 to T.

    Outputs, as in `Output`; beyond a clip's end they are undefined:
        log_probs: (B, T * R, V) float32.
        word_log_probs: (B, T, K) float32, only with word heads.

    B and T are dynamic. Padding does not change the outputs of the valid frames.
    """
    graph = _Graph()
    mask = _frame_mask(graph)
    x = _normalize(graph, model, mask)
    for block in model.blocks:
        x = _block(graph, cast(ConvBlock, block), x, mask)
    x = graph.add("Transpose", x, perm=(0, 2, 1, 3, 4))
    x = graph.reshape(x, 0, 0, -1)  # (B, T, C, H, W) -> (B, T, F)
    _recurrent_layers(graph, model, x)
    return _finish(graph, model, metadata)


class _Graph:
    """A graph under construction. Each method appends a node or constant and returns its output's name."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._numbers = count()

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{operator}_{next(self._numbers)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, values: np.ndarray) -> str:
        name = f"constant_{next(self._numbers)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def floats(self, values: Tensor) -> str:
        return self.constant(_array(values))

    def state(self, module: nn.Module, *names: str) -> list[str]:
        """Entries of a module's state dict."""
        tensors = module.state_dict()
        return [self.floats(tensors[name]) for name in names]

    def reshape(self, x: str, *sizes: int) -> str:
        """Reshape; a size of 0 keeps that axis, -1 is inferred."""
        return self.add("Reshape", x, self.constant(np.array(sizes, np.int64)))


def _normalize(graph: _Graph, model: LipNet, mask: str) -> str:
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


def _centre(graph: _Graph, x: str, mask: str) -> tuple[str, str]:
    """As `clip_moments`: x (B, C, T, H, W) minus each clip's mean, and its variance (B, C, 1, 1, 1)."""
    frame_axis = graph.constant(np.array([2], np.int64))
    ones = graph.add("Cast", mask, to=TensorProto.FLOAT)
    weights = graph.add("Div", ones, graph.add("ReduceSum", ones, frame_axis))

    def mean(values: str) -> str:
        frame_means = graph.add("ReduceMean", values, axes=(3, 4))
        return graph.add("ReduceSum", graph.add("Mul", frame_means, weights), frame_axis)

    centred = graph.add("Sub", x, mean(x))
    return centred, mean(graph.add("Mul", centred, centred))


def _frame_mask(graph: _Graph) -> str:
    """Whether each frame is valid (unpadded): (B, 1, T, 1, 1) bool."""
    zero, one = (graph.constant(np.array(number, np.int64)) for number in (0, 1))
    frames = graph.add("Squeeze", graph.add("Shape", "frames", start=1, end=2))
    numbers = graph.add("Range", zero, frames, one)
    mask = graph.add("Less", numbers, graph.reshape("lengths", -1, 1))  # (T,) and (B, 1) -> (B, T)
    return graph.add("Unsqueeze", mask, graph.constant(np.array([1, 3, 4], np.int64)))


def _block(graph: _Graph, block: ConvBlock, x: str, mask: str) -> str:
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
        state = graph.state(norm, "weight", "bias", "running_mean", "running_var")
        x = graph.add("BatchNormalization", x, *state, epsilon=norm.eps)
    elif isinstance(norm, MaskedInstanceNorm):
        x = _instance_norm(graph, norm, x, mask)
    x = graph.add("MaxPool", x, kernel_shape=(1, 2, 2), strides=(1, 2, 2))
    return graph.add("Relu", x)


def _instance_norm(graph: _Graph, norm: MaskedInstanceNorm, x: str, mask: str) -> str:
    gain, offset = (graph.floats(values[:, None, None, None]) for values in (norm.weight, norm.bias))
    x, variance = _centre(graph, x, mask)
    deviation = graph.add("Sqrt", graph.add("Add", variance, graph.number(EPSILON)))
    return graph.add("Add", graph.add("Mul", graph.add("Div", x, deviation), gain), offset)


def _recurrent_layers(graph: _Graph, model: LipNet, x: str) -> None:
    """The recurrent layers with the word heads, and the output layer: (B, T, F) -> the graph's outputs."""
    lengths = graph.add("Cast", "lengths", to=TensorProto.INT32)
    words = []
    for i, layer in enumerate(model.recurrent):
        x = _recurrent(graph, cast(Recurrent, layer), x, lengths)
        if model.config.activation == "relu":
            x = graph.add("Relu", x)
        if model.word_heads:
            logits = _linear(graph, cast(nn.Linear, model.word_heads[i]), x)
            words.append(graph.add("LogSoftmax", logits, axis=-1))
    logits = _linear(graph, model.output, x)
    logits = graph.reshape(logits, 0, -1, _symbols(model))  # (B, T, R * V) -> (B, T * R, V)
    graph.add("LogSoftmax", logits, axis=-1, output="log_probs")
    if words:
        graph.add("Mean", *words, output="word_log_probs")


def _recurrent(graph: _Graph, layer: Recurrent, x: str, lengths: str) -> str:
    """One layer, (B, T, F) -> (B, T, D * hidden); its backward direction starts at ``lengths`` (B,) int32."""
    operator = "LSTM" if isinstance(layer, nn.LSTM) else "GRU"
    bias = _gates(layer, operator, "bias_ih_l0")
    second = np.zeros_like(bias) if isinstance(layer, KerasGru) else _gates(layer, operator, "bias_hh_l0")
    states = graph.add(
        operator,
        graph.add("Transpose", x, perm=(1, 0, 2)),  # (B, T, F) -> (T, B, F)
        graph.constant(_gates(layer, operator, "weight_ih_l0")),
        graph.constant(_gates(layer, operator, "weight_hh_l0")),
        graph.constant(np.hstack([bias, second])),
        lengths,
        hidden_size=layer.hidden_size,
        direction="bidirectional" if layer.bidirectional else "forward",
        **_cell_attributes(layer),
    )
    x = graph.add("Transpose", states, perm=(2, 0, 1, 3))  # (T, D, B, hidden) -> (B, T, D, hidden)
    return graph.reshape(x, 0, 0, -1)


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
    gates = [np.split(_array(state[name + suffix]), len(order)) for suffix in directions(layer)]
    return np.stack([np.concatenate([direction[gate] for gate in order]) for direction in gates])


def _linear(graph: _Graph, layer: nn.Linear, x: str) -> str:
    return graph.add("Add", graph.add("MatMul", x, graph.floats(layer.weight.T)), graph.floats(layer.bias))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().float().numpy()


def _symbols(model: LipNet) -> int:
    return model.output.out_features // model.config.outputs_per_frame


def _finish(graph: _Graph, model: LipNet, metadata: Metadata) -> ModelProto:
    finished = helper.make_model(
        helper.make_graph(graph.nodes, "lipnet", _inputs(model), _outputs(model), graph.constants),
        producer_name="lipnet",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(finished, {KEY: dump_metadata(metadata)})
    return finished


def _inputs(model: LipNet) -> list[ValueInfoProto]:
    frames = ("B", "T", model.config.height, model.config.width, 3)
    return [
        helper.make_tensor_value_info("frames", TensorProto.UINT8, frames),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ("B",)),
    ]


def _outputs(model: LipNet) -> list[ValueInfoProto]:
    steps = ("B", "S", _symbols(model))  # S = T * R
    outputs = [helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, steps)]
    for head in model.word_heads[:1]:
        frames = ("B", "T", cast(nn.Linear, head).out_features)
        outputs.append(helper.make_tensor_value_info("word_log_probs", TensorProto.FLOAT, frames))
    return outputs
