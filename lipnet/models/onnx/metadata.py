"""Changing the metadata of an exported network, and checking its weights without the package ``onnx``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lipnet.errors import CheckpointError, LipnetError
from lipnet.models.metadata import KEY, Metadata, dump_metadata
from lipnet.utils.files import write_atomically

# Numbers of fields in ONNX's protobuf messages, and of its type float32.
GRAPH, INITIALIZER, DATA_TYPE, FLOAT_DATA, NAME, RAW_DATA = 7, 5, 2, 4, 8, 9
FLOAT32 = 1
VARINT, FIXED64, BYTES = 0, 1, 2  # kinds of protobuf fields; all others have four bytes


def check_onnx_finite(content: bytes) -> None:
    """Raise CheckpointError if a float32 constant of an ONNX file has a NaN or an infinite value.

    ONNX Runtime gives finite outputs for most of these. ``content`` must be a file that it can load.
    """
    for graph in _values(memoryview(content), GRAPH):
        for tensor in _values(graph, INITIALIZER):
            fields = dict(_fields(tensor))
            data = fields.get(RAW_DATA, fields.get(FLOAT_DATA, b""))
            if fields.get(DATA_TYPE) != FLOAT32 or isinstance(data, int) or not data or len(data) % 4:
                continue
            if not np.isfinite(np.frombuffer(data, "<f4")).all():
                name = bytes(fields.get(NAME, b"")).decode(errors="replace")
                raise CheckpointError(
                    f"constant {name} has NaN or infinite values; copy the file again, or export again"
                )


def _values(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The messages in the fields of one number."""
    for number, value in _fields(message):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a protobuf message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        if key & 7 == VARINT:
            number, position = _varint(message, position)
            yield key >> 3, number
            continue
        size = 8 if key & 7 == FIXED64 else 4
        if key & 7 == BYTES:
            size, position = _varint(message, position)
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """An integer of seven bits a byte, the lowest first, and the position after it."""
    value = shift = 0
    while message[position] & 0x80:
        value |= (message[position] & 0x7F) << shift
        shift, position = shift + 7, position + 1
    return value | message[position] << shift, position + 1


def check_onnx_installed() -> None:
    """Raises LipnetError without the package that reads and writes ONNX files."""
    try:
        import onnx  # noqa: F401  # an optional dependency
    except ImportError as error:
        raise LipnetError("onnx is not installed: pip install -e '.[export]'") from error


def rewrite_onnx_metadata(path: Path, metadata: Metadata) -> None:
    """Replace the metadata of an ONNX file, atomically; its graph stays as it is.

    Raises CheckpointError if the file is not ONNX, LipnetError without the package ``onnx``.
    """
    check_onnx_installed()
    import onnx

    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except Exception as error:  # protobuf's error for other bytes
        raise CheckpointError(
            f"{path}: not an ONNX file; give a file that scripts/export.py wrote"
        ) from error
    props = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**props, KEY: dump_metadata(metadata)})
    write_atomically(path, model.SerializeToString())
