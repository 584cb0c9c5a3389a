"""Files that ship with the package: pretrained weights, and a language model of the sentences of GRID."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "grid.safetensors"  # described in MODEL_CARD.md
LANDMARK_WEIGHTS = FOLDER / "landmarks.safetensors"  # of a small network that reads landmarks only
LANGUAGE_MODEL = FOLDER / "grid.arpa"
