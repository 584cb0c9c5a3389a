"""Weights that other LipNets published, recognised by what is in the file, as weights of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lipnet.config import CropConfig, ModelConfig
from lipnet.models.conv import feature_map, feature_size
from lipnet.models.convert_keras import SIGNATURE, read_keras
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import CheckpointError, Metadata

KNOWN = "VIPL's LipNet-PyTorch (.pt), rizkiarm/LipNet (.h5, both its models), osalinasv/lipnet (.hdf5)"
# The VIPL network's parts, and ours.
VIPL_PARTS = {
    "conv1": "blocks.0.conv",
    "conv2": "blocks.1.conv",
    "conv3": "blocks.2.conv",
    "gru1": "recurrent.0",
    "gru2": "recurrent.1",
    "FC": "output",
}


class PublishedModel(NamedTuple):
    """A network whose weights were published. Channels and hidden units are those of the file."""

    source: str
    model: ModelConfig
    crop: CropConfig


VIPL_SOURCE = "github.com/VIPL-Audio-Visual-Speech-Understanding/LipNet-PyTorch"
# VIPL warps faces to a template of 256 px in which the eyes are 90.3 px apart, and scales 160x80 px of it.
# Keras: /255, a GRU as it was then, dropout after the convolutions alone, and 100x50 px of GRID's frames as
# they are: there the eyes are 50 px apart, in the mean of eight speakers.
_VIPL = ModelConfig(normalization="unit")
_KERAS = ModelConfig(normalization="unit", cell="keras_gru", dropout=0.0, block_dropout=0.5, init="keras")
_RAW = CropConfig(width=100, height=50, eye_distance=50.0)
VIPL = (
    PublishedModel(VIPL_SOURCE, _VIPL, CropConfig(width=128, height=64, eye_distance=72.3)),
    PublishedModel(VIPL_SOURCE, _VIPL, CropConfig(width=100, height=50, eye_distance=56.5)),
)
KERAS = (
    PublishedModel("github.com/rizkiarm/LipNet", _KERAS, _RAW),
    PublishedModel("github.com/rizkiarm/LipNet", replace(_KERAS, norm="batch"), _RAW),
    PublishedModel(
        "github.com/osalinasv/lipnet",
        replace(_KERAS, norm="batch", strides=[[1, 2, 2]] * 3, candidate="linear", activation="relu"),
        _RAW,
    ),
)


def load_published_weights(path: str | Path) -> tuple[LipNet, Metadata]:
    """The network with its weights, in evaluation mode on the CPU, and what our header says of it.

    Raises CheckpointError where there is no such file or its layout is not KNOWN, LipnetError where h5py is
    needed and not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file; known are those of {KNOWN}")
    content = path.read_bytes()
    try:
        peer, tensors = _from_keras(path) if content.startswith(SIGNATURE) else _from_vipl(path)
        model = LipNet(peer.model)
        model.load_state_dict(tensors)
    except (LookupError, RuntimeError, ValueError) as error:  # something is missing, too much or too large
        raise CheckpointError(f"{path}: weights of another layout; known are those of {KNOWN}") from error
    info = {"source": peer.source, "file": path.name, "sha256": hashlib.sha256(content).hexdigest()}
    return model.eval(), Metadata(peer.model, peer.crop, info)


def _from_keras(path: Path) -> tuple[PublishedModel, dict[str, Tensor]]:
    network = read_keras(path)
    channels = [len(bias) for _, bias in network.convolutions]
    inputs, state = network.recurrent[0][:2]
    norm = "batch" if network.norms else "none"
    peer = _of_these_sizes(
        [peer for peer in KERAS if peer.model.norm == norm], channels, len(state), len(inputs)
    )
    return peer, network.tensors(*feature_map(peer.model))


def _from_vipl(path: Path) -> tuple[PublishedModel, dict[str, Tensor]]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        parts = [(*name.split(".", 1), tensor.float()) for name, tensor in state.items()]
    except Exception as error:  # torch.load raises whatever a broken pickle makes of itself
        raise ValueError("no PyTorch state dict") from error
    # Symbols and gates are in our order; their colours, from OpenCV, go from blue to red.
    tensors = {f"{VIPL_PARTS[part]}.{name}": tensor for part, name, tensor in parts}
    tensors["blocks.0.conv.weight"] = tensors["blocks.0.conv.weight"].flip(1)
    channels = [len(tensors[f"blocks.{i}.conv.bias"]) for i in range(3)]
    inputs, states = (tensors[f"recurrent.0.weight_{kind}_l0"] for kind in ("ih", "hh"))
    return _of_these_sizes(VIPL, channels, states.shape[1], inputs.shape[1]), tensors


def _of_these_sizes(
    peers: Sequence[PublishedModel], channels: list[int], hidden: int, features: int
) -> PublishedModel:
    """The one whose convolutions leave so many features of its crops. Raises ValueError where none does."""
    for peer in peers:
        height, width = peer.crop.height, peer.crop.width
        model = replace(peer.model, height=height, width=width, channels=channels, hidden=hidden)
        if feature_size(model) == features:
            return peer._replace(model=model)
    raise ValueError(f"{features} features from {channels[-1]} channels")
