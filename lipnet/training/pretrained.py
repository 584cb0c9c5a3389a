"""Starting a run from pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lipnet.errors import ConfigError
from lipnet.grid import natural_key
from lipnet.models.checkpoint import load_matching, load_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata


class Pretrained(NamedTuple):
    """Weights to start from."""

    path: str
    weights: LipNet
    metadata: Metadata


def load_pretrained(path: str) -> Pretrained | None:
    """Load a checkpoint to start from; None for an empty path. Raises CheckpointError."""
    return Pretrained(path, *load_weights(path)) if path else None


def start_from(pretrained: Pretrained, model: LipNet, freeze: Sequence[str]) -> list[str]:
    """Copy the weights that fit ``model``.

    Args:
        freeze: the parts of the model that will not be trained.

    Returns:
        The names of the model's tensors that stay randomly initialised.

    Raises:
        ConfigError: no weights fit, or a part to freeze stays randomly initialised.
    """
    random = load_matching(model, pretrained.weights)
    matrices = {name for name, parameter in model.named_parameters() if parameter.ndim > 1}
    if matrices <= set(random):
        read, reads = (" and ".join(one.config.streams) for one in (pretrained.weights, model))
        remark = "" if read == reads else f" (they read {read}, it reads {reads})"
        raise ConfigError(
            f"{pretrained.path}: no weights fit the model{remark}; leave out pretrained, or the changes of "
            "the model"
        )
    for part in freeze:
        if any(name.startswith(f"{part}.") for name in random):
            raise ConfigError(
                f"train.freeze {part}: randomly initialised, so it must be trained; take it off the list"
            )
    return random


def origin(info: dict[str, Any]) -> dict[str, Any]:
    """What the metadata of a run says about its pretrained weights, whose own ``info`` is given."""
    before = info.get("pretrained")
    speakers = {*_names(info), *_names(before)}
    return {
        **{key: info[key] for key in ("epoch", "revision", "train_split") if key in info},
        "train_speakers": sorted(speakers, key=natural_key),  # of all runs that led to these weights
    }


def _names(info: object) -> list[str]:
    """The training speakers in a part of the metadata, which any program may have written."""
    names = info.get("train_speakers") if isinstance(info, dict) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
