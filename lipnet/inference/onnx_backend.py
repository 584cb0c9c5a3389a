"""An ONNX file as a network that reads crops: no PyTorch, only NumPy and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipnet.errors import LipnetError
from lipnet.inference.emissions import Emissions
from lipnet.models.metadata import KEY, CheckpointError, parse_metadata

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class OnnxBackend:
    """What ``onnx_export.py`` made of a LipNet, computed on the CPU (``emissions.Network``)."""

    def __init__(self, content: bytes) -> None:
        """``content``: of an ONNX file.

        Raises CheckpointError where it is of another kind, LipnetError without ONNX Runtime.
        """
        self._session = _open(content)
        try:
            self.metadata = parse_metadata(self._session.get_modelmeta().custom_metadata_map[KEY])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError("not a lipnet network; give a file of scripts/export.py") from error

    @classmethod
    def load(cls, path: str | Path) -> OnnxBackend:
        """Raises CheckpointError where there is no such file or it is of another kind."""
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such ONNX file; write one with scripts/export.py")
        try:
            return cls(path.read_bytes())
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error

    def __call__(self, clips: Sequence[np.ndarray]) -> list[Emissions]:
        """Read the clips as one padded batch."""
        frames, lengths = _pad(clips)
        log_probs, *words = self._session.run(None, {"frames": frames, "lengths": lengths})
        rate = self.metadata.model.outputs_per_frame
        return [
            Emissions(log_probs[i, : rate * n], words[0][i, :n] if words else None, rate)
            for i, n in enumerate(lengths.tolist())
        ]


def _open(content: bytes) -> InferenceSession:
    try:
        import onnxruntime  # here, so that PyTorch's users need not have it
    except ImportError as error:
        raise LipnetError("ONNX Runtime is not installed: pip install onnxruntime") from error
    try:
        return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have nothing else in common
        raise CheckpointError("not an ONNX file; give one of scripts/export.py") from error


def _pad(clips: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(B, T, H, W, 3) uint8, zeros beyond each clip's end, and (B,) int64, the clips' frames."""
    lengths = np.array([len(clip) for clip in clips], np.int64)
    frames = np.zeros((len(clips), lengths.max(), *clips[0].shape[1:]), np.uint8)
    for padded, clip in zip(frames, clips, strict=True):
        padded[: len(clip)] = clip
    return frames, lengths
