"""Train LipNet on stored mouth crops. Everything is written into one run directory."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor
from tqdm import tqdm

from lipnet.data.dataset import ClipDataset, SampleKey
from lipnet.data.loading.loaders import collate
from lipnet.data.pixel_transforms import augment_pixels
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.device import Device, choose_device, keep_freed_memory
from lipnet.errors import ConfigError
from lipnet.models.flops import count_flops, count_parameters
from lipnet.models.lipnet import LipNet
from lipnet.settings import Settings
from lipnet.training.data import Data, open_data, print_unalignable
from lipnet.training.engine import Step, train_one_epoch
from lipnet.training.evaluation import Evaluation, evaluate
from lipnet.training.optim import TrainState
from lipnet.training.pretrained import Pretrained, load_pretrained, origin, start_from
from lipnet.training.run_dir import RunDir
from lipnet.training.tensorboard import TensorBoardLogger
from lipnet.utils.cli import command_line, make_parser

EXAMPLES = """examples:
  Train the paper's LipNet on its overlapped split, and continue the run if it was killed:
    %(prog)s --config configs/paper.yaml data.root=data/grid run.dir=runs/paper \\
        data.train_split=overlapped_fit 'data.dev_splits=[overlapped_dev]'
    %(prog)s --resume runs/paper
  Start from other weights, with smaller batches and a lower learning rate:
    %(prog)s --config configs/grid.yaml data.root=data/grid run.dir=runs/b \\
        pretrained=runs/a/best.safetensors data.batch_size=4 train.lr=5e-4
"""
SEED_STRIDE = 100_003  # between the seeds of two runs, so that no epochs of them have the same seed


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    parser.add_argument(
        "overrides", nargs="*", help="section.key=value settings, which override the config file's"
    )
    parser.add_argument("--config", type=Path, help="recipe, such as configs/grid.yaml")
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="continue this run directory with its own config"
    )
    args = parser.parse_intermixed_args()
    if args.resume and (args.config or args.overrides):
        parser.error("--resume takes the config from the run directory; edit config.yaml there to change it")
    return args


@command_line
def main() -> int:
    args = parse_arguments()
    run, pretrained = resumed_run(args.resume) if args.resume else new_run(args.config, args.overrides)
    device = choose_device(run.config.run.device, run.config.run.precision)
    if device.torch_device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(run.config.run.seed)
    data = open_data(run.config, pin=device.torch_device.type == "cuda")
    print_unalignable(data, run.config.model.outputs_per_frame)
    model = LipNet(run.config.model).place(device.torch_device)
    if pretrained is not None:
        data.train_set.corpus.check_crop(pretrained.metadata.crop, f"{pretrained.path} needs")
        random = start_from(pretrained, model, run.config.train.freeze)
        run.pretrained_info = origin(pretrained.metadata.info)
        remark = f"; randomly initialised: {', '.join(random)}" if random else ""
        print(f"starting from {pretrained.path}{remark}")
    with run.lock():
        train(run, model, data, device)
    return 0


# Settings and pretrained weights


def new_run(recipe: Path | None, overrides: Sequence[str]) -> tuple[RunDir, Pretrained | None]:
    """A new run. Its model is that of the pretrained weights, unless settings change it."""
    for override in overrides:
        if override.startswith("crop."):
            raise ConfigError(f"{override}: crops are stored already; give this to scripts/preprocess.py")
    settings = Settings(recipe, overrides)
    pretrained = load_pretrained(settings.pretrained)
    config = settings.config(model=None if pretrained is None else pretrained.metadata.model)
    if pretrained is None and config.train.freeze:
        raise ConfigError("train.freeze: there are no weights to keep; give pretrained=WEIGHTS")
    return RunDir.create(config), pretrained


def resumed_run(path: Path) -> tuple[RunDir, Pretrained | None]:
    """The run in ``path``; it needs its pretrained weights again if its first epoch was not completed."""
    run = RunDir.resume(path)
    return run, load_pretrained(run.config.pretrained) if run.epoch == 0 else None


# Training


def train(run: RunDir, model: LipNet, data: Data, device: Device) -> None:
    """Train ``model`` from the run's last complete epoch to the end."""
    config = run.config
    items = [data.sampler.items(epoch) for epoch in range(config.train.epochs)]
    train_state = TrainState(model, config.train, sum(map(data.sampler.steps, items)))
    run.begin(train_state, data.train_set)
    print_summary(run, model, data, device)
    with TensorBoardLogger(run) as logger, progress_bar(run, items) as bar:
        if run.epoch == 0 and "pixels" in data.train_set.streams:
            logger.log_crops(example_clip(data.train_set))
        while run.epoch < config.train.epochs:
            started = time.perf_counter()
            steps = train_epoch(run, train_state, data, device, logger, bar)
            seconds = time.perf_counter() - started
            evaluations = evaluate_epoch(run, train_state, data, device)
            line = run.end_epoch(train_state, data.train_set, steps, evaluations, seconds)
            for name, evaluation in evaluations.items():
                logger.log_evaluation(run.step, name, evaluation)
                scores = evaluation.counts.summary("greedy")
                bar.write(f"epoch {run.epoch}  loss {line['loss']:.3f}  {name} {scores}")


