"""What comes with the package: our own weights, and a language model of the sentences they know."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "grid.safetensors"  # MODEL_CARD.md beside it tells what they are
LANGUAGE_MODEL = FOLDER / "grid.arpa"
