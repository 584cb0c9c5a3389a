"""TensorBoard logging of a run: settings, losses, error rates, predictions, figures and crops."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams
from tqdm import tqdm

from lipnet.data.dataset import Batch
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.device import Device
from lipnet.grid import FRAME_RATE
from lipnet.tokenizer import Tokenizer
from lipnet.training.engine import Step
from lipnet.training.evaluation import Emitted, Evaluation
from lipnet.training.run_dir import RunDir
from lipnet.training.tensorboard.errors import is_grid, letter_confusions, slot_errors
from lipnet.training.tensorboard.figures import confusion_matrix, error_bars, posteriorgram
from lipnet.training.tensorboard.tables import charts_of, prediction_table, settings_of
from lipnet.utils.files import as_bytes

GIB = 2**30  # bytes
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
    """Writes the settings, curves, predictions, figures and crops of a run. Use as a context manager.

    Nothing is lost or counted twice when a run is killed and continued, as long as `flush` is called before
    an epoch is saved: what the file holds of steps after the last saved epoch is dropped on resuming.
    """

    def __init__(self, run: RunDir, splits: Collection[str], device: Device) -> None:
        """``splits``: names of the dev lists."""
        self.is_off = not run.writes  # also after the file could not be written
        self._device, self._model = device, run.config.model
        # The writer's thread hands its error over; printed by Python too, it would be a traceback.
        self._excepthook, threading.excepthook = threading.excepthook, self._on_thread_error
        self._open(run, splits)

    def __enter__(self) -> TensorBoardLogger:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(completed=kind is None)
        threading.excepthook = self._excepthook

    def _on_thread_error(self, error: threading.ExceptHookArgs) -> None:
        if not isinstance(error.exc_value, OSError):
            self._excepthook(error)

    @_if_writable
    def _open(self, run: RunDir, splits: Collection[str]) -> None:
        # The crops are at step 0, which a run without a complete epoch writes again.
        self._writer = SummaryWriter(str(run.path), purge_step=run.step + 1 if run.step else 0)
        self._writer.add_custom_scalars(charts_of(map(_utf8, splits), self._device.is_gpu))
        # The table's columns of results are the last values of the curves: without a summary of the
        # experiment, which would name those of one run only, TensorBoard takes them from all runs.
        values = settings_of(run.config).items()
        settings = {key: _utf8(value) if isinstance(value, str) else value for key, value in values}
        _, started, self._completed = hparams(settings, {})
        self._writer._get_file_writer().add_summary(started)

    @_if_writable
    def _close(self, completed: bool) -> None:
        if completed:
            self._writer._get_file_writer().add_summary(self._completed)
        self._writer.close()

    @_if_writable
    def flush(self) -> None:
        """Write what was logged, all of it, into the file."""
        self._writer.flush()

    @_if_writable
    def log_step(self, number: int, step: Step) -> None:
        """Add the measurements of optimisation step ``number`` to the curves."""
        self._writer.add_scalar("train/loss", step.loss, number)
        self._writer.add_scalar("train/ctc", step.ctc, number)
        self._writer.add_scalar("train/words", step.words, number)
        self._writer.add_scalar("train/learning_rate", step.lr, number)
        self._writer.add_scalar("train/gradient_norm", step.grad_norm, number)
        self._writer.add_scalar("train/clips_per_second", step.clips / step.seconds, number)
        if self._device.is_gpu:  # the most so far, which its allocator knows without waiting for the GPU
            peak = torch.cuda.max_memory_allocated(self._device.torch_device)
            self._writer.add_scalar("train/gpu_memory_gib", peak / GIB, number)

    @_if_writable
    def log_evaluation(self, number: int, split: str, evaluation: Evaluation) -> None:
        """Add a dev split's error rates after step ``number``, its predictions at even distances in it, and
        figures of its errors by letter and by slot."""
        split = _utf8(split)
        self._writer.add_scalar(f"{split}/cer", evaluation.counts.cer, number)
        self._writer.add_scalar(f"{split}/wer", evaluation.counts.wer, number)
        self._writer.add_scalar(f"{split}/loss", evaluation.loss, number)
        predicted = [best.text for best in evaluation.predictions]
        texts = list(zip(evaluation.targets, predicted, strict=True))
        table = prediction_table(evaluation.names, texts)
        self._writer.add_text(f"{split}/predictions", _utf8(table), number)
        labels, counts = letter_confusions(texts)
        if labels:
            what = "spoken letters" if is_grid(texts) else "characters"
            title = f"{split}: {what}, step {number}"
            self._add_figure(f"{split}/letters", confusion_matrix(counts, labels, title), number)
        slots, errors, words = slot_errors(texts)
        if slots:
            title = f"{split}: word errors by position, step {number}"
            self._add_figure(f"{split}/slots", error_bars(errors, words, slots, title), number)

    @_if_writable
    def log_posteriorgrams(self, number: int, split: str, batch: Batch, clips: Sequence[Emitted]) -> None:
        """Draw the emissions of a batch of a dev split's clips after step ``number``."""
        tokenizer = Tokenizer(self._model.alphabet)
        decoder, rate = GreedyDecoder(tokenizer), FRAME_RATE * self._model.outputs_per_frame
        labels = zip(batch.names, batch.sentences, clips, strict=True)
        for place, (name, target, clip) in enumerate(labels, start=1):
            [[best]] = decoder(clip.log_probs[None], [len(clip.log_probs)])
            title = _utf8(f"{name}, step {number}")
            figure = posteriorgram(clip.log_probs, ["", *tokenizer.alphabet], rate, title, target, best.text)
            self._add_figure(f"{_utf8(split)}/posteriorgram_{place}", figure, number)

    @_if_writable
    def log_crops(self, frames: Tensor) -> None:
        """Show one augmented clip, (T, H, W, 3) uint8 RGB, as a grid of every third frame, row by row."""
        from torchvision.utils import make_grid  # here, since nothing else needs torchvision

        pictures = frames[::CROP_STEP].permute(0, 3, 1, 2)  # (N, 3, H, W)
        self._writer.add_image("crops", make_grid(pictures, nrow=CROP_COLUMNS, pad_value=255).numpy(), 0)

    def _add_figure(self, tag: str, picture: np.ndarray, number: int) -> None:
        self._writer.add_image(tag, picture, number, dataformats="HWC")


def _utf8(text: str) -> str:
    """A text for TensorBoard, which takes UTF-8 only; a path need not be."""
    return as_bytes(text).decode()
