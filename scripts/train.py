"""Train LipNet on stored mouth crops. Everything is written into one run directory."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor
from torch.profiler import profile, schedule, tensorboard_trace_handler
from tqdm import tqdm

from lipnet.data.dataset import ClipDataset, SampleKey
from lipnet.data.loading.loaders import collate
from lipnet.data.pixel_transforms import augment_pixels
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.device import Device, choose_device
from lipnet.errors import ConfigError
from lipnet.models.flops import count_flops, count_parameters
from lipnet.models.lipnet import LipNet
from lipnet.settings import Settings
from lipnet.training.data import Data, dev_examples, open_data, print_unalignable
from lipnet.training.distributed import Processes, processes
from lipnet.training.engine import Step, train_one_epoch
from lipnet.training.evaluation import Evaluation, emit, evaluate, join
from lipnet.training.optim import TrainState
from lipnet.training.pretrained import Pretrained, load_pretrained, origin, start_from
from lipnet.training.run_dir import RunDir
from lipnet.training.tensorboard.logger import TensorBoardLogger
from lipnet.utils.cli import command_line, make_parser
from lipnet.utils.log import LOG

EXAMPLES = """examples:
  Train the paper's LipNet on its overlapped split, and continue the run if it was killed:
    %(prog)s --config configs/paper.yaml data.root=data/grid run.dir=runs/paper \\
        data.train_split=overlapped_fit 'data.dev_splits=[overlapped_dev]'
    %(prog)s --resume runs/paper
  Start from other weights, with smaller batches and a lower learning rate:
    %(prog)s --config configs/grid.yaml data.root=data/grid run.dir=runs/b \\
        pretrained=runs/a/best.safetensors data.batch_size=4 train.lr=5e-4
  Train on eight GPUs of one machine, with eight times the clips of data.batch_size in each step:
    torchrun --nproc_per_node=8 scripts/train.py --config configs/grid.yaml data.root=data/grid run.dir=runs/c
"""
SEED_STRIDE = 100_003  # between the seeds of two runs, so that no epochs of them have the same seed
RANK_STRIDE = 10_000_019  # between those of two processes
UNPROFILED = 4  # first steps, which are slower than the others


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    parser.add_argument(
        "overrides", nargs="*", help="section.key=value settings, which override the config file's"
    )
    parser.add_argument("--config", type=Path, help="recipe, such as configs/grid.yaml")
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="continue this run directory with its own config"
    )
    parser.add_argument(
        "--profile",
        type=int,
        default=0,
        metavar="N",
        help=f"write a trace of N steps, after the first {UNPROFILED}, into RUN/profile, for TensorBoard",
    )
    args = parser.parse_intermixed_args()
    if args.profile < 0:
        parser.error(f"--profile {args.profile}: give 1 or more steps")
    if args.resume and (args.config or args.overrides):
        parser.error("--resume takes the config from the run directory; edit config.yaml there to change it")
    return args


@command_line
def main() -> int:
    args = parse_arguments()
    with processes() as together:
        start(args, together)
    return 0


def start(args: argparse.Namespace, together: Processes) -> None:
    """Prepare data and network in this process, and train."""
    writes = together.is_first
    if args.resume:
        run, pretrained = resumed_run(args.resume, writes)
    else:
        run, pretrained = new_run(args.config, args.overrides, writes)
    device = choose_device(together.device(run.config.run.device), run.config.run.precision)
    device.tune()
    torch.manual_seed(run.config.run.seed)
    data = open_data(run.config, device.is_gpu, together)
    print_unalignable(data, run.config.model.outputs_per_frame)
    model = LipNet(run.config.model).place(device.torch_device)
    if pretrained is not None:
        data.train_set.corpus.check_crop(pretrained.metadata.crop, f"{pretrained.path} needs")
        random = start_from(pretrained, model, run.config.train.freeze)
        run.pretrained_info = origin(pretrained.metadata.info)
        remark = f"; randomly initialised: {', '.join(random)}" if random else ""
        print(f"starting from {pretrained.path}{remark}")
    with run.lock():
        train(run, model, data, device, together, args.profile)


# Settings and pretrained weights


def new_run(recipe: Path | None, overrides: Sequence[str], writes: bool) -> tuple[RunDir, Pretrained | None]:
    """A new run. Its model is that of the pretrained weights, unless settings change it."""
    for override in overrides:
        if override.startswith("crop."):
            raise ConfigError(f"{override}: crops are stored already; give this to scripts/preprocess.py")
    settings = Settings(recipe, overrides)
    pretrained = load_pretrained(settings.pretrained)
    config = settings.config(model=None if pretrained is None else pretrained.metadata.model)
    if pretrained is None and config.train.freeze:
        raise ConfigError("train.freeze: there are no weights to keep; give pretrained=WEIGHTS")
    return RunDir.create(config, writes), pretrained


def resumed_run(path: Path, writes: bool) -> tuple[RunDir, Pretrained | None]:
    """The run in ``path``; it needs its pretrained weights again if its first epoch was not completed."""
    run = RunDir.resume(path, writes)
    return run, load_pretrained(run.config.pretrained) if run.epoch == 0 else None


# Training


def train(run: RunDir, model: LipNet, data: Data, device: Device, together: Processes, profiled: int) -> None:
    """Train ``model`` from the run's last complete epoch to the end; ``profiled``: number of steps."""
    config = run.config
    items = [data.sampler.items(epoch) for epoch in range(config.train.epochs)]
    steps = [data.sampler.steps(count) for count in items]
    train_state = TrainState(model, config.train, sum(steps), device.dtype == torch.float16, together)
    run.begin(train_state, data.train_set, sum(steps[: run.epoch]))
    if config.run.compile:
        model.compile_parts(fullgraph=together.count == 1)
    print_summary(run, model, data, device, together)
    first = run.step
    with ExitStack() as stack:
        logger = stack.enter_context(TensorBoardLogger(run, data.dev, device))
        bar = stack.enter_context(progress_bar(run, items))
        profiler = stack.enter_context(make_profiler(run, profiled)) if profiled and run.writes else None
        if run.epoch == 0 and "pixels" in data.train_set.streams:
            logger.log_crops(example_clip(data.train_set))
        while run.epoch < config.train.epochs:
            started = time.perf_counter()
            taken = train_epoch(run, train_state, data, device, logger, bar, profiler)
            seconds = time.perf_counter() - started
            evaluations = evaluate_epoch(run, train_state, data, device)
            log_evaluations(run.step + len(taken), evaluations, train_state, data, device, logger)
            line = run.end_epoch(train_state, data.train_set, taken, evaluations, seconds)
            for name, evaluation in evaluations.items():
                scores = evaluation.counts.summary("greedy")
                bar.write(f"epoch {run.epoch}  loss {line['loss']:.3f}  {name} {scores}")
    traced = max(run.step - first - UNPROFILED, 0)
    if profiler is not None and traced < profiled:
        LOG.warning(f"--profile {profiled}: {traced} steps were traced, since the run had no more")


