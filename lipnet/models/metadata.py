"""Checkpoint metadata: what evaluation and prediction need besides the weights, as JSON in the same file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from lipnet import __version__
from lipnet.config import CropConfig, ModelConfig
from lipnet.errors import CheckpointError
from lipnet.settings import rename_old_names

KEY = "lipnet"  # of the JSON text in the metadata of a safetensors or ONNX file
FORMAT = "lipnet-1"


@dataclass
class Metadata:
    """The network's sizes, the geometry of its crops, and how it was trained."""

    model: ModelConfig
    crop: CropConfig
    info: dict[str, Any] = field(default_factory=dict)  # for people: split, speakers, epoch, scores, ...
    # Decoder -> coefficients that turn its scores into probabilities (``inference/confidence.py``); empty if
    # confidences were not calibrated.
    calibration: dict[str, list[float]] = field(default_factory=dict)
    grid: bool = True  # whether all training sentences are GRID sentences

    @property
    def grid_only(self) -> bool:
        """Whether the network knows only GRID sentences."""
        return self.grid and self.model.word_heads


def dump_metadata(metadata: Metadata) -> str:
    """The metadata as JSON, with the format and the version of lipnet."""
    return json.dumps({"format": FORMAT, "version": __version__, **asdict(metadata)})


def parse_metadata(text: str) -> Metadata:
    """Read what ``dump_metadata`` wrote.

    Raises CheckpointError on another format, KeyError, TypeError or ValueError on anything else.
    """
    header = rename_old_names(json.loads(text))
    if header["format"] != FORMAT:
        raise CheckpointError(f"format {header['format']}, not {FORMAT}: use the lipnet that wrote it")
    return Metadata(
        ModelConfig(**header["model"]),
        CropConfig(**header["crop"]),
        header["info"],
        header.get("calibration", {}),
        header.get("grid", True),
    )
