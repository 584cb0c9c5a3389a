"""Exported networks that read landmarks: ONNX Runtime computes the same log-probabilities as PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from onnx_files import export, perturbed_model
from tiny import CROP, tiny_model

from lipnet.config import ModelConfig
from lipnet.cropping.landmarks import LANDMARK_INPUTS
from lipnet.errors import CheckpointError
from lipnet.inference.onnx_backend import OnnxBackend
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import KEY, Metadata, dump_metadata

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

BOTH = ["pixels", "landmarks"]
LENGTHS = (5, 9, 1, 7, 6)  # frames
NAMES = ("landmarks", "late", "joint", "output")


def config(fusion: str, **changes: object) -> ModelConfig:
    streams = {"streams": ["landmarks"]} if fusion == "landmarks" else {"streams": BOTH, "fusion": fusion}
    sizes = {"landmark_channels": [6, 5], "landmark_kernel": 3, "landmark_hidden": 7}
    return tiny_model(**{**sizes, **streams, **changes})


CONFIGS = {
    f"{fusion}, {cell}": config(fusion, cell=cell)
    for fusion in NAMES
    for cell in ("gru", "lstm", "keras_gru")
}
for fusion in NAMES:
    CONFIGS[f"{fusion}, words"] = config(fusion, word_heads=True, outputs_per_frame=2, norm="batch")
    CONFIGS[f"{fusion}, forwards"] = config(fusion, bidirectional=False, layers=1, word_heads=True)
    CONFIGS[f"{fusion}, lip coordinates"] = config(
        fusion, landmark_input="lip_coordinates", landmark_channels=[], activation="relu"
    )
    CONFIGS[f"{fusion}, three outputs"] = config(
        fusion, outputs_per_frame=3, landmark_weight=0.3, normalization="clip", in_channels=1
    )
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def random_clips(config: ModelConfig) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
    """Crops and landmarks; those of the fourth clip are unknown, those of the fifth in two frames."""
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (n, config.height, config.width, 3), np.uint8) for n in LENGTHS]
    width = LANDMARK_INPUTS[config.landmark_input].size
    landmarks: list[np.ndarray | None] = [random.normal(size=(n, width)).astype("f4") for n in LENGTHS]
    landmarks[3] = None
    assert landmarks[4] is not None
    landmarks[4][2:4] = np.nan
    return crops, landmarks


@torch.no_grad()
def pytorch_log_probs(
    model: LipNet, crops: np.ndarray, landmarks: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Log-probabilities of the characters and the words of one clip."""
    features = None if landmarks is None else torch.from_numpy(landmarks)[None]
    output = model(torch.from_numpy(crops)[None], torch.tensor([len(crops)]), features)
    words = output.word_log_probs
    return output.log_probs[0].numpy(), None if words is None else words[0].numpy()


@every_config
def test_each_clip_of_a_padded_batch_gives_what_pytorch_computes_for_it_alone(config: ModelConfig) -> None:
    model = perturbed_model(config)
    network, (crops, landmarks) = OnnxBackend(export(model)), random_clips(config)
    together = network(crops, landmarks)
    for clip, features, emissions in zip(crops, landmarks, together, strict=True):
        log_probs, words = pytorch_log_probs(model, clip, features)
        for computed in (emissions, *network([clip], [features])):
            assert np.isfinite(computed.log_probs).all()
            np.testing.assert_allclose(computed.log_probs, log_probs, rtol=0, atol=1e-4)
            assert (computed.word_log_probs is None) == (words is None) == (not config.word_heads)
            if words is not None:
                np.testing.assert_allclose(computed.word_log_probs, words, rtol=0, atol=1e-4)


@every_config
def test_without_landmarks_all_are_unknown(config: ModelConfig) -> None:
    network, (crops, _) = OnnxBackend(export(perturbed_model(config))), random_clips(config)
    for one, other in zip(network(crops), network(crops, [None] * len(crops)), strict=True):
        assert np.array_equal(one.log_probs, other.log_probs)


@pytest.mark.parametrize("fusion", NAMES)
def test_landmarks_matter(fusion: str) -> None:
    network, (crops, landmarks) = (
        OnnxBackend(export(perturbed_model(config(fusion)))),
        random_clips(config(fusion)),
    )
    with_them, without = network(crops[:1], landmarks[:1]), network(crops[:1])
    assert np.abs(with_them[0].log_probs - without[0].log_probs).max() > 0.01


def declared(fusion: str, **changes: object) -> dict[str, list[int | str]]:
    graph = onnx.load_from_string(export(perturbed_model(config(fusion, **changes))))
    onnx.checker.check_model(graph, full_check=True)
    return {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in graph.graph.input
    }


@pytest.mark.parametrize("fusion", NAMES)
def test_a_graph_declares_the_inputs_of_its_streams(fusion: str) -> None:
    expected: dict[str, list[int | str]] = {"landmarks": ["B", "T", 64], "lengths": ["B"]}
    if fusion != "landmarks":
        expected["frames"] = ["B", "T", 16, 24, 3]
    assert declared(fusion) == expected
    coordinates = declared(fusion, landmark_input="lip_coordinates")
    assert coordinates == {**expected, "landmarks": ["B", "T", 40]}


def with_streams(streams: Sequence[str], **changes: object) -> bytes:
    """A graph of both streams whose metadata says something else."""
    model = perturbed_model(config("late"))
    graph = onnx.load_from_string(export(model))
    metadata = Metadata(replace(model.config, streams=list(streams), **changes), CROP)  # type: ignore[arg-type]
    graph.ClearField("metadata_props")
    onnx.helper.set_model_props(graph, {KEY: dump_metadata(metadata)})
    content: bytes = graph.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("streams", "landmark_input", "message"),
    [
        (["pixels"], "features", "landmarks: unknown"),
        (["landmarks"], "features", "frames: unknown"),
        (BOTH, "lip_coordinates", r"landmarks: .*\[\.\.\., 40\] by the metadata"),
    ],
)
def test_inputs_that_contradict_the_metadata_are_refused(
    streams: list[str], landmark_input: str, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        OnnxBackend(with_streams(streams, landmark_input=landmark_input))
