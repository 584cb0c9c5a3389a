"""Train LipNet on packed crops, into one run folder."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor
from tqdm import tqdm

from lipnet.board import Board
from lipnet.config import Config, ConfigError, load_config
from lipnet.data import (
    ClipDataset,
    EpochSampler,
    SampleKey,
    augment_pixels,
    collate,
    eval_loader,
    train_loader,
)
from lipnet.decode import GreedyDecoder
from lipnet.engine import Learner, Step, evaluate, train_one_epoch
from lipnet.errors import one_line_errors
from lipnet.hardware import Hardware, choose_hardware, keep_freed_memory
from lipnet.model import LipNet
from lipnet.packed import PackedCorpus
from lipnet.run import RunFolder
from lipnet.text import Alphabet

EXAMPLES = """examples:
  python scripts/train.py --config configs/grid.yaml data.root=data/grid run.dir=runs/a train.epochs=40
  python scripts/train.py --resume runs/a
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


@one_line_errors
def main() -> int:
    args = parse_arguments()
    run = (
        RunFolder.resume(args.resume)
        if args.resume
        else RunFolder.create(load_config(args.config, args.overrides))
    )
    config = run.config
    hardware = choose_hardware(config.run.device, config.run.precision)
    if hardware.device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(config.run.seed)

    corpus = open_corpus(config)
    alphabet = Alphabet(config.model.alphabet)
    train_clips = corpus.split(config.data.train_split)
    train_set = ClipDataset(corpus, train_clips, alphabet, config.augment, config.run.seed)
    dev_sets = {
        Path(name).stem: ClipDataset(corpus, corpus.split(name), alphabet) for name in config.data.dev_splits
    }
    size, workers, pin = config.data.batch_size, config.data.workers, hardware.device.type == "cuda"
    sampler = EpochSampler(train_set, size)
    batches = train_loader(sampler, workers, pin)
    dev_batches = {name: eval_loader(dataset, size, workers, pin) for name, dataset in dev_sets.items()}

    model = LipNet(config.model).place(hardware.device)
    learner = Learner(model, config.train, len(sampler))
    decoder = GreedyDecoder(alphabet)
    run.begin(learner)
    announce(run, model, train_set, dev_sets, hardware)
    with Board(run) as board, progress_bar(run, len(train_set)) as bar:
        if run.epoch == 0:
            board.show_crops(example_crops(train_set))
        for epoch in range(run.epoch, config.train.epochs):
            started = time.perf_counter()
            # What an epoch draws depends on nothing before it, so that a resumed run draws the same.
            torch.manual_seed(config.run.seed * SEED_STRIDE + epoch)
            sampler.epoch = epoch
            steps: list[Step] = []
            for step in train_one_epoch(learner, batches, config.train, config.augment, hardware):
                steps.append(step)
                board.show_step(run.step + len(steps), step)
                bar.set_postfix(loss=f"{step.loss:.3f}", refresh=False)
                bar.update(step.clips)
            evaluations = {}
            if (epoch + 1) % config.train.eval_every == 0 or epoch + 1 == config.train.epochs:
                evaluations = {
                    name: evaluate(learner.averaged, split, decoder, hardware)
                    for name, split in dev_batches.items()
                }
            line = run.end_epoch(learner, train_set, steps, evaluations, time.perf_counter() - started)
            for name, evaluation in evaluations.items():
                board.show_evaluation(run.step, name, evaluation)
                scores = evaluation.counts.summary("greedy")
                bar.write(f"epoch {epoch + 1}  loss {line['loss']:.3f}  {name} {scores}")
    return 0


def open_corpus(config: Config) -> PackedCorpus:
    """The packed crops, once they are known to fit the model."""
    if not config.data.root:
        raise ConfigError("data.root is not set: name the folder that scripts/preprocess.py wrote")
    corpus = PackedCorpus(config.data.root)
    crop, model = corpus.crop, config.model
    if (crop.height, crop.width) != (model.height, model.width):
        raise ConfigError(
            f"{corpus.root} has crops of {crop.width}x{crop.height} px, the model reads "
            f"{model.width}x{model.height}: set model.width and model.height, or preprocess anew"
        )
    return corpus


def announce(
    run: RunFolder,
    model: LipNet,
    train_set: ClipDataset,
    dev_sets: dict[str, ClipDataset],
    hardware: Hardware,
) -> None:
    """One line on what is about to be trained."""
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    clips = ", ".join(f"{len(dataset)} {name}" for name, dataset in {"train": train_set, **dev_sets}.items())
    print(f"{run.path}: {parameters:.2f} M parameters on {hardware}; clips: {clips}; after epoch {run.epoch}")


def progress_bar(run: RunFolder, clips: int) -> tqdm[NoReturn]:
    """Clips a second, and the time left of the whole run."""
    epochs = run.config.train.epochs
    return tqdm(
        total=epochs * clips, initial=run.epoch * clips, unit="clip", smoothing=0.02, dynamic_ncols=True
    )


def example_crops(train_set: ClipDataset) -> Tensor:
    """The first clip as the model sees it in training: (T, H, W, 3) uint8 RGB."""
    assert train_set.augment is not None
    batch = collate([train_set[SampleKey(0)]])
    return augment_pixels(batch.frames, train_set.augment)[0]


if __name__ == "__main__":
    sys.exit(main())
