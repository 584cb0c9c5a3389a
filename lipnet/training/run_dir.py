"""Run directory: the configuration, checkpoints, log and resume state of one training run.

``config.yaml``, ``log.jsonl`` (one line per epoch), ``best.safetensors``, ``last.safetensors`` and
``resume.pt``, beside the files of TensorBoard. All are written when an epoch ends. A run that is killed at
any moment continues after its last complete epoch, and on a CPU repeats the same numbers bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lipnet.config import Config
from lipnet.data.dataset import ClipDataset
from lipnet.errors import CheckpointError, ConfigError
from lipnet.grid import is_grid_sentence, natural_key
from lipnet.models.checkpoint import check_finite, save_weights, source_revision
from lipnet.models.metadata import Metadata
from lipnet.settings import load_config, save_config
from lipnet.training.engine import Step
from lipnet.training.evaluation import Evaluation
from lipnet.training.optim import TrainState
from lipnet.training.progress import Progress, append_to_log, load_progress, read_log, save_progress
from lipnet.utils.files import lock_folder


class RunDir:
    """The progress of one training run."""

    def __init__(self, path: Path, config: Config, writes: bool = True) -> None:
        """``writes``: whether this process writes the files; of several that train together, one does."""
        self.path, self.config, self.writes = path, config, writes
        self.epoch = 0  # complete epochs
        self.step = 0  # optimisation steps in them
        self.best = math.inf  # lowest mean WER of the dev splits so far, a fraction
        self.pretrained_info: dict[str, Any] = {}  # from the metadata of the pretrained weights
        self._revision = source_revision()  # now: the source may change during the run
        self._saved_train_state: dict[str, Any] | None = None
        self._opened = self._resume_stamp()

    @classmethod
    def create(cls, config: Config, writes: bool = True) -> RunDir:
        """A new run in ``config.run.dir``. Raises ConfigError if that is not set or already holds a run."""
        if not config.run.dir:
            raise ConfigError("run.dir is not set: name the directory of the new run, such as run.dir=runs/a")
        path = Path(config.run.dir)
        if (path / "resume.pt").exists():  # a run without a complete epoch may be overwritten
            raise ConfigError(
                f"{path} holds a run: continue it with --resume {path}, or name another run.dir"
            )
        return cls(path, config, writes)

    @classmethod
    def resume(cls, path: Path, writes: bool = True) -> RunDir:
        """The run in ``path`` as of its last complete epoch. Raises ConfigError if there is none."""
        if not (path / "config.yaml").exists():
            raise ConfigError(f"{path}: no run to resume; start one with --config FILE run.dir={path}")
        run = cls(path, load_config(path / "config.yaml"), writes)
        if (path / "resume.pt").exists():
            progress = load_progress(path / "resume.pt")
            run.epoch, run.step, run.best = progress.epoch, progress.step, progress.best
            run.pretrained_info = progress.pretrained_info
            run._saved_train_state = progress.train_state
            read_log(path / "log.jsonl", run.epoch)  # raises now rather than after the next epoch
        return run

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing into the directory, which is created if it does not exist.
        A process that does not write into it does nothing.

        Raises LipnetError if the directory cannot be made, or another process writes into it, or has done so
        since this run was opened.
        """
        if not self.writes:
            yield
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.path}: cannot make this directory ({error.strerror}); name another run.dir"
            ) from error
        with lock_folder(self.path):
            if self._resume_stamp() != self._opened:
                raise ConfigError(
                    f"{self.path}: another process has trained this run meanwhile; continue it with "
                    f"--resume {self.path}, or name another run.dir"
                )
            yield

    def _resume_stamp(self) -> tuple[int, int] | None:
        """Size and time of the resume state; None without one."""
        path = self.path / "resume.pt"
        return (path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else None

    def begin(self, train_state: TrainState, train_set: ClipDataset, steps: int | None = None) -> None:
        """Write the configuration, with the crop settings of the data, and restore a resumed train state.

        Args:
            steps: those of the complete epochs with the batches that the run has now; None: as they were.

        Raises ConfigError if an edited config does not fit the saved state.
        """
        if self.writes:
            save_config(replace(self.config, crop=train_set.corpus.crop), self.path / "config.yaml")
        if self._saved_train_state is not None:
            try:
                train_state.load_state_dict(self._saved_train_state, steps)
                check_finite(train_state.model.state_dict())
            except (LookupError, ValueError, RuntimeError, TypeError, AttributeError) as error:
                raise ConfigError(
                    f"{self.path}/config.yaml: the saved state does not fit; restore the old model, "
                    "train.ema and train.optimizer, or start a new run"
                ) from error
            except CheckpointError as error:
                raise ConfigError(f"{self.path / 'resume.pt'}: {error}") from error
            self._saved_train_state = None

    def end_epoch(
        self,
        train_state: TrainState,
        train_set: ClipDataset,
        steps: list[Step],
        evaluations: dict[str, Evaluation],
        seconds: float,
    ) -> dict[str, Any]:
        """Save the checkpoints, the log and the resume state of an epoch, in the process that writes.

        Args:
            evaluations: of the dev splits by name; empty if the epoch was not evaluated, which then cannot
                become the best one.
            seconds: duration of the training steps.

        Returns:
            The line that was added to the log.
        """
        self.epoch += 1
        self.step += len(steps)
        line = log_line(self.epoch, self.step, steps, evaluations, seconds)
        if not self.writes:
            return line
        metadata = Metadata(
            self.config.model,
            train_set.corpus.crop,
            self._info(train_set, line["dev"]),
            grid=all(is_grid_sentence(clip.sentence.split()) for clip in train_set.clips),
        )
        weights = train_state.averaged.state_dict()
        save_weights(self.path / "last.safetensors", weights, metadata)
        wer = mean_wer(evaluations)
        if self._is_selected(wer):
            save_weights(self.path / "best.safetensors", weights, metadata)
        self.best = min(self.best, wer)
        append_to_log(self.path / "log.jsonl", line)
        progress = Progress(self.epoch, self.step, self.best, train_state.state_dict(), self.pretrained_info)
        save_progress(self.path / "resume.pt", progress)  # last: a run killed before this repeats the epoch
        return line

    def _is_selected(self, wer: float) -> bool:
        """Whether an epoch becomes best.safetensors; until one was evaluated, every epoch does."""
        return self.config.train.select == "last" or wer < self.best or math.isinf(self.best)

    def _info(self, train_set: ClipDataset, dev: dict[str, Any]) -> dict[str, Any]:
        """The part of the metadata that says how the weights were trained."""
        own, mixed = train_set.clips[: train_set.main], train_set.clips[train_set.main :]
        speakers = {Path(clip.speaker).name for clip in own}
        others = {Path(clip.speaker).name for clip in train_set.corpus.clips.values()} - speakers
        roots = [root.resolve() for root in train_set.corpus.roots]
        if mixed and Path(self.config.data.mix_root).resolve() in roots:
            others -= {Path(clip.speaker).name for clip in mixed}
        others -= set(self.pretrained_info.get("train_speakers", []))
        pretrained = {"weights": self.config.pretrained, **self.pretrained_info}
        sections = ("data", "augment", "train", "run")
        return {
            "epoch": self.epoch,
            "revision": self._revision,
            "train_split": self.config.data.train_split,
            "train_clips": len(own),
            "mixed_in_clips": len(mixed),
            "pretrained": pretrained if self.config.pretrained else None,
            "train_speakers": sorted(speakers, key=natural_key),
            "held_out_speakers": sorted(others, key=natural_key),
            "dev": dev,
            "recipe": {name: asdict(getattr(self.config, name)) for name in sections},
        }


def log_line(
    epoch: int, step: int, steps: list[Step], evaluations: dict[str, Evaluation], seconds: float
) -> dict[str, Any]:
    """An epoch as JSON: means over its steps, and the error rates of each dev split."""

    def mean(values: list[float]) -> float:
        known = [value for value in values if not math.isnan(value)]
        return round(sum(known) / max(len(known), 1), 5)

    return {
        "epoch": epoch,
        "step": step,
        "loss": mean([s.loss for s in steps]),
        "ctc": mean([s.ctc for s in steps]),
        "words": mean([s.words for s in steps]),
        "grad_norm": mean([s.grad_norm for s in steps]),
        "lr": steps[-1].lr if steps else 0.0,
        "clips_per_second": round(sum(s.clips for s in steps) / seconds, 2),
        "seconds": round(seconds, 1),
        "dev": {
            name: {
                "loss": round(evaluation.loss, 5),
                "cer": round(evaluation.counts.cer, 5),
                "wer": round(evaluation.counts.wer, 5),
                "ser": round(evaluation.counts.ser, 5),
                **asdict(evaluation.counts),
            }
            for name, evaluation in evaluations.items()
        },
    }


def mean_wer(evaluations: dict[str, Evaluation]) -> float:
    """Mean of the dev splits' word error rates, which selects the best epoch; infinite without any."""
    rates = [evaluation.counts.wer for evaluation in evaluations.values()]
    return sum(rates) / len(rates) if rates else math.inf
