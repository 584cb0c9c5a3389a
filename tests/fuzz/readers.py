"""What the programs do with an input of each kind, without their command lines."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from lipnet.cropping.landmarks import LANDMARK_INPUTS
from lipnet.data.alignments import read_alignment
from lipnet.data.crop_store import CropStore
from lipnet.data.splits import read_split
from lipnet.decoding.factory import DecoderOptions, make_decoder
from lipnet.errors import LipnetError
from lipnet.inference.reader import LipReader
from lipnet.models.convert.published import load_published_weights
from lipnet.models.lipnet import LipNet
from lipnet.output.formats import FORMATS
from lipnet.settings import load_config
from lipnet.tokenizer import DEFAULT_TOKENIZER
from lipnet.training.run_dir import RunDir


@lru_cache(maxsize=1)
def _reader(weights: Path) -> LipReader:
    return LipReader.load(weights, device="cpu")


def _video(path: Path, valid: Path) -> None:
    [(_, result)] = _reader(valid / "weights" / "w.safetensors").read_all([path])
    if isinstance(result, LipnetError):
        raise result
    for write in FORMATS.values():
        write(result)


def _index(path: Path, valid: Path) -> None:
    store = CropStore(path)
    for clip in store.split("all"):
        store.crops(clip).sum()


def _list(path: Path, valid: Path) -> None:
    read_split(path)
    CropStore(valid / "index").split(str(path))


def _alignment(path: Path, valid: Path) -> None:
    read_alignment(path, DEFAULT_TOKENIZER)


def _config(path: Path, valid: Path) -> None:
    LipNet(load_config(path).model)


def _decoder(name: str) -> Callable[[Path, Path], None]:
    def read(path: Path, valid: Path) -> None:
        make_decoder(name, DEFAULT_TOKENIZER, DecoderOptions(**{name: path}))

    return read


def _weights(path: Path, valid: Path) -> None:
    LipReader.load(path, device="cpu")


def _onnx(path: Path, valid: Path) -> None:
    """The file itself, and what its network computes of two clips of different lengths."""
    reader = LipReader.load(path, device="cpu")
    size = reader.backend.metadata.model
    clips = [np.zeros((frames, size.height, size.width, 3), np.uint8) for frames in (9, 5)]
    landmarks = np.zeros((9, LANDMARK_INPUTS[size.landmark_input].size), np.float32)
    for emissions in reader.backend(clips, [landmarks, None]):
        reader.decoder(emissions)


def _published(path: Path, valid: Path) -> None:
    load_published_weights(path)


def _resume(path: Path, valid: Path) -> None:
    RunDir.resume(path)


READERS: dict[str, Callable[[Path, Path], None]] = {
    "video": _video,
    "index": _index,
    "list": _list,
    "alignment": _alignment,
    "config": _config,
    "grammar": _decoder("grammar"),
    "dictionary": _decoder("dictionary"),
    "arpa": _decoder("lm"),
    "weights": _weights,
    "onnx": _onnx,
    "published": _published,
    "resume": _resume,
}


def outcome(kind: str, path: Path, valid: Path) -> str:
    """``read``, or the error of one line with which a program would end. Other exceptions pass through.

    Args:
        valid: folder of the valid inputs, of which some readers need another one.
    """
    try:
        READERS[kind](path, valid)
    except LipnetError as error:
        if "\n" in str(error):
            raise AssertionError(f"a message of several lines: {error}") from error
        return f"refused: {error}"
    except OSError as error:
        if error.filename is None:
            raise
        return f"refused: {error}"
    return "read"
