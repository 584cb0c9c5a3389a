"""Crop stores with landmarks, and small networks that read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from tiny import CROP, make_clip, random_crops, random_landmarks, tiny_model

from lipnet.config import CropConfig, ModelConfig
from lipnet.data.crop_store import CropStoreWriter
from lipnet.models.checkpoint import save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata

STREAMS = {
    "landmarks": {"streams": ["landmarks"]},
    "late": {"streams": ["pixels", "landmarks"], "fusion": "late"},
    "joint": {"streams": ["pixels", "landmarks"], "fusion": "joint"},
    "output": {"streams": ["pixels", "landmarks"], "fusion": "output", "landmark_input": "lip_coordinates"},
}
IDS = ("bbaf2n", "lgbm5p", "prwazs", "swiq9a")


def stream_model(name: str, **changes: object) -> ModelConfig:
    """A tiny network with the streams of one of STREAMS."""
    return tiny_model(**{"landmark_channels": [8], "landmark_hidden": 8, **STREAMS[name], **changes})


def pack_landmarks(
    root: Path, ids: Sequence[str] = IDS, without: Sequence[str] = (), crop: CropConfig = CROP
) -> Path:
    """A store of clips of s1 of 30 to 33 frames with random crops; those in ``without`` have no landmarks."""
    with CropStoreWriter(root, "s1", crop) as writer:
        for seed, clip_id in enumerate(ids):
            frames = 30 + seed
            landmarks = None if clip_id in without else random_landmarks(frames, seed)
            clip = make_clip("s1", clip_id, frames)
            writer.add(clip, random_crops(frames, crop, seed), frames, landmarks)
    return root


def save_untrained(path: Path, model: ModelConfig, crop: CropConfig = CROP) -> Path:
    """An untrained network with outputs of large variance, so that its texts are not empty."""
    torch.manual_seed(0)
    network = LipNet(model)
    with torch.no_grad():
        network.output.weight *= 30
        if network.landmark_net is not None:
            network.landmark_net.output.weight *= 30
    crop = replace(crop, width=model.width, height=model.height)
    save_weights(path, network.state_dict(), Metadata(model, crop))
    return path
