"""The log of a run: losses and error rates by epoch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from lipnet.errors import LipnetError


@dataclass
class RunLog:
    """Curves as (epoch, value)."""

    loss: list[tuple[int, float]] = field(default_factory=list)  # training loss
    wer: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # dev list -> fractions
    cer: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


def read_run_log(folder: Path) -> RunLog:
    """The curves in a run folder; those of error rates are empty if no epoch was evaluated.

    Raises LipnetError if the folder has no log, or one that cannot be read.
    """
    path = folder / "log.jsonl"
    if not path.is_file():
        raise LipnetError(f"{folder}: has no log.jsonl; give the folder of a run of scripts/train.py")
    log = RunLog()
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            epoch = int(entry["epoch"])
            log.loss.append((epoch, float(entry["loss"])))
            for name, rates in entry["dev"].items():
                log.wer.setdefault(name, []).append((epoch, float(rates["wer"])))
                log.cer.setdefault(name, []).append((epoch, float(rates["cer"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LipnetError(f"{path}: not the log of a run ({error!r}); give another --run") from error
    if not log.loss:
        raise LipnetError(f"{path}: no epoch has ended; wait for the first one, or give another --run")
    return log
