"""Checkpoint metadata: what evaluation and prediction need besides the weights, as JSON in the same file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from lipnet import __version__
from lipnet.config import CropConfig, ModelConfig
from lipnet.errors import CheckpointError
from lipnet.settings import rename_old_names
from lipnet.tokenizer import Tokenizer
from lipnet.utils.schema import SchemaError, build, parse_json

KEY = "lipnet"  # of the JSON text in the metadata of a safetensors or ONNX file
FORMAT = "lipnet-1"
DIGEST = "sha256"  # key of the metadata's own digest
COEFFICIENTS = 3  # of a decoder's calibration: the constant's, and those of the two features of a word


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
    """The metadata as JSON, with the format, the version of lipnet, and a digest of all that."""
    content = {"format": FORMAT, "version": __version__, **asdict(metadata)}
    return json.dumps({**content, DIGEST: _digest(json.loads(json.dumps(content)))})


def _digest(content: dict[str, Any]) -> str:
    """SHA-256 of what a JSON file holds, but for the digest itself, in any order and layout."""
    rest = {key: value for key, value in content.items() if key != DIGEST}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def parse_metadata(text: str) -> Metadata:
    """Read what ``dump_metadata`` wrote; keys that a later version has added are ignored.

    Raises CheckpointError on another format or a wrong digest (a file without one is read), another
    LipnetError that names the key on anything else.
    """
    content = parse_json(text)
    if not isinstance(content, dict) or "format" not in content:
        raise SchemaError("key 'format' is missing")
    if content["format"] != FORMAT:
        raise CheckpointError(f"format {content['format']!s:.20}, not {FORMAT}: use the lipnet that wrote it")
    is_changed = DIGEST in content and content[DIGEST] != _digest(content)
    known = {entry.name for entry in fields(Metadata)}
    content = {key: value for key, value in rename_old_names(content).items() if key in known}
    if isinstance(crop := content.get("crop"), dict):
        crop.setdefault("landmarks_every", 1)  # what versions without this setting did
    metadata = build(Metadata, content)
    _check(metadata)
    if is_changed:  # such as the order of the alphabet, which nothing else would show
        raise CheckpointError(
            "its metadata was changed after it was written; copy the file again, or give other weights"
        )
    return metadata


def _check(metadata: Metadata) -> None:
    """Raise LipnetError on values that do not fit together."""
    Tokenizer(metadata.model.alphabet)
    for key in ("width", "height"):
        crop, model = getattr(metadata.crop, key), getattr(metadata.model, key)
        if crop != model:
            raise SchemaError(f"crop.{key} {crop}, but model.{key} {model}")
    for decoder, coefficients in metadata.calibration.items():
        if len(coefficients) != COEFFICIENTS:
            raise SchemaError(f"calibration.{decoder}: {len(coefficients)} numbers, not {COEFFICIENTS}")
