"""Errors that the user can fix.

Their messages are one line: what is wrong, then how to fix it. Errors of one package are defined there, those
of several here. A program prints the message and exits with code 2 (``utils/cli.py``).
"""

from __future__ import annotations


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
