"""A reader in worker processes, however they are started."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.context import ForkProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import pytest
import torch
from tiny import run_script

from lipnet.inference.reader import LipReader

MAX_S = 60  # after which a worker hangs
needs_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def read_in_worker(reader: LipReader, video: Path, texts: SimpleQueue[str]) -> None:
    try:
        texts.put(reader.read(video).text)
    except Exception as error:
        texts.put(f"{type(error).__name__}: {error}")


def text_of_child(reader: LipReader, video: Path) -> str:
    """What a forked child reads, or the error that it meets."""
    context = multiprocessing.get_context("fork")
    texts: SimpleQueue[str] = context.SimpleQueue()
    child: ForkProcess = context.Process(target=read_in_worker, args=(reader, video, texts))
    child.start()
    child.join(MAX_S)
    hangs = child.is_alive()
    child.kill()
    assert not hangs
    return texts.get()


@pytest.fixture
def two_threads() -> Iterator[None]:
    """PyTorch with more threads than the one of the other tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@needs_fork
@pytest.mark.usefixtures("two_threads")
def test_a_reader_works_in_a_forked_child(synthetic_clip: Path) -> None:
    """OpenMP's threads do not exist in a forked child: a parallel region would wait for ever."""
    reader = LipReader.load(device="cpu")
    text = reader.read(synthetic_clip).text
    assert text and text_of_child(reader, synthetic_clip) == text


@pytest.mark.slow
@needs_fork
def test_onnx_runtime_in_a_forked_child_says_spawn(
    untrained_weights: Path, synthetic_clip: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    exported = tmp_path / "untrained.onnx"
    result = run_script("export", "--weights", untrained_weights, "--onnx", exported)
    assert result.code == 0, result.err
    reader = LipReader.load(exported)
    assert reader.read(synthetic_clip).text
    message = text_of_child(reader, synthetic_clip)
    assert message.startswith("LipnetError: ") and "start it by spawn" in message
