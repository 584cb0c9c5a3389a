"""What TensorBoard shows of a run."""

from __future__ import annotations

import os

import torch
from torch import Tensor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # an installed TensorFlow would chat

from torch.utils.tensorboard import SummaryWriter

from lipnet.training.engine import Evaluation, Step
from lipnet.training.run_dir import RunDir

PREDICTIONS = 8  # of each dev split, beside their targets
STRIP_EVERY = 5  # frames from one picture of the crop strip to the next


class TensorBoardLogger:
    """Writes a run's curves, predictions and crops. Use as a context manager."""

    def __init__(self, run: RunDir) -> None:
        self._writer = SummaryWriter(str(run.path), purge_step=run.step + 1)

    def __enter__(self) -> TensorBoardLogger:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def show_step(self, number: int, step: Step) -> None:
        """Curves of one optimisation step."""
        self._writer.add_scalar("train/loss", step.loss, number)
        self._writer.add_scalar("train/ctc", step.ctc, number)
        self._writer.add_scalar("train/words", step.words, number)
        self._writer.add_scalar("train/learning_rate", step.lr, number)
        self._writer.add_scalar("train/gradient_norm", step.grad_norm, number)
        self._writer.add_scalar("train/clips_per_second", step.clips / step.seconds, number)

    def show_evaluation(self, number: int, split: str, evaluation: Evaluation) -> None:
        """Error rates of a dev split after step ``number``, and predictions spread over it."""
        self._writer.add_scalar(f"{split}/cer", evaluation.counts.cer, number)
        self._writer.add_scalar(f"{split}/wer", evaluation.counts.wer, number)
        self._writer.add_scalar(f"{split}/loss", evaluation.loss, number)
        rows = list(zip(evaluation.names, evaluation.targets, evaluation.predictions, strict=True))
        spread = rows[:: max(1, len(rows) // PREDICTIONS)][:PREDICTIONS]
        table = ["| clip | target | prediction |", "|---|---|---|"]
        table += [f"| {name} | {target} | {best.text} |" for name, target, best in spread]
        self._writer.add_text(f"{split}/predictions", "\n".join(table), number)

    def show_crops(self, frames: Tensor) -> None:
        """One clip as the model sees it: (T, H, W, 3) uint8 RGB, every fifth frame, left to right."""
        strip = torch.cat(list(frames[::STRIP_EVERY]), dim=1)
        self._writer.add_image("crops", strip.numpy(), dataformats="HWC")
