"""Atomic file writes."""

from __future__ import annotations

from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, and a process that is killed meanwhile, see the old file or the new one.

    Args:
        path: its folder must exist.
        content: the whole file.

    Raises:
        OSError: with the name of ``path``, not of the temporary file beside it.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        error.filename = str(path)
        raise
