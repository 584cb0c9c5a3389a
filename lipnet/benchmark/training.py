"""Training: gathering and augmenting batches, the network forwards, whole steps, and whole epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

import torch
from tqdm import tqdm

from lipnet.benchmark.inputs import Bench
from lipnet.benchmark.timing import Result, Timing, measure, synchronize
from lipnet.data.dataset import Batch, ClipDataset, SampleKey
from lipnet.data.loading.collation import collate
from lipnet.data.loading.loaders import Loader, train_loader
from lipnet.data.loading.processes import LoaderProcesses
from lipnet.data.loading.sampler import EpochSampler
from lipnet.data.pixel_transforms import augment_pixels
from lipnet.models.flops import CLIP_FRAMES
from lipnet.models.lipnet import LipNet
from lipnet.training.engine import to_device, train_one_epoch
from lipnet.training.optim import TrainState

STEPS = 100_000  # of the learning-rate schedule, of which the first few are measured
BACKWARD = 2  # times the operations of a forward pass


def gather(bench: Bench) -> Iterator[Result]:
    """Batches in this process: the chosen frames are copied out of the memory map and padded."""
    for size in bench.batch_sizes:
        batches = list(islice(make_sampler(bench, size), gathered_batches(bench, size)))
        timing = measure(partial(collate_all, bench.train_set, batches), bench.sizes.repeats)
        yield Result.rate("gather", f"batch {size}", timing, sum(map(len, batches)))


def load(bench: Bench) -> Iterator[Result]:
    """Batches from loader processes, as many as the recipe has; nothing without any."""
    for size in bench.batch_sizes:
        loader = train_loader(make_sampler(bench, size), bench.config.data.workers, bench.device.is_gpu)
        if not count_workers(loader):
            return
        count = gathered_batches(bench, size)
        # The first time, the processes start and get ahead.
        timing = measure(partial(take, endless(loader), count), bench.sizes.repeats)
        yield Result.rate("load", f"batch {size}", timing, count * size, workers=count_workers(loader))


def augment(bench: Bench) -> Iterator[Result]:
    """Changes of pixels on the device."""
    for size in bench.batch_sizes:
        batches = on_device(bench, make_batches(bench, size))
        timing = measure(partial(augment_all, bench, batches), bench.sizes.repeats, bench.device)
        yield Result.milliseconds("augment", f"batch {size}", timing, count_clips(batches))


def forward(bench: Bench) -> Iterator[Result]:
    """The network in evaluation mode, on batches that are on the device."""
    model = make_model(bench).eval()
    for size in bench.batch_sizes:
        batches = on_device(bench, make_batches(bench, size))
        timing = measure(partial(read_all, bench, model, batches), bench.sizes.repeats, bench.device)
        work = operations(bench, batches) / timing.median
        yield Result.rate("forward", f"batch {size}", timing, count_clips(batches), **share(work, bench.peak))


def step(bench: Bench) -> Iterator[Result]:
    """Optimisation steps: transfer, augmentation, forward and backward pass, update; without loading."""
    for size in bench.batch_sizes:
        state = make_state(bench)
        batches = make_batches(bench, size)
        reset_memory(bench)
        timing = measure(partial(train, bench, state, batches), bench.sizes.repeats, bench.device)
        work = (1 + BACKWARD) * operations(bench, batches) / timing.median
        details = {**share(work, bench.peak), **memory(bench)}
        yield Result.rate("step", f"batch {size}", timing, count_clips(batches), **details)


def epoch(bench: Bench) -> Iterator[Result]:
    """A whole epoch of the corpus, loading included, after a few steps that warm up."""
    for size in bench.batch_sizes:
        state = make_state(bench)
        train(bench, state, make_batches(bench, size))
        sampler = make_sampler(bench, size)
        loader = train_loader(sampler, bench.config.data.workers, bench.device.is_gpu)
        reset_memory(bench)
        synchronize(bench.device)
        started = time.perf_counter()
        train(bench, state, tqdm(loader, desc=f"epoch, batch {size}", unit="batch", leave=False))
        synchronize(bench.device)
        seconds = time.perf_counter() - started
        details = {"seconds": seconds, "workers": count_workers(loader), **memory(bench)}
        yield Result.rate("epoch", f"batch {size}", Timing([seconds]), sampler.items(0), **details)


def train(bench: Bench, state: TrainState, batches: Iterable[Batch]) -> None:
    """A step on each of the batches, which are in the memory of the CPU."""
    for _ in train_one_epoch(state, batches, bench.config.train, bench.config.augment, bench.device):
        pass


def collate_all(dataset: ClipDataset, batches: Iterable[list[SampleKey]]) -> None:
    for batch in batches:
        collate([dataset[key] for key in batch])


def endless(loader: Iterable[Batch]) -> Iterator[Batch]:
    """The batches of one epoch again and again."""
    while True:
        yield from loader


def take(batches: Iterator[Batch], count: int) -> None:
    for _ in islice(batches, count):
        pass


def augment_all(bench: Bench, batches: Iterable[Batch]) -> None:
    for batch in batches:
        augment_pixels(batch.frames, bench.config.augment, batch.mirrored)


@torch.inference_mode()
def read_all(bench: Bench, model: LipNet, batches: Iterable[Batch]) -> None:
    for batch in batches:
        with bench.device.autocast():
            model(batch.frames, batch.lengths, batch.landmarks)


def count_workers(loader: Loader) -> int:
    """Its processes; 0 if this one gathers the batches."""
    return loader.gatherer.workers if isinstance(loader.gatherer, LoaderProcesses) else 0


def make_sampler(bench: Bench, size: int) -> EpochSampler:
    return EpochSampler(bench.train_set, size, bench.config.data.balance)


def make_batches(bench: Bench, size: int) -> list[Batch]:
    """The first batches of the epoch, in page-locked memory where they go to a GPU."""
    loader = train_loader(make_sampler(bench, size), 0, bench.device.is_gpu)
    return list(islice(loader, bench.sizes.batches))


def on_device(bench: Bench, batches: Iterable[Batch]) -> list[Batch]:
    return [to_device(batch, bench.device) for batch in batches]


def gathered_batches(bench: Bench, size: int) -> int:
    return math.ceil(bench.sizes.gathered / size)


def make_model(bench: Bench) -> LipNet:
    torch.manual_seed(bench.config.run.seed)
    model = LipNet(bench.config.model).place(bench.device.torch_device)
    if bench.config.run.compile:
        model.compile_parts(fullgraph=True)
    return model


def make_state(bench: Bench) -> TrainState:
    is_scaled = bench.device.dtype == torch.float16
    return TrainState(make_model(bench), bench.config.train, STEPS, is_scaled)


def count_clips(batches: list[Batch]) -> int:
    return sum(len(batch.names) for batch in batches)


def operations(bench: Bench, batches: list[Batch]) -> float:
    """Floating-point operations of reading the batches; those on padding do not count."""
    frames = sum(int(batch.lengths.sum()) for batch in batches)
    return bench.clip_flops * frames / CLIP_FRAMES


def share(work: float, peak: float) -> dict[str, float]:
    """Details of a result with so many operations a second, on a device that reaches ``peak``."""
    return {"gflops": work / 1e9, "share_of_peak": work / peak, "peak_gflops": peak / 1e9}


def reset_memory(bench: Bench) -> None:
    if bench.device.is_gpu:
        torch.cuda.reset_peak_memory_stats(bench.device.torch_device)


def memory(bench: Bench) -> dict[str, float]:
    """The largest amount of GPU memory that tensors have taken; nothing on a CPU."""
    if not bench.device.is_gpu:
        return {}
    return {"peak_gb": torch.cuda.max_memory_allocated(bench.device.torch_device) / 1e9}
