"""Errors that the user can fix."""

from __future__ import annotations


class LipnetError(Exception):
    """Base class; scripts print its message and exit with code 2.

    The message is one line: what is wrong, then how to fix it.
    """


class TrainingError(LipnetError):
    """Training cannot continue: the loss is not finite, or a batch cannot be built."""


class CorpusError(LipnetError):
    """An unusable corpus, alignment or split."""


class ConfigError(LipnetError):
    """An unusable config file or override."""
