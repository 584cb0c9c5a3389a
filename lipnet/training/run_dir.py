"""A run folder: what training leaves behind, and what it continues from.

``config.yaml``, ``log.jsonl`` (a line an epoch), ``best.safetensors``, ``last.safetensors`` and
``resume.pt``, beside TensorBoard's files. All is saved when an epoch ends; a run that is killed, at any
moment, continues after the last epoch that ended, and on a CPU repeats the same numbers bit for bit.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lipnet.config import Config
from lipnet.data.dataset import ClipDataset
from lipnet.errors import ConfigError
from lipnet.grid import is_grid_sentence, natural_key
from lipnet.models.checkpoint import Metadata, load_resume, save_resume, save_weights, source_revision
from lipnet.settings import load_config, rename_old_names, save_config
from lipnet.training.engine import Evaluation, Step
from lipnet.training.optim import TrainState
from lipnet.utils.files import write_atomically


class RunDir:
    """The progress of one training run."""

    def __init__(self, path: Path, config: Config) -> None:
        self.path, self.config = path, config
        self.epoch = 0  # epochs that have ended
        self.step = 0  # optimisation steps taken in them
        self.best = math.inf  # lowest mean WER over the dev splits so far, a fraction
        self.pretrained_info: dict[str, Any] = {}  # what the weights that it began with say of themselves
        self._revision = source_revision()  # now: the source may change while it runs
        self._learner_state: dict[str, Any] | None = None

    @classmethod
    def create(cls, config: Config) -> RunDir:
        """A new run in ``config.run.dir``. Raises ConfigError where that is not set, or holds a run."""
        if not config.run.dir:
            raise ConfigError("run.dir is not set: name the new run's folder, such as run.dir=runs/a")
        path = Path(config.run.dir)
        if (path / "resume.pt").exists():  # a run that ended no epoch has nothing to lose
            raise ConfigError(
                f"{path} holds a run: continue it with --resume {path}, or name another run.dir"
            )
        return cls(path, config)

    @classmethod
    def resume(cls, path: Path) -> RunDir:
        """The run in ``path`` as it was when its last epoch ended. Raises ConfigError where there is none."""
        if not (path / "config.yaml").exists():
            raise ConfigError(f"{path}: no run to resume; start one with --config FILE run.dir={path}")
        run = cls(path, load_config(path / "config.yaml"))
        if (path / "resume.pt").exists():
            state = rename_old_names(load_resume(path / "resume.pt"))
            run.epoch, run.step, run.best = state["epoch"], state["step"], state["best"]
            run.pretrained_info = state.get("pretrained_info", {})
            run._learner_state = state["train_state"]
        return run

    def begin(self, train_state: TrainState) -> None:
        """Write down the config, and bring a newly built train_state to where this run is.

        Raises ConfigError where no folder can be made, or an edited config does not fit the saved state.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.path}: no folder can be made ({error.strerror}); name another run.dir"
            ) from error
        save_config(self.config, self.path / "config.yaml")
        if self._learner_state is not None:
            try:
                train_state.load_state_dict(self._learner_state)
            except (KeyError, ValueError, RuntimeError) as error:
                raise ConfigError(
                    f"{self.path}/config.yaml: the saved state does not fit; put model, train.ema and "
                    "train.optimizer back as they were, or start a new run"
                ) from error
            self._learner_state = None

    def end_epoch(
        self,
        train_state: TrainState,
        train_set: ClipDataset,
        steps: list[Step],
        evaluations: dict[str, Evaluation],
        seconds: float,
    ) -> dict[str, Any]:
        """Save everything that an epoch made; without ``evaluations`` it cannot be the best one.

        Returns:
            The line that was added to the log.
        """
        self.epoch += 1
        self.step += len(steps)
        line = log_line(self.epoch, self.step, steps, evaluations, seconds)
        metadata = Metadata(
            self.config.model,
            train_set.corpus.crop,
            self._info(train_set, line["dev"]),
            grid=all(is_grid_sentence(clip.sentence.split()) for clip in train_set.clips),
        )
        weights = train_state.averaged.state_dict()
        save_weights(self.path / "last.safetensors", weights, metadata)
        score = mean_wer(evaluations)
        if score < self.best or math.isinf(self.best):  # until there is a score, the newest is the best
            self.best = score
            save_weights(self.path / "best.safetensors", weights, metadata)
        self._append_to_log(line)
        # Last, so that a run killed in between does this epoch once more.
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "best": self.best,
            "pretrained_info": self.pretrained_info,
            "train_state": train_state.state_dict(),
        }
        save_resume(self.path / "resume.pt", state)
        return line

    def _info(self, train_set: ClipDataset, dev: dict[str, Any]) -> dict[str, Any]:
        """What the weights should tell of where they come from."""
        own, mixed = train_set.clips[: train_set.main], train_set.clips[train_set.main :]
        speakers = {Path(clip.speaker).name for clip in own}
        others = {Path(clip.speaker).name for clip in train_set.corpus.clips.values()} - speakers
        if mixed and Path(self.config.data.mix_root).resolve() == train_set.corpus.root.resolve():
            others -= {Path(clip.speaker).name for clip in mixed}
        others -= set(self.pretrained_info.get("train_speakers", []))
        return {
            "epoch": self.epoch,
            "revision": self._revision,
            "train_split": self.config.data.train_split,
            "train_clips": len(own),
            "mixed_in_clips": len(mixed),
            "pretrained": {"weights": self.config.pretrained, **self.pretrained_info}
            if self.config.pretrained
            else None,
            "train_speakers": sorted(speakers, key=natural_key),
            "held_out_speakers": sorted(others, key=natural_key),
            "dev": dev,
            "recipe": {
                name: asdict(getattr(self.config, name)) for name in ("data", "augment", "train", "run")
            },
        }

    def _append_to_log(self, line: dict[str, Any]) -> None:
        log = self.path / "log.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        lines = [*lines[: self.epoch - 1], json.dumps(line)]
        write_atomically(log, "".join(f"{text}\n" for text in lines).encode())


def log_line(
    epoch: int, step: int, steps: list[Step], evaluations: dict[str, Evaluation], seconds: float
) -> dict[str, Any]:
    """An epoch as JSON: means over its steps, and what each dev split scored."""

    def mean(values: list[float]) -> float:
        return round(sum(values) / max(len(values), 1), 5)

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
    """What chooses the best epoch: the mean of the dev splits' WER; infinite without any."""
    rates = [evaluation.counts.wer for evaluation in evaluations.values()]
    return sum(rates) / len(rates) if rates else math.inf
