"""Train LipNet on packed crops, into one run folder."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from lipnet.config import Config
from lipnet.data.crop_store import CropStore, StoredClip
from lipnet.data.dataset import ClipDataset, Sample, SampleKey
from lipnet.data.loaders import EpochSampler, collate, eval_loader, train_loader
from lipnet.data.transforms import augment_pixels
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.device import Device, choose_device, keep_freed_memory
from lipnet.errors import ConfigError
from lipnet.grid import natural_key
from lipnet.models.checkpoint import load_matching, load_weights
from lipnet.models.flops import operations, parameters
from lipnet.models.lipnet import LipNet
from lipnet.settings import Settings
from lipnet.tokenizer import Tokenizer
from lipnet.training.engine import Step, evaluate, train_one_epoch
from lipnet.training.optim import TrainState
from lipnet.training.run_dir import RunDir
from lipnet.training.tensorboard import TensorBoardLogger
from lipnet.utils.cli import one_line_errors

EXAMPLES = """examples:
  Train the paper's LipNet on its overlapped split; if it is killed, continue it:
    python scripts/train.py --config configs/paper.yaml data.root=data/grid run.dir=runs/paper \\
        data.train_split=overlapped_train
    python scripts/train.py --resume runs/paper
  Go on from other weights, with smaller batches and a lower learning rate:
    python scripts/train.py --config configs/grid.yaml data.root=data/grid run.dir=runs/b \\
        pretrained=runs/a/best.safetensors data.batch_size=4 train.lr=5e-4
"""
SEED_STRIDE = 100_003  # between the seeds of neighbouring runs, so that their epochs share none


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", help="section.key=value settings, over the config file's")
    parser.add_argument("--config", type=Path, help="recipe, such as configs/grid.yaml")
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="continue this run folder with its own config"
    )
    args = parser.parse_intermixed_args()
    if args.resume and (args.config or args.overrides):
        parser.error("--resume takes the config from the run's folder; edit its config.yaml to change it")
    return args


class Data(NamedTuple):
    """What is trained on, and the dev splits by the names of their lists."""

    train_set: ClipDataset
    sampler: EpochSampler
    train: DataLoader[Sample]
    dev: dict[str, DataLoader[Sample]]


@one_line_errors
def main() -> int:
    args = parse_arguments()
    run = RunDir.resume(args.resume) if args.resume else RunDir.create(new_config(args))
    config = run.config
    device = choose_device(config.run.device, config.run.precision)
    if device.torch_device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(config.run.seed)

    corpus = open_corpus(config)
    data = open_data(config, corpus, pin=device.torch_device.type == "cuda")
    model = LipNet(config.model).place(device.torch_device)
    if config.pretrained and run.epoch == 0:
        run.pretrained_info = load_pretrained(model, config, corpus)
    clips = [data.sampler.clips(epoch) for epoch in range(config.train.epochs)]
    train_state = TrainState(model, config.train, sum(map(data.sampler.steps, clips)))
    decoder = GreedyDecoder(data.train_set.tokenizer)
    run.begin(train_state)
    announce(run, model, data, device)
    with TensorBoardLogger(run) as logger, progress_bar(run, clips) as bar:
        if run.epoch == 0:
            logger.show_crops(example_crops(data.train_set))
        while run.epoch < config.train.epochs:
            began = time.perf_counter()
            steps = train_epoch(run, train_state, data, device, logger, bar)
            seconds = time.perf_counter() - began
            due = run.epoch + 1 == config.train.epochs or (run.epoch + 1) % config.train.eval_every == 0
            evaluations = {
                name: evaluate(train_state.averaged, split, decoder, device)
                for name, split in data.dev.items()
                if due
            }
            line = run.end_epoch(train_state, data.train_set, steps, evaluations, seconds)
            for name, evaluation in evaluations.items():
                logger.show_evaluation(run.step, name, evaluation)
                scores = evaluation.counts.summary("greedy")
                bar.write(f"epoch {run.epoch}  loss {line['loss']:.3f}  {name} {scores}")
    return 0


def new_config(args: argparse.Namespace) -> Config:
    """The config of a new run; the model is that of the weights it starts from, unless changed."""
    for override in args.overrides:
        if override.startswith("crop."):
            raise ConfigError(f"{override}: crops are as they were made; give this to scripts/preprocess.py")
    settings = Settings(args.config, args.overrides)
    if settings.pretrained:
        return settings.config(model=load_weights(settings.pretrained)[1].model)
    config = settings.config()
    if config.train.freeze:
        raise ConfigError("train.freeze: there is nothing to keep as it is; give pretrained=WEIGHTS")
    return config


def load_pretrained(model: LipNet, config: Config, corpus: CropStore) -> dict[str, Any]:
    """Take over all that fits, and print what does not. Returns what the weights say of their origin."""
    path = config.pretrained
    weights, metadata = load_weights(path)
    corpus.check_crop(metadata.crop, f"{path} needs")
    left_out = load_matching(model, weights)
    matrices = {name for name, parameter in model.named_parameters() if parameter.ndim > 1}
    if matrices <= set(left_out):
        raise ConfigError(f"{path}: nothing of these weights fits the model; leave out init, or the changes")
    for part in config.train.freeze:
        if any(name.startswith(f"{part}.") for name in left_out):
            raise ConfigError(
                f"train.freeze {part}: it begins anew and has to learn; take it out of the list"
            )
    print(f"begins with {path}" + (f"; begins anew: {', '.join(left_out)}" if left_out else ""))
    info, before = metadata.info, metadata.info.get("pretrained") or {}
    speakers = {*info.get("train_speakers", []), *(before.get("train_speakers") or [])}
    return {
        **{key: info[key] for key in ("epoch", "revision", "train_split") if key in info},
        "train_speakers": sorted(speakers, key=natural_key),  # of all runs that led to these weights
    }


def train_epoch(
    run: RunDir,
    train_state: TrainState,
    data: Data,
    device: Device,
    logger: TensorBoardLogger,
    bar: tqdm[NoReturn],
) -> list[Step]:
    """The run's next epoch, shown as it goes."""
    config = run.config
    # What an epoch draws depends on nothing before it, so that a resumed run draws the same.
    torch.manual_seed(config.run.seed * SEED_STRIDE + run.epoch)
    data.sampler.epoch = run.epoch
    steps: list[Step] = []
    for step in train_one_epoch(train_state, data.train, config.train, config.augment, device):
        steps.append(step)
        logger.show_step(run.step + len(steps), step)
        bar.set_postfix(epoch=run.epoch + 1, loss=f"{step.loss:.3f}", refresh=False)
        bar.update(step.clips)
    return steps


