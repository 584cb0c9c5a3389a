"""LipNet (Assael et al. 2016): three spatio-temporal convolutions, two bidirectional recurrent layers, CTC.

The default is the paper's network exactly (4.57 M parameters); every size comes from ``ModelConfig``.
Shapes: B batch, T frames, R outputs per frame, C channels, H and W pixels, F features, V symbols including
the blank, K word classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lipnet.config import LUMA, ModelConfig
from lipnet.errors import ConfigError
from lipnet.grid import WORDS
from lipnet.models.batch import Output as Output
from lipnet.models.batch import Padding
from lipnet.models.check import check_model
from lipnet.models.conv import ConvBlock, clip_moments, feature_size
from lipnet.models.fusion import fuse_outputs
from lipnet.models.init import initialize
from lipnet.models.landmark_encoder import LandmarkEncoder, input_width, landmark_width, split_unknown
from lipnet.models.rnn import apply_recurrent, recurrent_layer

# Statistics of the training set's mouth crops, RGB in [0, 1], from the paper authors' released code.
RGB_MEAN = (0.7136, 0.4906, 0.3283)
RGB_STD = (0.1139, 0.1078, 0.0917)
MIN_STD = 1.0  # grey levels: keeps normalisation of a uniform clip from dividing by 0


class LipNet(nn.Module):
    """Raw mouth crops in, log-probabilities of characters out. Raises ConfigError on impossible sizes.

    With ``config.streams``, it reads landmarks instead of pixels, or both. Their features are concatenated
    before the recurrent layers (``fusion: joint``); or the landmarks have a recurrent layer of their own,
    whose states are concatenated with the last layer's (``output``); or a network of its own,
    ``landmark_net``, reads them and the outputs of both are joined (``late``, see `fusion`).
    """

    mean: Tensor
    std: Tensor
    luma: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        check_model(config)
        self.config = config
        reads_pixels = "pixels" in config.streams
        fusion = config.fusion if len(config.streams) == 2 else "none"
        self.landmark_net = LipNet(landmark_config(config)) if fusion == "late" else None
        reads_landmarks = "landmarks" in config.streams and self.landmark_net is None
        self.blocks = nn.ModuleList(ConvBlock(config, i) for i in range(len(config.channels)) if reads_pixels)
        self.landmark_encoder = LandmarkEncoder(config) if reads_landmarks else None
        directions = 2 if config.bidirectional else 1
        features = reads_pixels * feature_size(config)
        if reads_landmarks and fusion != "output":
            features += landmark_width(config)
        widths = [features] + [directions * config.hidden] * config.layers
        self.recurrent = nn.ModuleList(recurrent_layer(config, width) for width in widths[:-1])
        self.landmark_recurrent: nn.Module | None = None
        if fusion == "output":
            self.landmark_recurrent = recurrent_layer(landmark_config(config), landmark_width(config))
            widths[-1] += directions * config.landmark_hidden
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(widths[-1], config.outputs_per_frame * (len(config.alphabet) + 1))
        classes = len(WORDS) + 1
        self.word_heads = nn.ModuleList(
            nn.Linear(width, classes) for width in widths[1:] if config.word_heads
        )
        # On the CPU even within `torch.device("meta")`: checkpoints do not hold these buffers.
        mean, std = (255 * torch.tensor(values, device="cpu") for values in _pixel_statistics(config))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.register_buffer("luma", torch.tensor(LUMA, device="cpu"), persistent=False)
        initialize(self, config.init)

    def forward(self, frames: Tensor, lengths: Tensor, landmarks: Tensor | None = None) -> Output:
        """Read a padded batch.

        Args:
            frames: (B, T, H, W, 3) uint8 RGB; a grey network converts them itself. A network that reads
                landmarks only looks at B and T.
            lengths: (B,) int64 on the CPU, each clip's valid frames; padding does not change its output.
            landmarks: (B, T, F) float32, `clip_features` of each clip, NaN in clips without; None: no clip
                has any. Not used by a network that reads pixels only.
        """
        padding = Padding.of(lengths, frames.shape[1], frames.device)
        if landmarks is None and "landmarks" in self.config.streams:
            landmarks = self.mean.new_full((*frames.shape[:2], input_width(self.config)), torch.nan)
        features: list[Tensor] = []
        states: list[Tensor] = []  # of the landmarks' recurrent layer
        if "pixels" in self.config.streams:
            features.append(self._encode(frames, padding))
        if self.landmark_encoder is not None:
            assert landmarks is not None
            encoded = self._encode_landmarks(landmarks, padding)
            (features if self.landmark_recurrent is None else states).append(encoded)
        # In float32: on CUDA, autocast would run recurrent layers in float16, whose gradients underflow.
        with torch.autocast(frames.device.type, enabled=False):
            x = torch.cat(self._drop_stream(features), dim=2)
            output = self._read(x, lengths, padding, states)
        if self.landmark_net is None or (self.training and is_frozen(self.landmark_net)):
            return output
        assert landmarks is not None
        other = self.landmark_net(frames, lengths, landmarks)
        if self.training:
            return output._replace(streams=(output, other))
        return fuse_outputs(output, other, split_unknown(landmarks)[1], self.config)

    def _encode(self, frames: Tensor, padding: Padding) -> Tensor:
        """(B, T, H, W, 3) uint8 -> (B, T, F) float32."""
        # In float32 whatever the precision of the convolutions: bfloat16 moves the input by up to 0.028 std.
        with torch.autocast(frames.device.type, enabled=False):
            x = self._normalize(frames, padding.mask)
        for block in self.blocks:
            x = block(x, padding)
        return x.permute(0, 2, 1, 3, 4).flatten(2).float()  # (B, C, T, H, W) -> (B, T, F)

    def _encode_landmarks(self, landmarks: Tensor, padding: Padding) -> Tensor:
        """(B, T, F) float32, NaN where unknown -> (B, T, C) float32, 0 where unknown.

        After the landmarks' recurrent layer, if there is one.
        """
        assert self.landmark_encoder is not None
        known_landmarks, known = split_unknown(landmarks)
        with torch.autocast(landmarks.device.type, enabled=False):
            x = self.landmark_encoder(known_landmarks, padding) * known
            if self.landmark_recurrent is not None:
                x = self._recur(self.landmark_recurrent, x, padding) * known
        return x

    def _drop_stream(self, features: list[Tensor]) -> list[Tensor]:
        """In training, the features of both streams with one of them set to 0 in some of the clips."""
        if len(features) < 2 or not self.training or not self.config.stream_dropout:
            return features
        draws = torch.rand(len(features[0]), 1, 1, device=features[0].device)
        half = self.config.stream_dropout / 2
        return [features[0] * (draws >= half), features[1] * (draws < 1 - half)]

    def _normalize(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, H, W, 3) uint8, valid frames (B, T) bool -> (B, C, T, H, W) float32."""
        x = frames.float()
        if self.config.in_channels == 1:
            x = x @ self.luma[:, None]
        if self.config.normalization != "clip":
            x = (x - self.mean) / self.std
        x = x.permute(0, 4, 1, 2, 3)  # a view that is channels-last already
        if self.config.normalization == "clip":
            mean, variance = clip_moments(x, mask)
            x = (x - mean) / variance.sqrt().clamp_min(MIN_STD)
        return x

    def _recur(self, layer: nn.Module, x: Tensor, padding: Padding) -> Tensor:
        """One recurrent layer: (B, T, F) float32 -> (B, T, D * hidden)."""
        x = apply_recurrent(layer, x, padding)
        if self.config.activation == "relu":
            x = x.relu()
        return self.dropout(x)

    def _read(self, x: Tensor, lengths: Tensor, padding: Padding, states: list[Tensor]) -> Output:
        """Recurrent layers and output layers: (B, T, F) float32, valid frames (B,) -> Output.

        ``states``: none, or those of the landmarks' recurrent layer, which join the last layer's.
        """
        word_logits = []
        for i, layer in enumerate(self.recurrent):
            x = self._recur(layer, x, padding)
            if i == len(self.recurrent) - 1:
                x = torch.cat(self._drop_stream([x, *states]), dim=2)
            if self.word_heads:
                word_logits.append(self.word_heads[i](x))
        rate = self.config.outputs_per_frame
        scores = self.output(x).unflatten(2, (rate, -1)).flatten(1, 2)  # (B, T, R * V) -> (B, T * R, V)
        return Output(scores.log_softmax(-1), rate * lengths, word_logits)

    def freeze(self, parts: Sequence[str]) -> None:
        """Exclude parts, such as ``blocks.0`` or ``recurrent``, from training, batch statistics included.

        Raises ConfigError if the model has no such part.
        """
        modules = dict(self.named_modules())  # holds word_heads even if it is empty
        for part in parts:
            if part == "landmark_net" and self.landmark_net is None:
                continue  # recipes name it for the networks that have one
            if not part or part not in modules:
                names = ", ".join(dict.fromkeys(name.split(".")[0] for name, _ in self.named_parameters()))
                raise ConfigError(
                    f"train.freeze {part}: choose from {names}, or one element of these, such as blocks.0"
                )
            modules[part].requires_grad_(False)

    def compile_parts(self, **options: Any) -> None:
        """Compile convolutions and output layers when they are first used.

        Recurrent layers are single operations already. ``options``: of `torch.compile`.
        """
        parts = [*self.blocks, self.landmark_encoder, self.output, *self.word_heads]
        for part in parts:
            if part is not None:
                part.compile(**options)
        if self.landmark_net is not None:
            self.landmark_net.compile_parts(**options)

    def place(self, device: torch.device | str) -> LipNet:
        """Move to ``device`` in channels-last layout, which frames have and convolutions are fastest with."""
        return self.to(device).to(memory_format=torch.channels_last_3d)


def is_frozen(module: nn.Module) -> bool:
    return not any(parameter.requires_grad for parameter in module.parameters())


def _pixel_statistics(config: ModelConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, for pixels in [0, 1]."""
    if config.normalization == "unit":
        return (0.0,) * config.in_channels, (1.0,) * config.in_channels
    if config.in_channels == 3:
        return RGB_MEAN, RGB_STD
    # Of grey crops: of the three channels, as if these were fully correlated.
    mean = sum(weight * value for weight, value in zip(LUMA, RGB_MEAN, strict=True))
    return (mean,), (sum(weight * value for weight, value in zip(LUMA, RGB_STD, strict=True)),)


def landmark_config(config: ModelConfig) -> ModelConfig:
    """The settings of the network that reads the landmarks in late fusion."""
    return replace(config, streams=["landmarks"], hidden=config.landmark_hidden)