def train_epoch(
    run: RunDir,
    train_state: TrainState,
    data: Data,
    device: Device,
    logger: TensorBoardLogger,
    bar: tqdm[NoReturn],
    profiler: profile | None,
) -> list[Step]:
    """Train the run's next epoch, logging each step."""
    config = run.config
    # The random numbers of an epoch depend on nothing before it, so that a resumed run draws the same.
    seed = config.run.seed * SEED_STRIDE + run.epoch
    torch.manual_seed(seed + train_state.processes.rank * RANK_STRIDE)
    data.sampler.epoch = run.epoch
    steps: list[Step] = []
    settings = (config.train, config.augment, device, profiler)
    for step in train_one_epoch(train_state, data.train, *settings):
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
    decoder, together = GreedyDecoder(data.train_set.tokenizer), train_state.processes
    return {
        name: join(together.gather(evaluate(train_state.averaged, split, decoder, device)))
        for name, split in data.dev.items()
    }


def log_evaluations(
    number: int,
    evaluations: dict[str, Evaluation],
    train_state: TrainState,
    data: Data,
    device: Device,
    logger: TensorBoardLogger,
) -> None:
    """Log an epoch before it is saved: if the run is killed then, nothing of it is missing."""
    for name, evaluation in evaluations.items():
        logger.log_evaluation(number, name, evaluation)
    if evaluations and not logger.is_off:
        for name, batch in dev_examples(data.dev).items():
            logger.log_posteriorgrams(number, name, batch, emit(train_state.averaged, batch, device))
    logger.flush()


def print_summary(run: RunDir, model: LipNet, data: Data, device: Device, together: Processes) -> None:
    size = f"{count_parameters(model) / 1e6:.2f} M parameters"
    cost = f"{count_flops(model.config) / 1e9:.1f} GFLOP per clip"
    mixed = len(data.train_set) - data.train_set.main
    where = f"{device}" if together.count == 1 else f"{together.count} processes, the first on {device}"
    print(f"{run.path}: {size}, {cost}, on {where}, {run.epoch} epochs done")
    clips = f"{data.train_set.main} training clips, {mixed} to mix in"
    print(f"{clips}; evaluated on {', '.join(data.dev) or 'nothing'}; loaded by {data.train.gatherer}")


def progress_bar(run: RunDir, items: Sequence[int]) -> tqdm[NoReturn]:
    """Clips per second and remaining time of the whole run; ``items``: of each epoch."""
    return tqdm(
        total=sum(items),
        initial=sum(items[: run.epoch]),
        unit="clip",
        smoothing=0.02,
        dynamic_ncols=True,
        disable=not run.writes,
    )


def make_profiler(run: RunDir, steps: int) -> profile:
    """Writes what so many steps spend their time on, for TensorBoard. Use as a context manager."""
    return profile(
        schedule=schedule(wait=UNPROFILED - 1, warmup=1, active=steps, repeat=1),
        on_trace_ready=tensorboard_trace_handler(str(run.path / "profile")),
    )


def example_clip(train_set: ClipDataset) -> Tensor:
    """The first training clip after augmentation: (T, H, W, 3) uint8 RGB."""
    assert train_set.augment is not None
    batch = collate([train_set[SampleKey(0)]])
    return augment_pixels(batch.frames, train_set.augment, batch.mirrored)[0]


if __name__ == "__main__":
    sys.exit(main())
