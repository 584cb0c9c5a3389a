"""Text that is safe to print: without control characters, which a terminal would obey.

They reach messages by way of file names and other people's files. "Clear the screen" is harmless; some
sequences set the window's title, or have the terminal type an answer.
"""

from __future__ import annotations

import re

# ECMA-48: control sequences such as colours; strings such as titles, up to their end; other escapes.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[PX\]^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # C0 but tab and newline, DEL, C1


def printable(text: str) -> str:
    """``text`` without escape sequences and control characters, tabs and newlines excepted."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text))


def one_line(text: str) -> str:
    """The same as one line: tabs, newlines and other line separators become spaces."""
    return " ".join(re.split(r"[\t\n\u2028\u2029]+", printable(text)))
