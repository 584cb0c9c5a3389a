"""Reading the configuration: dataclass defaults <- YAML file <- ``section.key=value`` overrides.

An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import io
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from lipnet.config import Config, ModelConfig
from lipnet.errors import ConfigError
from lipnet.utils.files import write_atomically
from lipnet.utils.schema import SchemaError, check_lists, lists_of_texts, texts
from lipnet.utils.signals import signals_deferred

if TYPE_CHECKING:
    from omegaconf.errors import OmegaConfBaseException

# Bounds of numbers by key; all others are 0 or more.
SIGNED = {"center_offset"}  # may be negative
COUNTS = {"width", "height", "eye_distance", "detect_every", "landmarks_every"}  # from 1
COUNTS |= {"batch_size", "epochs", "eval_every"}
FRACTIONS = {"ema", "balance"}  # 0 to 1, as is every float of the augment section
HIGHEST = {"seed": 2**32 - 1, "epochs": 1_000_000, "batch_size": 65_536, "workers": 1024, "mix": 1000}
HIGHEST |= {"shift": 1000, "rotation": 360}
MAX_VALUES = 100_000  # in a YAML file, with all aliases replaced by what they stand for

# Former names in config files, overrides, checkpoint metadata and resume states: all are still read.
OLD_NAMES = {
    "init": "pretrained",
    "model.initial": "model.init",
    "model.pixels": "model.normalization",
    "train.frozen": "train.freeze",
    "info.init": "info.pretrained",
    "info.recipe.train.frozen": "info.recipe.train.freeze",
    "ancestor": "pretrained_info",
    "learner": "train_state",
}


def rename_old_names(tree: dict[str, Any]) -> dict[str, Any]:
    """Replace the OLD_NAMES in a nested dict of settings, checkpoint metadata or resume state.

    Raises ConfigError if an old name and its new name are both present.
    """
    for old, new in OLD_NAMES.items():
        *path, old_key = old.split(".")
        new_key = new.rpartition(".")[2]
        section = _section(tree, path)
        if section is not None and old_key in section:
            if new_key in section:
                raise ConfigError(f"{old} is the old name of {new}; give only {new}")
            renamed = {new_key if key == old_key else key: value for key, value in section.items()}
            tree = _replaced(tree, path, renamed)
    return tree


def _section(tree: Any, path: Sequence[str]) -> dict[str, Any] | None:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else None


def _replaced(tree: dict[str, Any], path: Sequence[str], section: dict[str, Any]) -> dict[str, Any]:
    if not path:
        return section
    return {**tree, path[0]: _replaced(tree[path[0]], path[1:], section)}


class Settings:
    """The settings of a YAML file, overridden by those of a command line."""

    def __init__(self, path: str | Path | None = None, overrides: Sequence[str] = ()) -> None:
        """Read both; ``overrides`` are ``section.key=value``.

        Raises ConfigError on a missing file, broken YAML, or an override without ``=``.
        """
        self._layers: list[tuple[str, dict[str, Any]]] = []  # (source for error messages, settings)
        if path is not None:
            self._layers.append((str(path), _read_yaml(_existing(path))))
        for override in overrides:
            self._layers.append((f"override {override!r}", _read_override(override)))

    @property
    def pretrained(self) -> str:
        """Path of the weights to start from; empty if none are given."""
        return next(
            (str(tree["pretrained"]) for _, tree in reversed(self._layers) if "pretrained" in tree), ""
        )

    def config(self, model: ModelConfig | None = None) -> Config:
        """The whole tree: the defaults, overridden by these settings.

        Args:
            model: replaces the default model, such as by that of the pretrained weights.

        Raises:
            ConfigError: an unknown key, or a value of the wrong type or range.
        """
        from omegaconf import OmegaConf  # here, since loading weights does without it

        all_sources = ", ".join(source for source, _ in self._layers) or "defaults"
        with _settings_errors(all_sources):
            tree = OmegaConf.structured(Config() if model is None else Config(model=model))
        for source, layer in self._layers:
            with _settings_errors(source):
                tree = OmegaConf.merge(tree, layer)
        with _settings_errors(all_sources):
            config = OmegaConf.to_object(tree)
        assert isinstance(config, Config)
        _check_numbers(config)
        return config


def load_config(path: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """The defaults, overridden by the YAML file at ``path`` and then by ``section.key=value`` overrides.

    Raises ConfigError as `Settings` does.
    """
    return Settings(path, overrides).config()


def save_config(config: Config, path: Path) -> None:
    """Write the whole tree as YAML, atomically."""
    from omegaconf import OmegaConf

    write_atomically(path, OmegaConf.to_yaml(OmegaConf.structured(config)).encode())


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such config file; the recipes are in configs/")
    return path


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml
    from omegaconf import OmegaConf

    with _settings_errors(str(path)):
        text = path.read_text(encoding="utf-8-sig")
        _check_size(yaml.compose(text, yaml.SafeLoader))
        return _plain(OmegaConf.load(io.StringIO(text))) if text.strip() else {}


def _check_size(root: Any) -> None:
    """Raise ValueError on a YAML node tree whose aliases stand for very many values, or for themselves."""
    nodes, count = [root], 0
    while nodes:
        node = nodes.pop()
        count += 1
        if count > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES} values")
        children = getattr(node, "value", "")
        if not isinstance(children, str):  # the items of a list, or pairs of key and value
            nodes += [
                part for child in children for part in (child if isinstance(child, tuple) else (child,))
            ]


def _read_override(override: str) -> dict[str, Any]:
    from omegaconf import OmegaConf

    source = f"override {override!r}"
    if "=" not in override:
        raise ConfigError(f"{source}: expected section.key=value, such as train.epochs=20")
    with _settings_errors(source):
        return _plain(OmegaConf.from_dotlist([override]))


@contextmanager
def _settings_errors(source: str) -> Iterator[None]:
    """Turn any error of reading settings from ``source`` into a ConfigError of one line."""
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        # OmegaConf may turn the exception of a signal into an AttributeError.
        with signals_deferred():
            yield
    except OmegaConfBaseException as error:
        raise ConfigError(f"{source}: {_explain(error)}") from error
    except SchemaError as error:
        raise ConfigError(f"{source}: {error}") from error
    except (YAMLError, ValueError, TypeError, AttributeError, OSError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise ConfigError(f"{source}: cannot be read as settings ({reason})") from error


def _plain(settings: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf

    tree = OmegaConf.to_container(settings, resolve=False)
    if not isinstance(tree, dict):
        raise TypeError("sections of key: value expected")
    check_lists(Config, {str(key): value for key, value in tree.items()})
    for key, value in texts(tree):
        if "${" in value:
            raise TypeError(f"{key}: {value} would be replaced; write the value itself")
        if "\0" in value:
            raise TypeError(f"{key}: a text with the character NUL")
    return lists_of_texts(Config, rename_old_names({str(key): value for key, value in tree.items()}))


def _check_numbers(config: Config) -> None:
    """Raise ConfigError on a number outside its bounds. The model checks its own (``models/lipnet.py``)."""
    for section in ("crop", "data", "augment", "train", "run"):
        for key, value in dataclasses.asdict(getattr(config, section)).items():
            if isinstance(value, (int, float)):
                _check_number(section, key, value)


def _check_number(section: str, key: str, value: float) -> None:
    is_fraction = key in FRACTIONS or (section == "augment" and isinstance(value, float))
    low = -math.inf if key in SIGNED else int(key in COUNTS)
    high = 1 if is_fraction else HIGHEST.get(key, sys.float_info.max)
    if low <= value <= high:
        return
    bounds = "0 to 1" if is_fraction else f"{low} or more" if not value > high else f"at most {high:.10g}"
    if value > high and key not in HIGHEST and not is_fraction:
        bounds = "a finite number"
    is_long = isinstance(value, int) and abs(value) >= 1e18  # perhaps thousands of digits
    shown = "" if is_long else f" {value:.10g}"
    raise ConfigError(f"{section}.{key}{shown}: give {bounds}")


def _explain(error: OmegaConfBaseException) -> str:
    """OmegaConf's message in one line; for an unknown key, with the nearest known one."""
    key = str(getattr(error, "full_key", "") or "").partition("[")[0]  # without a list index
    known = _keys(Config)
    sections = [entry.name for entry in dataclasses.fields(Config)]
    if key and key not in known + sections:
        same_leaf = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
        nearest = difflib.get_close_matches(key, same_leaf or known + sections, n=1, cutoff=0.0)[0]
        return f"unknown key {key!r}; did you mean {nearest!r}?"
    reason = str(error.msg or error).splitlines()[0]
    return f"{key}: {reason}" if key else reason


def _keys(section: Any, prefix: str = "") -> list[str]:
    """Dotted names of all settings below a dataclass."""
    hints = get_type_hints(section)
    names = []
    for entry in dataclasses.fields(section):
        kind = hints[entry.name]
        name = f"{prefix}{entry.name}"
        names += _keys(kind, f"{name}.") if dataclasses.is_dataclass(kind) else [name]
    return names
