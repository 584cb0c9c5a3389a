"""The errors that a user can mend, and how a script reports them."""

from __future__ import annotations


class LipnetError(Exception):
    """Something the user can mend. The message is one line: the thing that is wrong, then the cure."""


class TrainingError(LipnetError):
    """Training cannot go on (a loss that is not finite, a batch that cannot be built)."""


class CorpusError(LipnetError):
    """A corpus, alignment or split that cannot be used."""


class ConfigError(LipnetError):
    """A config file or override that cannot be used."""
