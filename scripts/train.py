"""Train LipNet on stored mouth crops. Everything is written into one run directory."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from lipnet.config import Config
from lipnet.data.crop_store import CropStore, StoredClip, without_speakers
from lipnet.data.dataset import ClipDataset, Sample, SampleKey
from lipnet.data.loaders import EpochSampler, collate, eval_loader, train_loader
from lipnet.data.transforms import augment_pixels
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.device import Device, choose_device, keep_freed_memory
from lipnet.errors import ConfigError
from lipnet.models.flops import count_flops, count_parameters
from lipnet.models.lipnet import LipNet
from lipnet.settings import Settings
from lipnet.tokenizer import Tokenizer
from lipnet.training.engine import Evaluation, Step, evaluate, train_one_epoch
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
NAMED_CLIPS = 3  # in a message about many
SEED_STRIDE = 100_003  # between the seeds of two runs, so that no epochs of them have the same seed


class Data(NamedTuple):
    """The training data, and the dev splits by the names of their lists."""

    train_set: ClipDataset
    sampler: EpochSampler
    train: DataLoader[Sample]
    dev: dict[str, DataLoader[Sample]]


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


# Data


def open_data(config: Config, pin: bool) -> Data:
    """Datasets and loaders of the splits that the config names; ``pin``: in page-locked memory."""
    corpus = open_corpus(config)
    tokenizer, inputs = Tokenizer(config.model.alphabet), (config.model.streams, config.model.landmark_input)
    clips = without_speakers(corpus.split(config.data.train_split), config.data.leave_out)
    mixed_in = open_mixed(config, corpus)
    train_set = ClipDataset(corpus, clips, tokenizer, config.augment, config.run.seed, mixed_in, *inputs)
    sampler = EpochSampler(train_set, config.data.batch_size, config.data.balance, config.data.mix)
    dev = {}
    for split in config.data.dev_splits:
        dev_set = ClipDataset(corpus, corpus.split(split), tokenizer, None, 0, None, *inputs)
        if Path(split).stem in dev:
            raise ConfigError(f"data.dev_splits: two lists are called {Path(split).stem}; rename one")
        dev[Path(split).stem] = eval_loader(dev_set, config.data.batch_size, config.data.workers, pin)
    return Data(train_set, sampler, train_loader(sampler, config.data.workers, pin), dev)


def open_corpus(config: Config) -> CropStore:
    """The crop store. Raises LipnetError if there is none, or its crops are not of the model's size."""
    if not config.data.root:
        raise ConfigError("data.root is not set: name the crop store that scripts/preprocess.py wrote")
    corpus = CropStore(config.data.root)
    crop, model = corpus.crop, config.model
    if (crop.height, crop.width) != (model.height, model.width):
        raise ConfigError(
            f"{corpus.root} has crops of {crop.width}x{crop.height} px, the model reads "
            f"{model.width}x{model.height}: set model.width and model.height, or preprocess again"
        )
    return corpus


def open_mixed(config: Config, corpus: CropStore) -> tuple[CropStore, list[StoredClip]] | None:
    """The crop store that is mixed in and its clips, if the config names one."""
    if not config.data.mix_root:
        return None
    mixed = CropStore(config.data.mix_root)
    mixed.check_crop(corpus.crop, f"the crops in {corpus.root} need")
    return mixed, [c for c in mixed.split(config.data.mix_split) if c.speaker not in config.data.leave_out]


def print_unalignable(data: Data, steps_per_frame: int) -> None:
    """Count and name the clips whose text is longer than CTC can align to their frames.

    Raises ConfigError if no training clip is left.
    """
    dev_sets = {name: cast(ClipDataset, loader.dataset) for name, loader in data.dev.items()}
    for name, clips in {"training": data.train_set, **dev_sets}.items():
        found = clips.unalignable(steps_per_frame)
        some = ", ".join(f"{clip.name} ({len(clip.sentence)} characters)" for clip in found[:NAMED_CLIPS])
        message = (
            f"{len(found)} of {len(clips)} {name} clips have longer texts than CTC can align to their "
            f"frames, such as {some}"
        )
        remedy = "correct their transcripts, or raise model.outputs_per_frame"
        if clips is data.train_set and len(found) == len(clips):
            raise ConfigError(f"{message}; {remedy}")
        if found:
            print(f"{message}: left out of the loss; {remedy}")


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
