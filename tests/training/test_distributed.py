"""Several processes that train together, on CPUs: the same losses as one process, errors, kills."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import assert_same_run, log_of
from tiny import OFF, OVERRIDES, SCRIPTS, dataset, tiny_model
from torch import distributed

from lipnet.config import TrainConfig
from lipnet.data.loading.loaders import eval_loader, train_loader
from lipnet.data.loading.sampler import EpochSampler
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.device import Device
from lipnet.errors import ConfigError
from lipnet.models.lipnet import LipNet
from lipnet.training.distributed import ALONE, Processes
from lipnet.training.engine import Step, train_one_epoch
from lipnet.training.evaluation import Evaluation, evaluate, join
from lipnet.training.optim import TrainState

CONFIG = TrainConfig(epochs=2, lr=1e-3, warmup=0.0)
UNDEFINED = ("conv.bias", "running_mean", "num_batches_tracked")
RUN_S = 240  # of a whole run on a busy machine


def trained(root: Path, together: Processes, batch_size: int) -> tuple[list[Step], dict[str, Any]]:
    """The steps of two epochs, and the weights after them."""
    torch.manual_seed(0)
    model = LipNet(tiny_model(word_heads=True, norm="batch", dropout=0.0))
    sampler = EpochSampler(dataset(root, "train"), batch_size, rank=together.rank, count=together.count)
    state = TrainState(model, CONFIG, 8, processes=together)
    steps: list[Step] = []
    for epoch in range(2):
        sampler.epoch = epoch
        steps += train_one_epoch(state, train_loader(sampler), CONFIG, OFF, Device(torch.device("cpu")))
    return steps, state.state_dict()


def one_of_two(rank: int, folder: Path, root: Path) -> None:
    """What each of two processes does."""
    torch.set_num_threads(1)
    address = f"file://{folder / 'store'}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    torch.save(trained(root, Processes(rank, 2), 2), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_have_the_losses_of_one(crop_store: Path, tmp_path: Path) -> None:
    """With half of the clips of each batch, which differ in length and hence in padding."""
    # Of their own programs: a fork of a process that has trained cannot train.
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    together = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), tmp_path, crop_store],
            env=os.environ | {"PYTHONPATH": paths},
        )
        for rank in range(2)
    ]
    expected, weights = trained(crop_store, ALONE, 4)
    for rank, process in enumerate(together):
        assert process.wait(60) == 0
        steps, state = torch.load(tmp_path / f"{rank}.pt", weights_only=False)
        assert len(steps) == len(expected) == 4
        for step, alone in zip(steps, expected, strict=True):
            for name in ("loss", "ctc", "words", "lr", "clips"):
                assert getattr(step, name) == pytest.approx(getattr(alone, name), rel=0, abs=1e-5), name
            assert step.grad_norm == pytest.approx(alone.grad_norm, rel=1e-4)
        for part in ("model", "ema"):
            # Biases before batch normalisation have no gradient but rounding errors; nothing uses the count.
            names = [name for name in weights[part] if not name.endswith(UNDEFINED)]
            for name in names:
                value = weights[part][name]
                torch.testing.assert_close(state[part][name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_evaluations_of_the_parts_are_that_of_the_whole(crop_store: Path) -> None:
    model = LipNet(tiny_model()).eval()
    whole = dataset(crop_store, augment=None)

    def evaluated(rank: int, count: int) -> Evaluation:
        part = dataset(crop_store, augment=None)
        part.clips = whole.clips[rank::count]
        part._words = whole._words[rank::count]
        loader = eval_loader(part, 2)
        return evaluate(model, loader, GreedyDecoder(whole.tokenizer), Device(torch.device("cpu")))

    expected = evaluated(0, 1)
    for count in (2, 3):
        joined = join([evaluated(rank, count) for rank in range(count)])
        assert joined.counts == expected.counts
        assert (joined.names, joined.targets) == (expected.names, expected.targets)
        assert [p.text for p in joined.predictions] == [p.text for p in expected.predictions]
        assert joined.loss == pytest.approx(expected.loss, rel=1e-5)
    nothing = join([Evaluation(), Evaluation()])
    assert nothing.names == [] and math.isnan(nothing.loss)


def test_each_process_has_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [Processes(5, 8, 1).device(name) for name in ("auto", "cuda", "cpu")] == [
        "cuda:1",
        "cuda:1",
        "cpu",
    ]
    assert [ALONE.device(name) for name in ("auto", "cuda:3")] == ["auto", "cuda:3"]
    with pytest.raises(ConfigError, match="'cuda:0': each of the 8 processes has its own; use auto"):
        Processes(5, 8, 1).device("cuda:0")


# The whole program


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def start(count: int, folder: Path, *arguments: object) -> list[subprocess.Popen[str]]:
    """train.py in ``count`` processes, with the environment that torchrun gives them; output into files."""
    shared = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    shared["OMP_NUM_THREADS"] = 1
    folder.mkdir(exist_ok=True)
    started = []
    for rank in range(count):
        environment = {**os.environ, **{k: str(v) for k, v in shared.items()}}
        environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        command = [sys.executable, str(SCRIPTS / "train.py"), *map(str, arguments)]
        with open(folder / f"{rank}.out", "w") as out, open(folder / f"{rank}.err", "w") as err:
            started.append(subprocess.Popen(command, env=environment, stdout=out, stderr=err, text=True))
    return started


def codes(started: list[subprocess.Popen[str]]) -> list[int]:
    return [process.wait(RUN_S) for process in started]


def errors(folder: Path) -> list[str]:
    """The lines of all processes on standard error, without progress bars."""
    lines = [line for path in sorted(folder.glob("*.err")) for line in path.read_text().splitlines()]
    return [line for line in lines if line.strip() and "clip/s" not in line]


def settings(root: Path, run: Path) -> list[object]:
    changes = ("data.batch_size=2", "train.epochs=3", "train.lr=0.01", f"data.root={root}", f"run.dir={run}")
    return [*OVERRIDES, *changes]


@pytest.mark.slow
def test_a_killed_run_continues_with_any_number_of_processes(crop_store: Path, tmp_path: Path) -> None:
    reference, run = tmp_path / "reference", tmp_path / "run"
    assert codes(start(2, tmp_path / "a", *settings(crop_store, reference))) == [0, 0], errors(tmp_path / "a")
    assert (tmp_path / "a" / "1.out").read_text() == ""
    assert "2 processes, the first on cpu" in (tmp_path / "a" / "0.out").read_text()
    assert [line["step"] for line in log_of(reference)] == [2, 4, 6]
    started = start(2, tmp_path / "b", *settings(crop_store, run))
    while not (run / "resume.pt").exists():
        time.sleep(0.05)
        assert started[0].poll() is None, errors(tmp_path / "b")
    started[1].send_signal(signal.SIGKILL)
    assert codes(started)[1] == -signal.SIGKILL
    assert started[0].returncode in (0, 2)
    assert codes(start(2, tmp_path / "c", "--resume", run)) == [0, 0], errors(tmp_path / "c")
    assert_same_run(run, reference)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("epochs: 3", "epochs: 4"))
    assert codes(start(1, tmp_path / "d", "--resume", run)) == [0], errors(tmp_path / "d")
    *_, last = log_of(run)
    assert (last["epoch"], last["step"]) == (4, 6 + 4)


@pytest.mark.slow
def test_an_error_in_one_process_ends_all_with_one_line(crop_store: Path, tmp_path: Path) -> None:
    assert codes(start(2, tmp_path / "a", *settings(tmp_path / "absent", tmp_path / "run"))) == [2, 2]
    assert len(errors(tmp_path / "a")) == 1 and "not a crop store" in errors(tmp_path / "a")[0]
    started = start(2, tmp_path / "b", *settings(crop_store, tmp_path / "run"), "train.epochs=100000")
    while not (tmp_path / "run" / "log.jsonl").exists():
        time.sleep(0.05)
    started[1].send_signal(signal.SIGKILL)
    assert started[0].wait(60) == 2
    [line] = errors(tmp_path / "b")
    assert "one of the 2 processes has ended" in line and "--resume" in line


@pytest.mark.slow
def test_torchrun(crop_store: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    command += [str(SCRIPTS / "train.py"), *map(str, settings(crop_store, tmp_path / "run"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S)
    assert done.returncode == 0, done.stderr
    assert len(log_of(tmp_path / "run")) == 3


if __name__ == "__main__":
    one_of_two(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
