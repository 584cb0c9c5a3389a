"""Self-describing checkpoints, and the state that resumes a run.

A checkpoint is a safetensors file of the weights. Its metadata (``metadata.py``) holds what evaluation and
prediction need: the model's configuration, the geometry of the crops, and how it was trained. Optimiser and
schedule are only in ``resume.pt`` of a run directory.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from lipnet.errors import CheckpointError, LipnetError
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import KEY, Metadata, dump_metadata, parse_metadata
from lipnet.utils.files import write_atomically
from lipnet.utils.schema import SchemaError


def save_weights(path: Path, weights: dict[str, Tensor], metadata: Metadata) -> None:
    """Write a checkpoint of these tensors, by name, and their metadata, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    write_atomically(path, save(tensors, {KEY: dump_metadata(metadata)}))


def rewrite_metadata(path: Path, metadata: Metadata) -> None:
    """Replace a checkpoint's metadata, atomically; the tensors stay as they are."""
    save_weights(path, load_file(path), metadata)


def load_weights(path: str | Path, device: str | torch.device = "cpu") -> tuple[LipNet, Metadata]:
    """Load a checkpoint: the network in float32 and evaluation mode on ``device``, and its metadata.

    Raises CheckpointError if there is no such file, or it is not a checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file; train one with scripts/train.py")
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise SchemaError("without lipnet's metadata")
            metadata = parse_metadata(text)
            with torch.device("meta"):  # spares the random initialisation: seconds, for a large model
                model = LipNet(metadata.model)
            _check_tensors(file, model)
            tensors = {name: _in_float32(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
            model.load_state_dict(tensors, assign=True)
        check_finite(tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except LipnetError as error:
        raise CheckpointError(
            f"{path}: not lipnet weights ({error}); give a best.safetensors of a run"
        ) from error
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        raise CheckpointError(f"{path}: not lipnet weights; give a best.safetensors of a run") from error
    return model.place(device).eval(), metadata


def _check_tensors(file: safe_open, model: LipNet) -> None:
    """Raise SchemaError unless a file has the tensors of ``model``, of the same sizes; none is read."""
    expected = model.state_dict()
    names = set(file.keys())
    for name in sorted(names ^ expected.keys()):
        raise SchemaError(f"tensor {name:.60}: {'unknown' if name in names else 'missing'}")
    for name, tensor in expected.items():
        shape = tuple(file.get_slice(name).get_shape())
        if shape != tuple(tensor.shape):
            raise SchemaError(f"tensor {name}: {list(shape)}, but {list(tensor.shape)} by the metadata")


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError if a tensor has a NaN or an infinite value."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"tensor {name} has NaN or infinite values; copy the file again, or give other weights"
            )


def _in_float32(tensor: Tensor) -> Tensor:
    """A copy in float32, of a tensor of integers in its own type."""
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)


def load_matching(model: LipNet, weights: LipNet) -> list[str]:
    """Copy the tensors of ``weights`` that ``model`` has with the same size and for the same alphabet.

    Returns:
        The names of the model's tensors that were not copied.
    """
    ours, theirs = model.state_dict(), weights.state_dict()
    fitting = {name: t for name, t in theirs.items() if name in ours and ours[name].shape == t.shape}
    if model.config.alphabet != weights.config.alphabet:
        fitting = {name: t for name, t in fitting.items() if not name.startswith("output.")}
    model.load_state_dict(fitting, strict=False)
    return [name for name in ours if name not in fitting]


def save_resume(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a run, atomically."""
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(path, content.getvalue())


def load_resume(path: Path) -> dict[str, Any]:
    """Read what ``save_resume`` wrote. Raises CheckpointError on any other file."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises errors of many types on a broken file
        raise CheckpointError(
            f"{path}: cannot be resumed from; delete it to start the run from its beginning"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise CheckpointError(
            f"{path}: not the state of a run; delete it to start the run from its beginning"
        )
    return state


def source_revision() -> str:
    """The commit of this source tree, with ``+`` if it has changes; empty outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
