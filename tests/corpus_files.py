"""A GRID alignment, and files in a corpus folder, for the tests of lipnet.data."""

from __future__ import annotations

from pathlib import Path

from lipnet.data.alignments import Word

SENTENCE = "bin blue at f two now"
ALIGNMENT = """0 23750 sil
23750 29500 bin
29500 34000 blue
34000 35500 at
35500 41000 f
41000 47250 two
47250 53000 sp
53000 60500 now
60500 74500 sil
"""
WORDS_OF_ALIGNMENT = (
    Word("bin", 23.75, 29.5),
    Word("blue", 29.5, 34.0),
    Word("at", 34.0, 35.5),
    Word("f", 35.5, 41.0),
    Word("two", 41.0, 47.25),
    Word("now", 53.0, 60.5),
)


def write_text(path: Path, content: str = "") -> Path:
    """Write a file of UTF-8 text with the line ends as given, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    return path
