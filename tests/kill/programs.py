"""The programs that are killed: how they are started and continued, and what a complete run has written."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file

from lipnet.data.crop_store import CropStore
from lipnet.data.crop_store.index import SUFFIX
from lipnet.data.splits import RECORD
from lipnet.synthetic.corpus import plan_corpus, write_corpus

from .moments import Moment

SCRIPTS = Path(__file__).parents[2] / "scripts"
SPEAKERS, SENTENCES = 3, 4
CROP = ("crop.method=fixed", "crop.box=[190,236,140,220]", "crop.width=24", "crop.height=16")
MODEL = ("model.width=24", "model.height=16", "model.channels=[4,4,4]", "model.hidden=8")
TRAINING = (
    "model.norm=batch",
    "model.word_heads=true",
    "data.batch_size=2",
    "data.dev_splits=[dev_seen]",
    "augment.splice=0.5",
    "augment.shift=2",
    "augment.trim=0.6",
    "train.epochs=5",
    "train.lr=0.01",
    "train.ema=0.9",
    "run.device=cpu",
)
# One process after the other would be in the way of signals to their parent.
STEPS = """
import runpy, sys
script, *arguments = sys.argv[1:]
for step in ("--shard=1/2", "--shard=2/2", "--merge"):
    sys.argv = [script, *arguments, step]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""
TIMES = {"seconds", "clips_per_second"}  # of an epoch in the log: they differ between any two runs


class Program(Protocol):
    name: str
    codes: frozenset[int]  # exit codes after a worker process was killed

    def command(self, out: Path, moment: Moment | None) -> list[object]:
        """The command that writes into the folder ``out``, or continues what is there."""

    def differences(self, reference: Path, out: Path, moment: Moment) -> list[str]:
        """Where a run that was killed and continued differs from an uninterrupted one."""


class Preprocess:
    """All files of the crop store are the same, byte for byte.

    A clip whose worker process was killed is left out by the first run, and appended by the second one: after
    that, the crops and the labels of each clip are compared instead of the arrays and the indexes, and the
    record of the lists is not compared, since it keeps those of the first run.
    """

    name = "preprocess"
    codes = frozenset({0, 1})  # 1: a clip was left out

    def __init__(self, corpus: Path) -> None:
        self.corpus = corpus
        write_corpus(plan_corpus(corpus, SPEAKERS, SENTENCES, 0, 1), workers=2)

    def command(self, out: Path, _: Moment | None) -> list[object]:
        return [
            *(sys.executable, SCRIPTS / "preprocess.py", self.corpus, "--out", out, "--workers", 2),
            *CROP,
        ]

    def differences(self, reference: Path, out: Path, moment: Moment) -> list[str]:
        names = _different_files(reference, out)
        if moment.target == "worker":
            names = [name for name in names if not name.endswith((".u8", SUFFIX, RECORD))]
            names += _different_clips(CropStore(reference), CropStore(out))
        return names


class Shards(Preprocess):
    """Two shards and then their merge, which writes in the order of the corpus whatever was killed."""

    name = "shards"

    def command(self, out: Path, moment: Moment | None) -> list[object]:
        _, *command = super().command(out, moment)
        return [sys.executable, "-c", STEPS, *command]

    def differences(self, reference: Path, out: Path, _: Moment) -> list[str]:
        return _different_files(reference, out)


class Train:
    """The losses and error rates in the log are the same digit for digit, all tensors bit for bit."""

    name = "train"
    codes = frozenset({0, 2})

    def __init__(self, store: Path) -> None:
        self.store = store

    def command(self, out: Path, moment: Moment | None) -> list[object]:
        start = [sys.executable, SCRIPTS / "train.py"]
        if (out / "config.yaml").exists():
            return [*start, "--resume", out]
        loaders = moment.loaders if moment else 0
        settings = (f"data.root={self.store}", f"run.dir={out}", f"data.workers={loaders}")
        return [*start, *settings, *MODEL, *TRAINING]

    def differences(self, reference: Path, out: Path, _: Moment) -> list[str]:
        names = _run_files(reference) ^ _run_files(out)
        if _log(reference) != _log(out):
            names.add("log.jsonl")
        for name in ("best.safetensors", "last.safetensors"):
            expected, found = load_file(reference / name), load_file(out / name)
            if expected.keys() != found.keys() or not all(
                torch.equal(tensor, found[key]) for key, tensor in expected.items()
            ):
                names.add(name)
        return sorted(names)


def _files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _different_files(expected: Path, found: Path) -> list[str]:
    before, after = _files(expected), _files(found)
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _run_files(folder: Path) -> set[str]:
    """Names of a run's files; those of TensorBoard, one of each process, do not count."""
    return {path.name for path in folder.iterdir() if not path.name.startswith("events.")}


def _different_clips(expected: CropStore, found: CropStore) -> list[str]:
    different = sorted(expected.clips.keys() ^ found.clips.keys())
    for name in expected.clips.keys() & found.clips.keys():
        first, second = expected.clips[name], found.clips[name]
        same_labels = first == replace(second, start=first.start)
        if not same_labels or not np.array_equal(expected.crops(first), found.crops(second)):
            different.append(name)
    return different


def _log(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]
