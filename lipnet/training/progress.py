"""The files that continue a run, ``resume.pt`` and ``log.jsonl``, and the checks of their contents."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lipnet.errors import ConfigError, LipnetError
from lipnet.models.checkpoint import load_resume, save_resume
from lipnet.settings import rename_old_names
from lipnet.utils.files import write_atomically
from lipnet.utils.schema import SchemaError, build, parse_json


@dataclass
class Progress:
    """The state of a run after its last complete epoch."""

    epoch: int  # complete epochs
    step: int  # optimisation steps in them
    best: float = field(metadata={"infinite": True})  # lowest mean WER of the dev splits; infinite: none yet
    train_state: dict[str, Any]  # of `TrainState`
    pretrained_info: dict[str, Any] = field(
        default_factory=dict
    )  # from the metadata of the pretrained weights

    def __post_init__(self) -> None:
        """Raises SchemaError on a negative count."""
        for key in ("epoch", "step", "best"):
            if getattr(self, key) < 0:
                raise SchemaError(f"{key}: {getattr(self, key)} is negative")


def save_progress(path: Path, progress: Progress) -> None:
    """Write ``resume.pt``, atomically."""
    save_resume(path, {entry.name: getattr(progress, entry.name) for entry in fields(Progress)})


def load_progress(path: Path) -> Progress:
    """Read ``resume.pt``. Raises LipnetError, which names the key, if it is anything else."""
    try:
        return build(Progress, rename_old_names(load_resume(path)))
    except (SchemaError, ConfigError) as error:
        raise ConfigError(
            f"{path}: not the state of a run ({error}); delete it to start the run from its beginning"
        ) from error


def read_log(path: Path, epochs: int) -> list[str]:
    """The first ``epochs`` lines of ``log.jsonl``, or fewer if it has not so many.

    Raises ConfigError if a line is not a JSON mapping in UTF-8.
    """
    lines = path.read_bytes().splitlines()[:epochs] if path.exists() else []
    texts = []
    for number, line in enumerate(lines, start=1):
        try:
            text = line.decode()
            if not isinstance(parse_json(text), dict):
                raise SchemaError("not a mapping")
        except (UnicodeDecodeError, LipnetError) as error:
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error
            raise ConfigError(
                f"{path}, line {number}: not the log of a run ({reason}); restore the file, or delete it"
            ) from error
        texts.append(text)
    return texts


def append_to_log(path: Path, line: dict[str, Any]) -> None:
    """Write an epoch as the line of its number, in place of the lines from there on. Raises as `read_log`."""
    lines = [*read_log(path, line["epoch"] - 1), json.dumps(line)]
    write_atomically(path, "".join(f"{text}\n" for text in lines).encode())