def open_corpus(config: Config) -> CropStore:
    """The packed crops, once they are known to fit the model."""
    if not config.data.root:
        raise ConfigError("data.root is not set: name the folder that scripts/preprocess.py wrote")
    corpus = CropStore(config.data.root)
    config.crop = corpus.crop  # the crops are made: what the run writes down is how
    crop, model = corpus.crop, config.model
    if (crop.height, crop.width) != (model.height, model.width):
        raise ConfigError(
            f"{corpus.root} has crops of {crop.width}x{crop.height} px, the model reads "
            f"{model.width}x{model.height}: set model.width and model.height, or preprocess anew"
        )
    return corpus


def open_data(config: Config, corpus: CropStore, pin: bool) -> Data:
    """Datasets and loaders of the splits that the config names."""
    tokenizer = Tokenizer(config.model.alphabet)
    clips = corpus.split(config.data.train_split)
    train_set = ClipDataset(
        corpus, clips, tokenizer, config.augment, config.run.seed, open_mixed(config, corpus)
    )
    sampler = EpochSampler(train_set, config.data.batch_size, config.data.balance, config.data.mix)
    dev = {}
    for split in config.data.dev_splits:
        dev_set = ClipDataset(corpus, corpus.split(split), tokenizer)
        if Path(split).stem in dev:
            raise ConfigError(f"data.dev_splits: two lists are called {Path(split).stem}; rename one")
        dev[Path(split).stem] = eval_loader(dev_set, config.data.batch_size, config.data.workers, pin)
    return Data(train_set, sampler, train_loader(sampler, config.data.workers, pin), dev)


def open_mixed(config: Config, corpus: CropStore) -> tuple[CropStore, list[StoredClip]] | None:
    """The corpus that is mixed in, if there is one, and its clips."""
    if not config.data.mix_root:
        return None
    mixed = CropStore(config.data.mix_root)
    mixed.check_crop(corpus.crop, f"the crops in {corpus.root} need")
    return mixed, mixed.split(config.data.mix_split)


def announce(run: RunDir, model: LipNet, data: Data, device: Device) -> None:
    """One line on what is about to be trained."""
    size = f"{parameters(model) / 1e6:.2f} M parameters, {operations(model.config) / 1e9:.1f} GFLOP a clip"
    mixed = len(data.train_set) - data.train_set.main
    print(f"{run.path}: {size}, on {device}, {run.epoch} epochs done")
    clips = f"{data.train_set.main} training clips, {mixed} to mix in"
    print(f"{clips}; evaluated on {', '.join(data.dev) or 'nothing'}")


def progress_bar(run: RunDir, clips: Sequence[int]) -> tqdm[NoReturn]:
    """Clips a second, and the time left of the whole run, whose epochs have so many ``clips``."""
    return tqdm(
        total=sum(clips), initial=sum(clips[: run.epoch]), unit="clip", smoothing=0.02, dynamic_ncols=True
    )


def example_crops(train_set: ClipDataset) -> Tensor:
    """The first clip as the model sees it in training: (T, H, W, 3) uint8 RGB."""
    assert train_set.augment is not None
    batch = collate([train_set[SampleKey(0)]])
    return augment_pixels(batch.frames, train_set.augment)[0]


if __name__ == "__main__":
    sys.exit(main())
