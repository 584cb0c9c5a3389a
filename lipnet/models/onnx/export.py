"""LipNet as an ONNX graph in evaluation mode, built node by node from the modules' weights.

``torch.onnx.export`` was tried with PyTorch 2.14 and cannot write every network for clips of any length. With
``dynamo=True`` it stops at ``bool(valid.all())`` and, without that line, at packed sequences. The deprecated
TorchScript exporter keeps only the branch that its example takes (after an example without padding, padded
clips are wrong by 14 to 17 nats) and fixes the number of frames in the loop of ``keras_gru``. Shapes are in
the letters of ``models/lipnet.py``.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper
from torch import nn

from lipnet import __version__
from lipnet.models.landmark_encoder import input_width
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import KEY, Metadata, dump_metadata
from lipnet.models.onnx.fusion import Scores, fused_scores
from lipnet.models.onnx.graph import Graph
from lipnet.models.onnx.landmarks import landmark_features
from lipnet.models.onnx.pixels import pixel_features
from lipnet.models.onnx.recurrent import recurrent
from lipnet.models.rnn import Recurrent

OPSET, IR_VERSION = 17, 8  # of the year 2022, read by ONNX Runtime from 1.12 on


def onnx_model(model: LipNet, metadata: Metadata) -> ModelProto:
    """The ONNX model of a network, with its checkpoint metadata in the model's metadata.

    Inputs; ``config.streams`` says which of the first two there are:
        frames: (B, T, H, W, 3) uint8 RGB.
        landmarks: (B, T, F) float32, `clip_features` of each clip, NaN where unknown.
        lengths: (B,) int64, the valid (unpadded) frames of each clip, from 1 to T.

    Outputs, as in `Output`; beyond a clip's end they are undefined:
        log_probs: (B, T * R, V) float32.
        word_log_probs: (B, T, K) float32, only with word heads.

    B and T are dynamic. Padding does not change the outputs of the valid frames.
    """
    graph = Graph()
    mask = _frame_mask(graph, model)
    scores = _network(graph, model, mask)
    if model.landmark_net is not None:
        others = _network(graph, model.landmark_net, mask)
        scores = fused_scores(graph, model.config, mask, scores, others)
    graph.add("Identity", scores.log_probs, output="log_probs")
    if scores.words:
        graph.add("Mean", *scores.words, output="word_log_probs")
    return _finish(graph, model, metadata)


def _frame_mask(graph: Graph, model: LipNet) -> str:
    """Whether each frame is valid (unpadded): (B, T) bool."""
    zero, one = (graph.constant(np.array(number, np.int64)) for number in (0, 1))
    frames = "frames" if "pixels" in model.config.streams else "landmarks"
    count = graph.add("Squeeze", graph.add("Shape", frames, start=1, end=2))
    numbers = graph.add("Range", zero, count, one)
    return graph.add("Less", numbers, graph.reshape("lengths", -1, 1))  # (T,) and (B, 1) -> (B, T)


def _network(graph: Graph, model: LipNet, mask: str) -> Scores:
    """A network, without that of its landmarks in late fusion; ``mask``: valid frames (B, T) bool."""
    features: list[str] = []
    states: list[str] = []  # of the landmarks' recurrent layer
    if "pixels" in model.config.streams:
        features.append(pixel_features(graph, model, mask))
    if model.landmark_encoder is not None:
        encoded = landmark_features(graph, model, mask)
        (features if model.landmark_recurrent is None else states).append(encoded)
    x = _joined(graph, features)
    words = []
    for i, layer in enumerate(model.recurrent):
        x = recurrent(graph, cast(Recurrent, layer), x, model.config.activation)
        if i == len(model.recurrent) - 1:
            x = _joined(graph, [x, *states])
        if model.word_heads:
            words.append(_log_softmax(graph, graph.linear(cast(nn.Linear, model.word_heads[i]), x)))
    logits = graph.reshape(graph.linear(model.output, x), 0, -1, _symbols(model))  # -> (B, T * R, V)
    return Scores(_log_softmax(graph, logits), words)


def _joined(graph: Graph, features: list[str]) -> str:
    """Features of one or two streams, (B, T, F) each, next to each other."""
    return features[0] if len(features) == 1 else graph.add("Concat", *features, axis=2)


def _log_softmax(graph: Graph, x: str) -> str:
    return graph.add("LogSoftmax", x, axis=-1)


def _symbols(model: LipNet) -> int:
    return model.output.out_features // model.config.outputs_per_frame


def _finish(graph: Graph, model: LipNet, metadata: Metadata) -> ModelProto:
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
    config, inputs = model.config, []
    if "pixels" in config.streams:
        frames = ("B", "T", config.height, config.width, 3)
        inputs.append(helper.make_tensor_value_info("frames", TensorProto.UINT8, frames))
    if "landmarks" in config.streams:
        landmarks = ("B", "T", input_width(config))
        inputs.append(helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, landmarks))
    return [*inputs, helper.make_tensor_value_info("lengths", TensorProto.INT64, ("B",))]


def _outputs(model: LipNet) -> list[ValueInfoProto]:
    steps = ("B", "S", _symbols(model))  # S = T * R
    outputs = [helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, steps)]
    for head in model.word_heads[:1]:
        frames = ("B", "T", cast(nn.Linear, head).out_features)
        outputs.append(helper.make_tensor_value_info("word_log_probs", TensorProto.FLOAT, frames))
    return outputs
