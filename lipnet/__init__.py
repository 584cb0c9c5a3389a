"""LipNet: sentence-level lip reading of silent video (Assael et al. 2016), in PyTorch.

>>> reader = lipnet.LipReader.load()  # the weights that ship with the package
>>> reader.read("clip.mpg").text
'bin blue at f two now'

Each name is imported when it is first used: ``import lipnet`` alone loads no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lipnet.inference.reader import LipReader
    from lipnet.inference.transcript import Transcript
    from lipnet.models.lipnet import LipNet

__version__ = "0.1.0"
__all__ = ["LipNet", "LipReader", "Transcript", "__version__", "load_model"]

LAZY_NAMES = {
    "LipNet": "lipnet.models.lipnet",
    "LipReader": "lipnet.inference.reader",
    "Transcript": "lipnet.inference.transcript",
}


def load_model(weights: str | Path | None = None, device: str = "auto") -> LipNet:
    """Load a pretrained network, in evaluation mode. `LipReader` reads whole videos.

    >>> model = lipnet.load_model()
    >>> frames = torch.zeros(1, 75, 50, 100, 3, dtype=torch.uint8)  # (B, T, H, W, 3), RGB mouth crops
    >>> log_probs = model(frames, torch.tensor([75])).log_probs  # (B, T * R, V) float32, CTC blank first

    Args:
        weights: A ``.safetensors`` file that ``scripts/train.py`` or ``scripts/convert.py`` wrote. None: the
            weights that ship with the package.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        CheckpointError: There is no such file, or it is of another kind.
        ConfigError: The device is not available.
    """
    from lipnet.device import choose_device
    from lipnet.errors import LipnetError
    from lipnet.models.checkpoint import load_weights
    from lipnet.weights import WEIGHTS

    path = WEIGHTS if weights is None else Path(weights)
    if path.suffix == ".onnx":
        raise LipnetError(f"{path}: an .onnx file holds no PyTorch network; LipReader.load reads it")
    model, _ = load_weights(path, choose_device(device).torch_device)
    return model


if not TYPE_CHECKING:  # type checkers see the imports above, and report other names as missing

    def __getattr__(name: str) -> object:
        """Import one of ``LAZY_NAMES`` at its first use (PEP 562)."""
        if name not in LAZY_NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(LAZY_NAMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *LAZY_NAMES})
