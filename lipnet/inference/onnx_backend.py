"""The network computed by ONNX Runtime, from an exported file: PyTorch is not imported."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipnet.cropping.landmarks import LANDMARK_INPUTS
from lipnet.errors import CheckpointError, LipnetError
from lipnet.grid import WORDS
from lipnet.inference.emissions import FORKED, Emissions, pad_landmarks, split_batch
from lipnet.models.metadata import KEY, Metadata, parse_metadata
from lipnet.models.onnx.metadata import check_onnx_finite
from lipnet.utils.schema import SchemaError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

OUTPUTS = ("log_probs", "word_log_probs")
EXPORT_AGAIN = "copy the file again, or export again with scripts/export.py"


class OnnxBackend:
    """A LipNet exported by ``models/onnx/export.py``, on the CPU (an ``emissions.Backend``)."""

    def __init__(self, content: bytes) -> None:
        """``content`` is that of an ONNX file.

        Raises CheckpointError where it is not an exported LipNet, LipnetError without ONNX Runtime.
        """
        self._session = _open(content)
        self._process = os.getpid()
        try:
            text = self._session.get_modelmeta().custom_metadata_map.get(KEY)
            if text is None:
                raise CheckpointError("not an exported LipNet; give a file that scripts/export.py wrote")
            self.metadata = parse_metadata(text)
            _check_graph(self._session, self.metadata)
            check_onnx_finite(content)
        except CheckpointError:
            raise
        except (LipnetError, UnicodeDecodeError) as error:  # texts of the file need not be UTF-8
            raise CheckpointError(
                f"not an exported LipNet ({error}); give a file that scripts/export.py wrote"
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> OnnxBackend:
        """Raises CheckpointError where there is no such file or it is not an exported LipNet."""
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such ONNX file; write one with scripts/export.py")
        try:
            return cls(path.read_bytes())
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error

    def __call__(
        self, clips: Sequence[np.ndarray], landmarks: Sequence[np.ndarray | None] | None = None
    ) -> list[Emissions]:
        """The emissions of the clips, computed as one padded batch.

        Raises CheckpointError where the graph cannot be computed, LipnetError in a forked child of the
        process that opened the network: it would wait for ever.
        """
        if os.getpid() != self._process:
            raise LipnetError(f"ONNX Runtime: {FORKED}")
        model = self.metadata.model
        lengths = np.array([len(clip) for clip in clips], np.int64)
        inputs = {"lengths": lengths}
        if "pixels" in model.streams:
            inputs["frames"] = _pad(clips)
        if "landmarks" in model.streams:
            inputs["landmarks"] = pad_landmarks(landmarks, lengths.tolist(), model.landmark_input)
        return split_batch(*self._run(inputs), lengths.tolist(), model.outputs_per_frame)

    def _run(self, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """Log-probabilities of a padded batch's characters, and of its words if there are word heads.

        Raises CheckpointError where the graph cannot be computed.
        """
        names = OUTPUTS[: 2 if self.metadata.model.word_heads else 1]
        try:
            outputs = self._session.run(names, inputs)
        except Exception as error:  # ONNX Runtime's errors share no other base class
            raise CheckpointError(f"the network cannot be computed; {EXPORT_AGAIN}") from error
        steps = self.metadata.model.outputs_per_frame
        lengths = inputs["lengths"]
        for name, output in zip(names, outputs, strict=True):
            length = lengths.max() * (steps if name == "log_probs" else 1)
            if output.dtype != np.float32 or output.shape[:-1] != (len(lengths), length):
                raise CheckpointError(f"{name} is {output.dtype} {list(output.shape)}; {EXPORT_AGAIN}")
        return outputs[0], outputs[1] if len(outputs) > 1 else None


def _open(content: bytes) -> InferenceSession:
    try:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it looks for its maker's server
        import onnxruntime  # imported only here: an optional dependency
    except ImportError as error:
        raise LipnetError("ONNX Runtime is not installed: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # only fatal ones: errors are raised
    try:
        # Without the fallback, which prints several lines and tries the same again.
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's errors share no other base class
        raise CheckpointError("not an ONNX file; give a file that scripts/export.py wrote") from error


def _check_graph(session: InferenceSession, metadata: Metadata) -> None:
    """Raise SchemaError unless the graph has the inputs and outputs of the metadata's model."""
    model = metadata.model
    expected: dict[str, tuple[int, ...]] = {"lengths": (), "log_probs": (len(model.alphabet) + 1,)}
    if "pixels" in model.streams:
        expected["frames"] = (model.height, model.width, 3)
    if "landmarks" in model.streams:
        expected["landmarks"] = (LANDMARK_INPUTS[model.landmark_input].size,)
    if model.word_heads:
        expected["word_log_probs"] = (len(WORDS) + 1,)
    shapes = {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())}
    for name in sorted(expected.keys() ^ shapes.keys()):
        raise SchemaError(f"{name}: {'unknown' if name in shapes else 'missing'}")
    for name, sizes in expected.items():
        if tuple(shapes[name][len(shapes[name]) - len(sizes) :]) != sizes:
            raise SchemaError(
                f"{name}: {shapes[name]}, but [..., {', '.join(map(str, sizes))}] by the metadata"
            )


def _pad(clips: Sequence[np.ndarray]) -> np.ndarray:
    """(B, T, H, W, 3) uint8, zeros beyond each clip's end."""
    frames = np.zeros((len(clips), max(map(len, clips)), *clips[0].shape[1:]), np.uint8)
    for padded, clip in zip(frames, clips, strict=True):
        padded[: len(clip)] = clip
    return frames
