"""LipNet as an ONNX graph, built node by node from the weights.

PyTorch's exporters trace one example: packed sequences, and with them a batch of clips of several lengths,
do not survive that. So each part of ``model.py`` has its counterpart here, as it is at prediction: without
dropout, with the running statistics of batch normalisation. Shapes are in the letters of ``model.py``.
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

OPSET, IR_VERSION = 17, 8  # of 2022: ONNX Runtime 1.12 and later read them
# ONNX's gates in terms of PyTorch's: z r h of r z n, and i o f c of i f g o.
GATES = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
# What activates the new state of Keras' GRU, and its coefficients a and b. ONNX has no identity but a x + b.
CANDIDATES: dict[str, tuple[str, list[float], list[float]]] = {
    "tanh": ("Tanh", [], []),
    "linear": ("Affine", [1.0], [0.0]),
}


def onnx_model(model: LipNet, metadata: Metadata) -> ModelProto:
    """The whole network, with ``checkpoint``, which describes ``model``, in its metadata.

    Its inputs are ``frames`` (B, T, H, W, 3) uint8 RGB and ``lengths`` (B,) int64, each clip's real frames,
    1 to T; the others do not change a clip's output. Its outputs are ``log_probs`` (B, T * R, V) float32
    and, of a model with word heads, ``word_log_probs`` (B, T, K) float32, as ``model.Output`` has them.
    B and T are free. What the outputs hold beyond a clip's end means nothing.
    """
    graph = _Graph()
    mask = _real_frames(graph)
    x = _normalize(graph, model, mask)
    for block in model.blocks:
        x = _block(graph, cast(ConvBlock, block), x, mask)
    x = graph.add("Transpose", x, perm=(0, 2, 1, 3, 4))
    x = graph.reshape(x, 0, 0, -1)  # (B, T, C, H, W) -> (B, T, F)
    _recur(graph, model, x)
    return _finish(graph, model, metadata)


class _Graph:
    """A graph that grows. Its methods append something and return the name of what that gives."""

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
        """Of a module's weights and statistics, those of these names."""
        tensors = module.state_dict()
        return [self.floats(tensors[name]) for name in names]

    def reshape(self, x: str, *sizes: int) -> str:
        """0 keeps a size, -1 is what remains."""
        return self.add("Reshape", x, self.constant(np.array(sizes, np.int64)))


def _normalize(graph: _Graph, model: LipNet, mask: str) -> str:
    """The input of the first convolution, (B, C, T, H, W) float32."""
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
    """What ``clip_moments`` says of (B, C, T, H, W): x less its mean, and its variance (B, C, 1, 1, 1)."""
    frame_axis = graph.constant(np.array([2], np.int64))
    ones = graph.add("Cast", mask, to=TensorProto.FLOAT)
    share = graph.add("Div", ones, graph.add("ReduceSum", ones, frame_axis))

    def mean(values: str) -> str:
        of_frames = graph.add("ReduceMean", values, axes=(3, 4))
        return graph.add("ReduceSum", graph.add("Mul", of_frames, share), frame_axis)

    centred = graph.add("Sub", x, mean(x))
    return centred, mean(graph.add("Mul", centred, centred))


def _real_frames(graph: _Graph) -> str:
    """Which frames are no padding, (B, 1, T, 1, 1) bool."""
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
        pads=conv.padding * 2,  # before and after
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


def _recur(graph: _Graph, model: LipNet, x: str) -> None:
    """(B, T, F) -> the outputs."""
    lengths = graph.add("Cast", "lengths", to=TensorProto.INT32)
    words = []
    for i, layer in enumerate(model.recurrent):
        x = _recurrent(graph, cast(Recurrent, layer), x, lengths)
        if model.config.activation == "relu":
            x = graph.add("Relu", x)
        if model.word_heads:
            logits = _linear(graph, cast(nn.Linear, model.word_heads[i]), x)
            words.append(graph.add("LogSoftmax", logits, axis=-1))
    scores = _linear(graph, model.output, x)
    scores = graph.reshape(scores, 0, -1, _symbols(model))  # (B, T, R * V) -> (B, T * R, V)
    graph.add("LogSoftmax", scores, axis=-1, output="log_probs")
    if words:
        graph.add("Mean", *words, output="word_log_probs")


def _recurrent(graph: _Graph, layer: Recurrent, x: str, lengths: str) -> str:
    """(B, T, F) -> (B, T, D * hidden). ``lengths`` (B,) int32: each clip is read back from its own end."""
    operator = "LSTM" if isinstance(layer, nn.LSTM) else "GRU"
    biases = _gates(layer, operator, "bias_ih_l0")
    # Keras' GRU has no second bias.
    more = np.zeros_like(biases) if isinstance(layer, KerasGru) else _gates(layer, operator, "bias_hh_l0")
    states = graph.add(
        operator,
        graph.add("Transpose", x, perm=(1, 0, 2)),  # (B, T, F) -> (T, B, F)
        graph.constant(_gates(layer, operator, "weight_ih_l0")),
        graph.constant(_gates(layer, operator, "weight_hh_l0")),
        graph.constant(np.hstack([biases, more])),
        lengths,
        hidden_size=layer.hidden_size,
        direction="bidirectional" if layer.bidirectional else "forward",
        **_cell_attributes(layer),
    )
    x = graph.add("Transpose", states, perm=(2, 0, 1, 3))  # (T, D, B, hidden) -> (B, T, D, hidden)
    return graph.reshape(x, 0, 0, -1)


def _cell_attributes(layer: Recurrent) -> dict[str, Any]:
    if isinstance(layer, nn.GRU):
        # PyTorch's GRU resets the state after the matrix product; ONNX's does so only where it is told to.
        return {"linear_before_reset": 1}
    if isinstance(layer, nn.LSTM):
        return {}
    candidate, a, b = CANDIDATES[layer.candidate]
    sides = len(directions(layer))
    return {
        "activations": ["HardSigmoid", candidate] * sides,
        "activation_alpha": [0.2, *a] * sides,
        "activation_beta": [0.5, *b] * sides,
    }


def _gates(layer: Recurrent, operator: str, name: str) -> np.ndarray:
    """(D, gates * hidden, ...) float32: of each direction, the gates in ONNX's order."""
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
