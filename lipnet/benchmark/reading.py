"""Reading with trained weights: evaluation, the decoders, ONNX Runtime, and prediction from video files."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from lipnet.benchmark.inputs import Bench
from lipnet.benchmark.timing import Result, Timing, measure
from lipnet.data.dataset import ClipDataset, SampleKey
from lipnet.data.loading.loaders import eval_loader
from lipnet.decoding.base import Decoder
from lipnet.decoding.factory import DECODERS, make_decoder
from lipnet.errors import LipnetError
from lipnet.grid import FRAME_RATE
from lipnet.inference.emissions import Backend, Emissions
from lipnet.inference.reader import LipReader
from lipnet.inference.torch_backend import TorchBackend
from lipnet.models.checkpoint import load_weights
from lipnet.tokenizer import Tokenizer
from lipnet.training.evaluation import evaluate
from lipnet.utils.log import LOG
from lipnet.utils.workers import core_count
from lipnet.video.decode import iter_frames

BATCH = 16  # clips that are read at once, as evaluate.py does
PREDICTIONS = 3  # repeats of reading a whole video, at most


def evaluation(bench: Bench) -> Iterator[Result]:
    """Loading, the network, the loss, and decoding: by greedy search in this process, as in training, and by
    the grammar in a process a core.
    """
    backend = make_backend(bench)
    dataset = bench.read_set(backend.metadata.model, backend.metadata.crop)
    loader = eval_loader(dataset, BATCH)
    for name, workers in {"greedy": 0, "grammar": core_count()}.items():
        decoder = make_decoder(name, dataset.tokenizer)
        work = partial(evaluate, backend.model, loader, decoder, bench.device, workers)
        timing = measure(work, bench.sizes.repeats, bench.device)
        yield Result.milliseconds("evaluation", name, timing, len(dataset), workers=workers)


def decode(bench: Bench) -> Iterator[Result]:
    """Each decoder by itself, on the log-probabilities of the synthetic clips."""
    backend = make_backend(bench)
    tokenizer = Tokenizer(backend.metadata.model.alphabet)
    dataset = bench.read_set(backend.metadata.model, backend.metadata.crop)
    emissions = [backend(*clip)[0] for clip in clips_of(dataset)[: bench.sizes.videos]]
    for name in DECODERS:
        decoder = make_decoder(name, tokenizer)
        timing = measure(partial(decode_all, decoder, emissions), bench.sizes.repeats)
        yield Result.milliseconds("decode", name, timing, len(emissions))


def decode_all(decoder: Decoder, emissions: list[Emissions]) -> None:
    for one in emissions:
        words = None if one.word_log_probs is None else one.word_log_probs[None]
        decoder(one.log_probs[None], [len(one.log_probs)], words)


def onnx(bench: Bench) -> Iterator[Result]:
    """One clip at a time: the network by ONNX Runtime on the CPU, and by PyTorch."""
    try:
        from lipnet.inference.onnx_backend import OnnxBackend
        from lipnet.models.onnx.export import onnx_model

        model, metadata = load_weights(bench.weights)
        exported = OnnxBackend(onnx_model(model, metadata).SerializeToString())
    except (ModuleNotFoundError, LipnetError) as error:
        LOG.warning(f"ONNX is not measured ({error}): pip install -e '.[export]'")
        return
    dataset = bench.read_set(metadata.model, metadata.crop)
    clips = clips_of(dataset)[: bench.sizes.videos]
    backends: dict[str, Backend] = {"ONNX Runtime": exported, "PyTorch": make_backend(bench)}
    for name, backend in backends.items():
        timing = measure(lambda: [backend(*clip) for clip in clips], bench.sizes.repeats)  # noqa: B023
        yield Result.milliseconds("onnx", name, timing, len(clips))


def predict(bench: Bench) -> Iterator[Result]:
    """Whole videos, from the file to the transcript, each size in a process of its own."""
    for name, video in {"360x288": bench.sentences, "1080p": bench.hd}.items():
        seconds = sum(1 for _ in iter_frames(video)) / FRAME_RATE
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, spawn) as pool:
            arguments = (
                bench.weights,
                str(bench.device.torch_device),
                video,
                min(bench.sizes.repeats, PREDICTIONS),
            )
            timing, peak = pool.submit(read_repeatedly, *arguments).result()
        yield Result.real_time("predict", name, timing, seconds, peak_mb=peak / 1e6)


def read_repeatedly(weights: Path, device: str, video: Path, repeats: int) -> tuple[Timing, int]:
    """How long it takes to read a video, and the largest amount of memory of this process, in bytes."""
    reader = LipReader.load(weights, device=device)
    return measure(lambda: reader.read(video), repeats), peak_memory()


def peak_memory() -> int:
    """The largest amount of memory that this process has taken since its program started, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # where the number below may be that of the process that started this one
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    import resource  # Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def make_backend(bench: Bench) -> TorchBackend:
    return TorchBackend(*load_weights(bench.weights, bench.device.torch_device), bench.device)


def clips_of(dataset: ClipDataset) -> list[tuple[list[np.ndarray], list[np.ndarray | None]]]:
    """The crops and the landmarks of each clip, as a backend takes them."""
    clips = []
    for index in range(len(dataset)):
        sample = dataset[SampleKey(index)]
        clips.append(([np.array(sample.array[sample.indices])], [sample.landmarks]))
    return clips
