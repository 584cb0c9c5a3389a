"""When and how a program is killed: drawn from a seed."""

from __future__ import annotations

import signal
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np

# Target of the signal, and worker processes that load the batches of `train.py`.
CASES = (
    ("parent", 2),
    ("group", 0),
    ("worker", 2),
    ("parent", 0),
    ("group", 2),
    ("group", 0),
    ("worker", 2),
    ("parent", 0),
)
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


class Moment(NamedTuple):
    """One kill of a run."""

    number: int
    signal: signal.Signals
    target: str  # parent; worker: one of its worker processes; group: all of them at once
    loaders: int  # data.workers of `train.py`
    part: float  # of the duration of an uninterrupted run, 0 to 1
    in_write: bool  # not before the next file is being written

    def __str__(self) -> str:
        moment = f"{100 * self.part:.0f} %" + (" and a file being written" if self.in_write else "")
        return f"{self.number} {self.signal.name} to the {self.target} at {moment}, {self.loaders} loaders"


def draw_moments(count: int, seed: int) -> list[Moment]:
    """Moments at random times: all targets with both signals, a third of them while a file is written."""
    rng = np.random.default_rng(seed)
    cases = islice(cycle((number, *case) for number in SIGNALS for case in CASES), count)
    return [
        Moment(number, *case, float(rng.random()), bool(rng.random() < 1 / 3))
        for number, case in enumerate(cases)
    ]
