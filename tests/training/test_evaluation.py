"""Evaluation: the order of its results, and decoding by other processes."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from tiny import SCRIPTS, dataset, tiny_model
from train_steps import CPU

from lipnet.data.loading.loaders import eval_loader
from lipnet.decoding.base import Decoder, Hypothesis
from lipnet.decoding.beam_search import BeamSearchDecoder
from lipnet.decoding.grammar import GRID_SLOTS, GrammarDecoder
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.errors import LipnetError
from lipnet.models.lipnet import LipNet
from lipnet.tokenizer import DEFAULT_TOKENIZER
from lipnet.training.evaluation import evaluate

DECODERS = {
    "greedy": GreedyDecoder(DEFAULT_TOKENIZER),
    "beam": BeamSearchDecoder(DEFAULT_TOKENIZER, n_best=1),
    "grammar": GrammarDecoder(DEFAULT_TOKENIZER, GRID_SLOTS, 1),
}


@pytest.fixture(scope="module")
def model() -> LipNet:
    torch.manual_seed(0)
    model = LipNet(tiny_model(word_heads=True, outputs_per_frame=2))
    with torch.no_grad():
        model.output.weight *= 30  # so that texts are not empty
    return model


@pytest.mark.parametrize("name", DECODERS)
def test_decoding_processes_give_the_same_results(name: str, model: LipNet, crop_store: Path) -> None:
    data = dataset(crop_store, "train", augment=None)
    here, there = (evaluate(model, eval_loader(data, 2), DECODERS[name], CPU, workers) for workers in (0, 2))
    assert here == there and here.counts.sentences == 7
    assert here.names == [clip.name for clip in data.clips]
    assert here.targets == [clip.sentence for clip in data.clips]
    assert any(best.text for best in here.predictions)
    sent = pickle.loads(pickle.dumps(DECODERS[name]))  # as where processes cannot be forked
    assert evaluate(model, eval_loader(data, 2), sent, CPU) == here


def failing(
    log_probs: ArrayLike, lengths: ArrayLike, words: ArrayLike | None = None
) -> list[list[Hypothesis]]:
    """A decoder that fails with the batch of the shortest clip, of 40 frames."""
    if np.shape(log_probs)[1] == 80:
        raise ValueError("no\ntext")
    return [[Hypothesis("", 0.0)]]


def killed(
    log_probs: ArrayLike, lengths: ArrayLike, words: ArrayLike | None = None
) -> list[list[Hypothesis]]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (failing, r"^decoding s1/swiq9a: cannot be worked on \(ValueError no text\)"),
        (killed, r"^decoding s1/bbaf2n: its worker process was killed, .*fewer --workers$"),
    ],
)
def test_a_decoding_process_that_fails_names_the_clip(
    decoder: Decoder, message: str, model: LipNet, crop_store: Path
) -> None:
    data = dataset(crop_store, "train", augment=None)
    with pytest.raises(LipnetError, match=message):
        evaluate(model, eval_loader(data, 1), decoder, CPU, 2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_evaluation_that_is_killed_leaves_no_process(
    number: int, untrained_weights: Path, crop_store: Path
) -> None:
    given = ("--data", crop_store, "--split", "all", "--decoder", "lm", "--batch-size", 1, "--workers", 3)
    command = [sys.executable, SCRIPTS / "evaluate.py", "--weights", untrained_weights, *given]
    parent = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    workers: list[str] = []
    while len(workers) < 2 and parent.poll() is None:
        workers = children.read_text().split()
        time.sleep(0.01)
    parent.send_signal(number)
    assert parent.wait(timeout=30) == (143 if number == signal.SIGTERM else -number) and workers
    _, error = parent.communicate(timeout=30)  # until the last process that can write to it has ended
    assert ("ended by SIGTERM" in error) == (number == signal.SIGTERM) and "Traceback" not in error
