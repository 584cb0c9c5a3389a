"""The network computed by PyTorch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lipnet.device import Device, choose_device
from lipnet.errors import LipnetError
from lipnet.inference.emissions import FORKED, Emissions, pad_landmarks, split_batch
from lipnet.models.checkpoint import load_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata


class TorchBackend:
    """A LipNet and its checkpoint metadata (an ``emissions.Backend``)."""

    def __init__(self, model: LipNet, metadata: Metadata, device: Device) -> None:
        """``model`` must be on the device and in evaluation mode."""
        self.model, self.metadata, self.device = model, metadata, device
        self._process = os.getpid()

    @classmethod
    def load(cls, weights: str | Path, device: str = "auto") -> TorchBackend:
        """Raises LipnetError on weights or a device that cannot be used."""
        chosen = choose_device(device)
        return cls(*load_weights(weights, chosen.torch_device), chosen)

    @torch.inference_mode()
    def __call__(
        self, clips: Sequence[np.ndarray], landmarks: Sequence[np.ndarray | None] | None = None
    ) -> list[Emissions]:
        """The emissions of the clips, computed as one padded batch.

        Raises LipnetError in a forked child of the process that loaded the network to a GPU.
        """
        if os.getpid() != self._process:
            self._use_in_child()
        frames = pad_sequence([torch.from_numpy(clip) for clip in clips], batch_first=True)
        lengths = torch.tensor([len(clip) for clip in clips])
        with self.device.autocast():
            output = self.model(*self._to_device(frames, lengths, landmarks))
        words = output.word_log_probs
        return split_batch(
            output.log_probs.float().cpu().numpy(),
            None if words is None else words.float().cpu().numpy(),
            lengths.tolist(),
            self.metadata.model.outputs_per_frame,
        )

    def _to_device(
        self, frames: Tensor, lengths: Tensor, landmarks: Sequence[np.ndarray | None] | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The network's inputs; the lengths stay on the CPU."""
        device, features = self.device.torch_device, None
        if "landmarks" in self.metadata.model.streams:
            kind = self.metadata.model.landmark_input
            features = torch.from_numpy(pad_landmarks(landmarks, lengths.tolist(), kind)).to(device)
        return frames.to(device), lengths, features

    def _use_in_child(self) -> None:
        """A forked child has none of OpenMP's threads, and would wait for them; it cannot use CUDA at all."""
        if self.device.torch_device.type != "cpu":
            raise LipnetError(f"device {self.device.torch_device}: {FORKED}")
        torch.set_num_threads(1)
        self._process = os.getpid()
