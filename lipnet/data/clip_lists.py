"""List files of clips: one ``SPEAKER/ID`` per line, blank lines and ``#`` comments.

A comment starts at the beginning of a line or after white space, so ``s1/take#3`` is a name. A name that such
a line cannot hold, such as one that ends with a space or has a newline in it, is a JSON string in double
quotes: ``"s1/last "``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from lipnet.errors import CorpusError

COMMENT = re.compile(r"(?:^|\s)#")


def read_split(path: Path) -> list[str]:
    """Read a list of clip names.

    Raises CorpusError on a file that cannot be read, or a line in quotes that is not a JSON string.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL character in the path
        raise CorpusError(
            f"{path}: cannot be read as a split list ({error}); give one SPEAKER/ID per line"
        ) from error
    names = []
    for number, line in enumerate(lines, start=1):
        try:
            name = _read_line(line)
        except ValueError as error:
            raise CorpusError(
                f"{path}: line {number} is not a name in quotes; write it as a JSON string"
            ) from error
        if name:
            names.append(name)
    return names


def list_content(names: Iterable[str]) -> bytes:
    """The content of a list file with these names, from which `read_split` reads the same names."""
    return "".join(f"{_write_line(name)}\n" for name in names).encode()


def _read_line(line: str) -> str:
    """The name in a line; empty if it has none. Raises ValueError on an unusable name in quotes."""
    text = line.strip()
    if not text.startswith('"'):
        return COMMENT.split(line, maxsplit=1)[0].strip()
    name, end = json.JSONDecoder().raw_decode(text)
    if COMMENT.split(text[end:], maxsplit=1)[0].strip():
        raise ValueError(f"text after the name: {text[end:]}")
    return str(name)


def _write_line(name: str) -> str:
    is_plain = name.isprintable() and name == name.strip() and not name.startswith(('"', "\ufeff"))
    return name if is_plain and _read_line(name) == name else json.dumps(name)
