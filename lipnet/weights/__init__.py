"""Files that ship with the package: pretrained weights, and a language model of the sentences of GRID."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "grid.safetensors"  # described in MODEL_CARD.md
LANGUAGE_MODEL = FOLDER / "grid.arpa"
