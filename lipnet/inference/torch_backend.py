"""PyTorch weights as a network that reads crops."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from lipnet.device import Hardware, choose_hardware
from lipnet.inference.emissions import Evidence
from lipnet.models.checkpoint import load_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Checkpoint


class TorchNetwork:
    """A LipNet and what its weights say of themselves (``evidence.Network``)."""

    def __init__(self, model: LipNet, checkpoint: Checkpoint, hardware: Hardware) -> None:
        """``model`` must be on the hardware's device and in evaluation mode."""
        self.model, self.checkpoint, self.hardware = model, checkpoint, hardware

    @classmethod
    def load(cls, weights: str | Path, device: str = "auto") -> TorchNetwork:
        """Raises LipnetError on weights or a device that cannot be used."""
        hardware = choose_hardware(device)
        return cls(*load_weights(weights, hardware.device), hardware)

    @torch.inference_mode()
    def __call__(self, clips: Sequence[np.ndarray]) -> list[Evidence]:
        """Read the clips as one padded batch."""
        frames = pad_sequence([torch.from_numpy(clip) for clip in clips], batch_first=True)
        lengths = torch.tensor([len(clip) for clip in clips])
        with self.hardware.autocast():
            output = self.model(frames.to(self.hardware.device), lengths)
        log_probs = output.log_probs.float().cpu().numpy()
        words = output.word_log_probs
        word_log_probs = None if words is None else words.float().cpu().numpy()
        rate = self.checkpoint.model.outputs_per_frame
        return [
            Evidence(
                log_probs[i, : rate * n], None if word_log_probs is None else word_log_probs[i, :n], rate
            )
            for i, n in enumerate(lengths.tolist())
        ]
