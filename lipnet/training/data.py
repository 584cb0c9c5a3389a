"""The training data and the dev splits that a config names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lipnet.config import Config, ModelConfig
from lipnet.data.crop_store import CropStore, StoredClip, without_speakers
from lipnet.data.dataset import Batch, ClipDataset, SampleKey
from lipnet.data.loading.loaders import Loader, by_length, collate, make_gatherer
from lipnet.data.loading.sampler import EpochSampler
from lipnet.errors import ConfigError
from lipnet.tokenizer import Tokenizer
from lipnet.training.distributed import ALONE, Processes

NAMED_CLIPS = 3  # in a message about many
DEV_EXAMPLES = 4  # clips of all dev lists whose emissions are drawn


class Data(NamedTuple):
    """The training data, and the dev splits by the names of their lists."""

    train_set: ClipDataset
    sampler: EpochSampler
    train: Loader
    dev: dict[str, Loader]


def open_data(config: Config, pin: bool, processes: Processes = ALONE) -> Data:
    """Datasets and loaders of the splits that the config names; ``pin``: whether a GPU computes."""
    corpus = open_corpus(config)
    tokenizer, inputs = Tokenizer(config.model.alphabet), (config.model.streams, config.model.landmark_input)
    clips = without_speakers(corpus.split(config.data.train_split), config.data.leave_out)
    mixed_in = open_mixed(config, corpus)
    train_set = ClipDataset(corpus, clips, tokenizer, config.augment, config.run.seed, mixed_in, *inputs)
    settings = (config.data.batch_size, config.data.balance, config.data.mix)
    sampler = EpochSampler(train_set, *settings, processes.rank, processes.count)
    dev_sets = {}
    for split in config.data.dev_splits:
        clips = corpus.split(split)[processes.rank :: processes.count]
        dev_set = whole_clips(corpus, clips, config.model)
        if Path(split).stem in dev_sets:
            raise ConfigError(f"data.dev_splits: two lists are called {Path(split).stem}; rename one")
        dev_sets[Path(split).stem] = dev_set
    size = config.data.batch_size
    gatherer = make_gatherer([train_set, *dev_sets.values()], size, config.data.workers, pin)
    dev = {name: Loader(dev_set, by_length(dev_set, size), gatherer) for name, dev_set in dev_sets.items()}
    return Data(train_set, sampler, Loader(train_set, sampler, gatherer), dev)


def whole_clips(corpus: CropStore, clips: Sequence[StoredClip], model: ModelConfig) -> ClipDataset:
    """Clips as a network with these settings reads them in an evaluation: whole, and not augmented."""
    tokenizer = Tokenizer(model.alphabet)
    return ClipDataset(corpus, clips, tokenizer, streams=model.streams, landmark_input=model.landmark_input)


def open_corpus(config: Config) -> CropStore:
    """The crop store. Raises LipnetError if there is none, or its crops are not of the model's size."""
    if not config.data.root:
        raise ConfigError(
            "data.root is not set: name the crop store that scripts/preprocess.py wrote, or several"
        )
    corpus = CropStore(*config.data.root)
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


def dev_examples(dev: Mapping[str, Loader]) -> dict[str, Batch]:
    """The same few clips in every call: of each dev list as many, at even distances in it."""
    batches = {}
    for number, (name, loader) in enumerate(dev.items()):
        share = DEV_EXAMPLES // len(dev) + (number < DEV_EXAMPLES % len(dev))
        count = min(share, len(loader.dataset))
        keys = [SampleKey(place * len(loader.dataset) // count) for place in range(count)]
        if keys:
            batches[name] = collate([loader.dataset[key] for key in keys])
    return batches


def print_unalignable(data: Data, steps_per_frame: int) -> None:
    """Count and name the clips whose text is longer than CTC can align to their frames.

    Raises ConfigError if no training clip is left.
    """
    dev_sets = {name: loader.dataset for name, loader in data.dev.items()}
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
