"""What a weights file says about itself, so that prediction needs nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from lipnet import __version__
from lipnet.config import CropConfig, ModelConfig
from lipnet.errors import LipnetError
from lipnet.settings import rename_old_names

KEY = "lipnet"  # under which weights files keep it, as JSON
FORMAT = "lipnet-1"


class CheckpointError(LipnetError):
    """A file that is no checkpoint of ours, or of another version."""


@dataclass
class Metadata:
    """The sizes of the network and of its crops. ``info`` is for people: split, speakers, epoch, ..."""

    model: ModelConfig
    crop: CropConfig
    info: dict[str, Any] = field(default_factory=dict)
    # By decoder: what turns its scores into probabilities (`confidence.py`); empty where nobody measured.
    calibration: dict[str, list[float]] = field(default_factory=dict)
    grid: bool = True  # whether all that was said in training were GRID's sentences


def dump_metadata(metadata: Metadata) -> str:
    return json.dumps({"format": FORMAT, "version": __version__, **asdict(metadata)})


def parse_metadata(text: str) -> Metadata:
    """Raises CheckpointError on another version's, KeyError, TypeError or ValueError on anything else."""
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
