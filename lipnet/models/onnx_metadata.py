"""Changing the metadata of an exported network."""

from __future__ import annotations

from pathlib import Path

from lipnet.errors import CheckpointError, LipnetError
from lipnet.models.metadata import KEY, Metadata, dump_metadata
from lipnet.utils.files import write_atomically


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
