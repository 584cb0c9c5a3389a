"""TensorBoard logging of a run: losses, error rates, predictions and crops."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from lipnet.training.engine import Step
from lipnet.training.evaluation import Evaluation
from lipnet.training.run_dir import RunDir
from lipnet.utils.files import as_bytes

PREDICTIONS = 8  # shown of each dev split, beside their targets
CROP_STEP = 3  # frames between the crops of the picture: 25 of a GRID clip
CROP_COLUMNS = 5
P = ParamSpec("P")


def _if_writable(
    method: Callable[Concatenate[TensorBoardLogger, P], None],
) -> Callable[Concatenate[TensorBoardLogger, P], None]:
    """A method that does nothing once the file cannot be written; a line tells when that happens."""

    @wraps(method)
    def wrapper(logger: TensorBoardLogger, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if logger.is_off:
            return
        try:
            method(logger, *args, **kwargs)
        except OSError as error:
            logger.is_off = True
            reason = (error.strerror or "error").lower()
            line = f"warning: TensorBoard's file cannot be written ({reason}); training goes on without it"
            tqdm.write(line, file=sys.stderr)

    return wrapper


class TensorBoardLogger:
    """Writes the curves, predictions and crops of a run. Use as a context manager."""

    def __init__(self, run: RunDir) -> None:
        self.is_off = not run.writes  # also after the file could not be written
        # The writer's thread hands its error over; printed by Python too, it would be a traceback.
        self._excepthook, threading.excepthook = threading.excepthook, self._on_thread_error
        self._open(run)

    def __enter__(self) -> TensorBoardLogger:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        threading.excepthook = self._excepthook

    def _on_thread_error(self, error: threading.ExceptHookArgs) -> None:
        if not isinstance(error.exc_value, OSError):
            self._excepthook(error)

    @_if_writable
    def _open(self, run: RunDir) -> None:
        self._writer = SummaryWriter(str(run.path), purge_step=run.step + 1)

    @_if_writable
    def _close(self) -> None:
        self._writer.close()

    @_if_writable
    def log_step(self, number: int, step: Step) -> None:
        """Add the measurements of optimisation step ``number`` to the curves."""
        self._writer.add_scalar("train/loss", step.loss, number)
        self._writer.add_scalar("train/ctc", step.ctc, number)
        self._writer.add_scalar("train/words", step.words, number)
        self._writer.add_scalar("train/learning_rate", step.lr, number)
        self._writer.add_scalar("train/gradient_norm", step.grad_norm, number)
        self._writer.add_scalar("train/clips_per_second", step.clips / step.seconds, number)

    @_if_writable
    def log_evaluation(self, number: int, split: str, evaluation: Evaluation) -> None:
        """Add a dev split's error rates after step ``number``, and predictions at even distances in it."""
        split = as_bytes(split).decode()  # a path, which need not be UTF-8
        self._writer.add_scalar(f"{split}/cer", evaluation.counts.cer, number)
        self._writer.add_scalar(f"{split}/wer", evaluation.counts.wer, number)
        self._writer.add_scalar(f"{split}/loss", evaluation.loss, number)
        rows = list(zip(evaluation.names, evaluation.targets, evaluation.predictions, strict=True))
        shown = rows[:: max(1, len(rows) // PREDICTIONS)][:PREDICTIONS]
        table = ["| clip | target | prediction |", "|---|---|---|"]
        table += [f"| {name} | {target} | {best.text} |" for name, target, best in shown]
        self._writer.add_text(f"{split}/predictions", as_bytes("\n".join(table)).decode(), number)

    @_if_writable
    def log_crops(self, frames: Tensor) -> None:
        """Show one augmented clip, (T, H, W, 3) uint8 RGB, as a grid of every third frame, row by row."""
        from torchvision.utils import make_grid  # here, since nothing else needs torchvision

        pictures = frames[::CROP_STEP].permute(0, 3, 1, 2)  # (N, 3, H, W)
        self._writer.add_image("crops", make_grid(pictures, nrow=CROP_COLUMNS, pad_value=255).numpy())
