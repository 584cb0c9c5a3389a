"""Errors that the user can fix.

Their messages are one line: what is wrong, then how to fix it. Errors of one package are defined there, those
of several here. A program prints the message and exits with code 2 (``utils/cli.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class LipnetError(Exception):
    """The base class of all of them."""


class ConfigError(LipnetError):
    """A config file, override or setting that cannot be used."""


class CorpusError(LipnetError):
    """A corpus, alignment or split that cannot be used."""


class CheckpointError(LipnetError):
    """A file that is not a lipnet checkpoint, or one of another format."""


class TrainingError(LipnetError):
    """Training cannot continue: the loss is not finite, or a batch cannot be built."""


@contextmanager
def problems_of(name: str) -> Iterator[None]:
    """Turn an unexpected exception while one video or clip is worked on into a LipnetError that names it.

    One damaged file then costs that file alone: libraries raise IndexError, ValueError, cv2.error or
    MemoryError on some of them.
    """
    try:
        yield
    except LipnetError:
        raise
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise LipnetError(f"{name}: cannot be read ({cause[:200]}); get or convert the file again") from error
