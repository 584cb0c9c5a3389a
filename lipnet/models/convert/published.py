"""Conversion of the weights that other LipNet repositories published, recognised by the files' contents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lipnet.config import CropConfig, ModelConfig
from lipnet.errors import CheckpointError, ConfigError
from lipnet.models.checkpoint import check_finite
from lipnet.models.conv import feature_map, feature_size
from lipnet.models.convert.keras import SIGNATURE, read_keras
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata

KNOWN = (
    "VIPL's LipNet-PyTorch (.pt), ffeew/LipCoordNet (.pt), rizkiarm/LipNet (.h5, both its models), "
    "osalinasv/lipnet (.hdf5)"
)
# The modules of the VIPL network, and LipCoordNet's one more -> those of `LipNet`.
PYTORCH_PARTS = {
    "conv1": "blocks.0.conv",
    "conv2": "blocks.1.conv",
    "conv3": "blocks.2.conv",
    "gru1": "recurrent.0",
    "gru2": "recurrent.1",
    "coord_gru": "landmark_recurrent",
    "FC": "output",
}


class PublishedModel(NamedTuple):
    """A network whose weights were published: its repository, its structure and its crops."""

    source: str
    model: ModelConfig  # the numbers of channels and of units are read from the file
    crop: CropConfig


# Eye distances were measured on real GRID clips, cropped as each repository's code does.
# VIPL: RGB / 255; faces are warped to a template, the same for both sizes of crops.
VIPL_SOURCE = "github.com/VIPL-Audio-Visual-Speech-Understanding/LipNet-PyTorch"
_VIPL = ModelConfig(normalization="unit")
VIPL = (
    PublishedModel(
        VIPL_SOURCE, _VIPL, CropConfig(width=128, height=64, eye_distance=68.6, center_offset=-0.036)
    ),
    PublishedModel(
        VIPL_SOURCE, _VIPL, CropConfig(width=100, height=50, eye_distance=53.6, center_offset=-0.036)
    ),
)
# LipCoordNet: VIPL's network and crops, and the lips' coordinates as parts of the frame's width and height.
# Crop stores have no positions in the frame; GRID's mean one takes their place (`cropping/landmarks.py`).
LIPCOORDNET = (
    PublishedModel(
        "github.com/ffeew/LipCoordNet",
        replace(
            _VIPL,
            streams=["pixels", "landmarks"],
            fusion="output",
            landmark_input="lip_coordinates",
            landmark_channels=[],
        ),
        VIPL[0].crop,
    ),
)
# Keras: RGB / 255, the GRU of Keras 2, dropout after convolutions only; frames are scaled by the mouth's
# width plus a margin (19 % of its x coordinates in the first repository, 20 % in the second).
_KERAS = ModelConfig(normalization="unit", cell="keras_gru", dropout=0.0, block_dropout=0.5, init="keras")
_RIZKIARM_CROP = CropConfig(width=100, height=50, eye_distance=46.6)
KERAS = (
    PublishedModel("github.com/rizkiarm/LipNet", _KERAS, _RIZKIARM_CROP),
    PublishedModel("github.com/rizkiarm/LipNet", replace(_KERAS, norm="batch"), _RIZKIARM_CROP),
    PublishedModel(
        "github.com/osalinasv/lipnet",
        replace(_KERAS, norm="batch", strides=[[1, 2, 2]] * 3, candidate="linear", activation="relu"),
        CropConfig(width=100, height=50, eye_distance=45.2),
    ),
)


def load_published_weights(path: str | Path) -> tuple[LipNet, Metadata]:
    """Read a published weights file.

    Returns:
        The network in evaluation mode on the CPU, and the checkpoint metadata to save with its weights.

    Raises:
        CheckpointError: there is no such file, or its layout is not one of KNOWN.
        LipnetError: the file is HDF5 and h5py is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file; those of {KNOWN} can be converted")
    content = path.read_bytes()
    try:
        published, tensors = _from_keras(path) if content.startswith(SIGNATURE) else _from_pytorch(path)
        model = LipNet(published.model)
        model.load_state_dict(tensors)
        check_finite(tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    # Tensors are missing, unexpected or of another size.
    except (LookupError, RuntimeError, ValueError, TypeError, AttributeError, ConfigError) as error:
        raise CheckpointError(f"{path}: unknown layout; the weights of {KNOWN} can be converted") from error
    info = {"source": published.source, "file": path.name, "sha256": hashlib.sha256(content).hexdigest()}
    return model.eval(), Metadata(published.model, published.crop, info)


def _from_keras(path: Path) -> tuple[PublishedModel, dict[str, Tensor]]:
    network = read_keras(path)
    channels = [len(bias) for _, bias in network.convolutions]
    inputs, state = network.recurrent[0][:2]
    norm = "batch" if network.norms else "none"
    candidates = [published for published in KERAS if published.model.norm == norm]
    published = _of_these_sizes(candidates, channels, hidden=len(state), features=len(inputs))
    return published, network.tensors(*feature_map(published.model))


def _from_pytorch(path: Path) -> tuple[PublishedModel, dict[str, Tensor]]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        parts = [(*name.split(".", 1), tensor.float()) for name, tensor in state.items()]
    except Exception as error:  # torch.load has no error class of its own for a broken pickle
        raise ValueError("not a PyTorch state dict") from error
    # Symbols and gates are in our order. The input is in OpenCV's channel order, BGR.
    tensors = {f"{PYTORCH_PARTS[part]}.{name}": tensor for part, name, tensor in parts}
    tensors["blocks.0.conv.weight"] = tensors["blocks.0.conv.weight"].flip(1)
    channels = [len(tensors[f"blocks.{i}.conv.bias"]) for i in range(3)]
    inputs, states = (tensors[f"recurrent.0.weight_{kind}_l0"] for kind in ("ih", "hh"))
    landmark_states = tensors.get("landmark_recurrent.weight_hh_l0")
    candidates = VIPL if landmark_states is None else LIPCOORDNET
    published = _of_these_sizes(candidates, channels, hidden=states.shape[1], features=inputs.shape[1])
    if landmark_states is not None:
        model = replace(published.model, landmark_hidden=landmark_states.shape[1])
        published = published._replace(model=model)
    return published, tensors


def _of_these_sizes(
    candidates: Sequence[PublishedModel], channels: list[int], hidden: int, features: int
) -> PublishedModel:
    """The candidate whose convolutions turn its crops into ``features`` per frame, with the file's sizes.

    Raises ValueError if there is none.
    """
    for published in candidates:
        height, width = published.crop.height, published.crop.width
        model = replace(published.model, height=height, width=width, channels=channels, hidden=hidden)
        if feature_size(model) == features:
            return published._replace(model=model)
    raise ValueError(f"{features} features from {channels[-1]} channels")
