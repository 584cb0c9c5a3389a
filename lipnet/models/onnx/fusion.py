"""Late fusion as nodes of an ONNX graph, as ``models/fusion.py``. Shapes as there."""

from __future__ import annotations

import math
from typing import NamedTuple

from onnx import TensorProto

from lipnet.config import ModelConfig
from lipnet.models.fusion import CHARACTER_SHARE, ENTROPY_SCALE
from lipnet.models.onnx.graph import Graph
from lipnet.models.onnx.landmarks import known_frames


class Scores(NamedTuple):
    """The names of a network's log-probabilities."""

    log_probs: str  # (B, T * R, V)
    words: list[str]  # (B, T, K) of each recurrent layer


def fused_scores(graph: Graph, config: ModelConfig, mask: str, pixels: Scores, landmarks: Scores) -> Scores:
    """As `fuse_outputs`; ``mask``: valid frames (B, T) bool."""
    known = graph.add("Cast", known_frames(graph), to=TensorProto.FLOAT)  # (B, T, 1)
    weight = graph.number(config.landmark_weight)
    if not pixels.words:
        steps = _of_steps(graph, graph.add("Mul", known, weight), config)
        mean = graph.lerp(pixels.log_probs, landmarks.log_probs, steps)
        return Scores(graph.add("LogSoftmax", mean, axis=-1), [])
    share = graph.add("Mul", _landmark_share(graph, config, mask, pixels), known)  # (B, T, 1)
    frames = graph.add("Mul", share, weight)
    words = [
        graph.add("LogSoftmax", graph.lerp(ours, theirs, frames), axis=-1)
        for ours, theirs in zip(pixels.words, landmarks.words, strict=True)
    ]
    chosen = graph.add("Greater", _of_steps(graph, share, config), graph.number(CHARACTER_SHARE))
    return Scores(graph.add("Where", chosen, landmarks.log_probs, pixels.log_probs), words)


def _landmark_share(graph: Graph, config: ModelConfig, mask: str, pixels: Scores) -> str:
    """As `landmark_share`: (B, 1, 1) float32."""
    words = graph.add("LogSoftmax", graph.add("Mean", *pixels.words), axis=-1)  # (B, T, K)
    last, frame_axis = graph.integers(2), graph.integers(1)
    entropy = graph.add("Neg", graph.add("ReduceSum", graph.add("Mul", graph.add("Exp", words), words), last))
    silence = graph.add("Slice", words, graph.integers(0), graph.integers(1), last)  # (B, T, 1)
    is_speech = graph.add("Less", silence, graph.number(math.log(0.5)))
    is_speech = graph.add("And", is_speech, graph.add("Unsqueeze", mask, last))
    speech = graph.add("Cast", is_speech, to=TensorProto.FLOAT)
    count = graph.add("Max", graph.add("ReduceSum", speech, frame_axis), graph.number(1))
    # Beyond a clip's end the entropy is undefined, and may be NaN.
    of_speech = graph.add("Where", is_speech, entropy, graph.number(0))
    mean = graph.add("Div", graph.add("ReduceSum", of_speech, frame_axis), count)
    difference = graph.add("Sub", mean, graph.number(config.landmark_entropy))
    return graph.add("Sigmoid", graph.add("Div", difference, graph.number(ENTROPY_SCALE)))


def _of_steps(graph: Graph, frames: str, config: ModelConfig) -> str:
    """A number of each frame, (B, T, 1), for each of its steps: (B, T * R, 1)."""
    rate = graph.integers(1, 1, config.outputs_per_frame)
    return graph.reshape(graph.add("Expand", frames, rate), 0, -1, 1)
