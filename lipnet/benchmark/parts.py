"""The parts of the benchmark by name, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lipnet.benchmark import cropping, reading, training
from lipnet.benchmark.inputs import Bench
from lipnet.benchmark.timing import Result

PARTS: dict[str, Callable[[Bench], Iterator[Result]]] = {
    "crop": cropping.crop,
    "gather": training.gather,
    "load": training.load,
    "augment": training.augment,
    "forward": training.forward,
    "step": training.step,
    "epoch": training.epoch,
    "evaluation": reading.evaluation,
    "decode": reading.decode,
    "predict": reading.predict,
    "onnx": reading.onnx,
}
