"""Training in several processes, one for each GPU, that ``torchrun`` starts on one machine or more."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from lipnet.errors import ConfigError, LipnetError, TrainingError
from lipnet.utils.signals import Terminated

CONNECT_S = 300.0  # until all processes have started
LINE_S = 2.0  # in which another process has printed its error
# What gloo says where a process that it waits for has ended.
LOST = ("onnection closed", "onnection reset", "onnection refused", "roken pipe", "Gloo", "gloo", "NCCL")

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process, and how many there are. Alone, all of its methods change nothing."""

    rank: int = 0  # 0 writes the files of the run
    count: int = 1
    local_rank: int = 0  # on this machine: the number of its GPU

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this process for the setting ``run.device``. Raises ConfigError on another's."""
        if self.count == 1 or name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
            return name
        if name not in ("auto", "cuda"):
            raise ConfigError(
                f"run.device {name!r}: each of the {self.count} processes has its own; use auto"
            )
        return f"cuda:{self.local_rank}"

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, whose gradients are the means over all processes when they are computed."""
        if self.count == 1:
            return model
        with warnings.catch_warnings():
            # Newer versions of PyTorch have another name for this option, which older ones do not know.
            warnings.simplefilter("ignore", FutureWarning)
            # Buffers are the statistics of batch normalisation, which are the same in all processes.
            return nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)

    def sum_(self, values: Tensor) -> Tensor:
        """The sum of all processes' values, in place."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def gather(self, value: T) -> list[T]:
        """The values of all processes, in their order."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values


ALONE = Processes()


@contextmanager
def processes() -> Iterator[Processes]:
    """Join the processes that torchrun started; without it, this process is alone.

    Only the first one prints to standard output. An error in one process ends all of them, with one line.
    Raises ConfigError if the others cannot be reached.
    """
    count = int(os.environ.get("WORLD_SIZE", 1))
    if count == 1:
        yield ALONE
        return
    own = Processes(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_RANK", os.environ["RANK"])))
    with ExitStack() as stack:
        if not own.is_first:
            stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        store = _connect(own)
        with _one_line(store, own):
            yield own
    distributed.destroy_process_group()


def _connect(own: Processes) -> distributed.Store:
    # Objects and evaluations go over gloo, gradients on GPUs over NCCL.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(own.local_rank % torch.cuda.device_count())
    try:
        store, rank, count = next(distributed.rendezvous("env://", timeout=timedelta(seconds=CONNECT_S)))
        distributed.init_process_group(backend, store=store, rank=rank, world_size=count)
    except (RuntimeError, ValueError) as error:
        address = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise ConfigError(
            f"the {own.count} processes cannot reach each other at {address}; start them with torchrun"
        ) from error
    return store


@contextmanager
def _one_line(store: distributed.Store, own: Processes) -> Iterator[None]:
    """Of all errors and signals that end the processes, the first one is raised; the others end silently."""
    try:
        yield
    except Terminated as ended:
        if not own.is_first or not _is_first_error(store):
            raise SystemExit(128 + ended.number) from None
        raise
    except (LipnetError, OSError):
        _raise_or_exit(store)
        raise
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and not any(text in str(error) for text in LOST):
            raise
        time.sleep(LINE_S)  # the process that is lost may be about to say why
        _raise_or_exit(store)
        raise TrainingError(
            f"one of the {own.count} processes has ended, perhaps killed because memory ran out; "
            "continue the run with --resume"
        ) from error


def _raise_or_exit(store: distributed.Store) -> None:
    """Ends this process unless its error is the first one, which its caller raises."""
    if not _is_first_error(store):
        time.sleep(LINE_S)  # torchrun ends all processes as soon as one has ended
        raise SystemExit(2) from None


def _is_first_error(store: distributed.Store) -> bool:
    try:
        return bool(store.add("lipnet/errors", 1) == 1)
    except RuntimeError:  # the store is lost with the process that holds it, which had an error
        return False