def train_epoch(
    run: RunDir,
    train_state: TrainState,
    data: Data,
    device: Device,
    logger: TensorBoardLogger,
    bar: tqdm[NoReturn],
) -> list[Step]:
    """Train the run's next epoch, logging each step."""
    config = run.config
    # The random numbers of an epoch depend on nothing before it, so that a resumed run draws the same.
    torch.manual_seed(config.run.seed * SEED_STRIDE + run.epoch)
    data.sampler.epoch = run.epoch
    steps: list[Step] = []
    for step in train_one_epoch(train_state, data.train, config.train, config.augment, device):
        steps.append(step)
        logger.log_step(run.step + len(steps), step)
        bar.set_postfix(epoch=run.epoch + 1, loss=f"{step.loss:.3f}", refresh=False)
        bar.update(step.clips)
    return steps


def evaluate_epoch(run: RunDir, train_state: TrainState, data: Data, device: Device) -> dict[str, Evaluation]:
    """Evaluate the dev splits after every ``train.eval_every`` epochs and after the last one."""
    epoch = run.epoch + 1
    if epoch < run.config.train.epochs and epoch % run.config.train.eval_every:
        return {}
    decoder = GreedyDecoder(data.train_set.tokenizer)
    return {name: evaluate(train_state.averaged, split, decoder, device) for name, split in data.dev.items()}


def print_summary(run: RunDir, model: LipNet, data: Data, device: Device) -> None:
    size = f"{count_parameters(model) / 1e6:.2f} M parameters"
    cost = f"{count_flops(model.config) / 1e9:.1f} GFLOP per clip"
    mixed = len(data.train_set) - data.train_set.main
    print(f"{run.path}: {size}, {cost}, on {device}, {run.epoch} epochs done")
    clips = f"{data.train_set.main} training clips, {mixed} to mix in"
    print(f"{clips}; evaluated on {', '.join(data.dev) or 'nothing'}")


def progress_bar(run: RunDir, items: Sequence[int]) -> tqdm[NoReturn]:
    """Clips per second and remaining time of the whole run; ``items``: of each epoch."""
    return tqdm(
        total=sum(items), initial=sum(items[: run.epoch]), unit="clip", smoothing=0.02, dynamic_ncols=True
    )


def example_clip(train_set: ClipDataset) -> Tensor:
    """The first training clip after augmentation: (T, H, W, 3) uint8 RGB."""
    assert train_set.augment is not None
    batch = collate([train_set[SampleKey(0)]])
    return augment_pixels(batch.frames, train_set.augment, batch.mirrored)[0]


if __name__ == "__main__":
    sys.exit(main())
