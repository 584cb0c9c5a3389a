"""Weights that explain themselves, and the state that resumes a run.

Weights are a safetensors file whose header holds, as JSON, all that evaluation and prediction need: the
model's config, the crop's geometry, how and on what it was trained, and what it scored. The optimiser, the
schedule and the random state live only in the run's ``resume.pt``.
"""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from lipnet.errors import ConfigError
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import KEY, CheckpointError, Metadata, dump_metadata, parse_metadata
from lipnet.utils.files import write_atomically


def save_weights(path: Path, weights: dict[str, torch.Tensor], metadata: Metadata) -> None:
    """Write weights and their description, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    write_atomically(path, save(tensors, {KEY: dump_metadata(metadata)}))


def rewrite_metadata(path: Path, metadata: Metadata) -> None:
    """Change what a weights file says of itself; the tensors stay as they are, atomically."""
    save_weights(path, load_file(path), metadata)


def load_weights(path: str | Path, device: str | torch.device = "cpu") -> tuple[LipNet, Metadata]:
    """The network with its weights, in evaluation mode on ``device``, and what the file says of itself.

    Raises CheckpointError where there is no such file or it is of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file; train one with scripts/train.py")
    try:
        with safe_open(path, "pt") as file:
            metadata = parse_metadata((file.metadata() or {})[KEY])
            model = LipNet(metadata.model)
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (SafetensorError, ConfigError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise CheckpointError(f"{path}: not lipnet weights; give a best.safetensors of a run") from error
    return model.place(device).eval(), metadata


def load_matching(model: LipNet, weights: LipNet) -> list[str]:
    """Copy every tensor of ``weights`` that ``model`` has too, in the same size and for the same alphabet.

    Returns:
        The names of the model's tensors that are left as they were.
    """
    ours, theirs = model.state_dict(), weights.state_dict()
    fitting = {name: t for name, t in theirs.items() if name in ours and ours[name].shape == t.shape}
    if model.config.alphabet != weights.config.alphabet:
        fitting = {name: t for name, t in fitting.items() if not name.startswith("output.")}
    model.load_state_dict(fitting, strict=False)
    return [name for name in ours if name not in fitting]


def save_resume(path: Path, state: dict[str, Any]) -> None:
    """Write a run's whole state, atomically."""
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(path, content.getvalue())


def load_resume(path: Path) -> dict[str, Any]:
    """Read what ``save_resume`` wrote. Raises CheckpointError on another kind of file."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever a broken pickle makes of itself
        raise CheckpointError(f"{path}: cannot be resumed from; delete it to start the run anew") from error
    return dict(state)


def source_revision() -> str:
    """The commit of this source tree, with ``+`` where it has changes; empty outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
