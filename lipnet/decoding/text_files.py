"""Reading the text files of the decoders: language models, grammars and word lists."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

from lipnet.decoding.base import DecodeError

GZIP_MAGIC = b"\x1f\x8b"
MAX_BYTES = 100_000_000  # of a file, unzipped: what memory can hold several times
MAX_WORD = 200  # characters; the longest words in use have about 80
SHOWN = 80  # characters of a line in a message


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a file, unzipped if it is gzipped.

    Raises:
        OSError: the file cannot be read.
        DecodeError: it is larger than ``max_bytes``, or damaged; no more than that is ever in memory.
    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
        if content.startswith(GZIP_MAGIC) and len(content) <= max_bytes:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as unzipped:
                content = unzipped.read(max_bytes + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DecodeError(f"{path}: a damaged gzip file; copy it or create it again") from error
    except ValueError as error:  # a NUL in the path
        raise DecodeError(f"{str(path)!r}: not a path; correct the name") from error
    if len(content) > max_bytes:
        raise DecodeError(f"{path}: more than {max_bytes / 1e6:g} MB of text; give a smaller file")
    return content


def shortened(text: str) -> str:
    """A text for a message, cut if it is long."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def check_length(word: str) -> None:
    """Raises DecodeError on a word that no language has: its starts alone could fill the memory."""
    if len(word) > MAX_WORD:
        raise DecodeError(f"{shortened(word)!r}: a word of {len(word)} characters; give at most {MAX_WORD}")
