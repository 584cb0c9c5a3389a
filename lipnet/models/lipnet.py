"""LipNet (Assael et al. 2016): three spatio-temporal convolutions, two bidirectional recurrent layers, CTC.

The default is the paper's network exactly (4.57 M parameters); every size comes from ``ModelConfig``.
Shapes: B batch, T frames, R outputs per frame, C channels, H and W pixels, F features, V symbols including
the blank, K word classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipnet.config import LUMA, ModelConfig
from lipnet.errors import ConfigError
from lipnet.grid import WORDS
from lipnet.models.conv import NORMS, ConvBlock, clip_moments, feature_size, paddings
from lipnet.models.init import SCHEMES, initialize
from lipnet.models.rnn import ACTIVATIONS, CANDIDATES, CELLS, apply_recurrent, recurrent_layer

# Statistics of the training set's mouth crops, RGB in [0, 1], from the paper authors' released code.
RGB_MEAN = (0.7136, 0.4906, 0.3283)
RGB_STD = (0.1139, 0.1078, 0.0917)
MIN_STD = 1.0  # grey levels: keeps normalisation of a uniform clip from dividing by 0
MAX_PARAMETERS = 250_000_000  # 1 GB, 55 times the paper's network
CHOICES = {
    "normalization": ("dataset", "clip", "unit"),
    "norm": tuple(NORMS),
    "cell": CELLS,
    "candidate": tuple(CANDIDATES),
    "activation": ACTIVATIONS,
    "init": tuple(SCHEMES),
}


class Output(NamedTuple):
    """The network's output for a batch."""

    log_probs: Tensor  # (B, T * R, V) float32, natural log; symbol 0 is the CTC blank
    lengths: Tensor  # (B,) int64 on the CPU: each clip's valid (unpadded) steps of the T * R
    word_logits: list[Tensor]  # (B, T, K) float32 for each recurrent layer; class 0 is silence

    @property
    def word_log_probs(self) -> Tensor | None:
        """(B, T, K) float32, the mean of the layers' log-probabilities; None without word heads."""
        if not self.word_logits:
            return None
        return torch.stack([logits.log_softmax(-1) for logits in self.word_logits]).mean(0)


class LipNet(nn.Module):
    """Raw mouth crops in, log-probabilities of characters out. Raises ConfigError on impossible sizes."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.blocks = nn.ModuleList(ConvBlock(config, i) for i in range(len(config.channels)))
        directions = 2 if config.bidirectional else 1
        widths = [feature_size(config)] + [directions * config.hidden] * config.layers
        self.recurrent = nn.ModuleList(recurrent_layer(config, width) for width in widths[:-1])
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
        initialize(self, config.init)

    def forward(self, frames: Tensor, lengths: Tensor) -> Output:
        """Read a padded batch.

        Args:
            frames: (B, T, H, W, 3) uint8 RGB; a grey network converts them itself.
            lengths: (B,) int64 on the CPU, each clip's valid frames; padding does not change its output.
        """
        valid = torch.arange(frames.shape[1])[None, :] < lengths[:, None]  # (B, T)
        mask = None if bool(valid.all()) else valid.to(frames.device)
        # In float32 whatever the precision of the convolutions: bfloat16 moves the input by up to 0.028 std.
        with torch.autocast(frames.device.type, enabled=False):
            x = self._normalize(frames, mask)
        for block in self.blocks:
            x = block(x, mask)
        x = x.permute(0, 2, 1, 3, 4).flatten(2)  # (B, C, T, H, W) -> (B, T, F)
        # In float32: on CUDA, autocast would run recurrent layers in float16, whose gradients underflow.
        with torch.autocast(x.device.type, enabled=False):
            return self._read(x.float(), lengths)

    def _normalize(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, H, W, 3) uint8, valid frames (B, T) bool -> (B, C, T, H, W) float32."""
        x = frames.float()
        if self.config.in_channels == 1:
            x = x @ x.new_tensor(LUMA)[:, None]
        if self.config.normalization != "clip":
            x = (x - self.mean) / self.std
        x = x.permute(0, 4, 1, 2, 3)  # a view that is channels-last already
        if self.config.normalization == "clip":
            mean, variance = clip_moments(x, mask)
            x = (x - mean) / variance.sqrt().clamp_min(MIN_STD)
        return x

    def _read(self, x: Tensor, lengths: Tensor) -> Output:
        """Recurrent layers and output layers: (B, T, F) float32, valid frames (B,) -> Output."""
        word_logits = []
        for i, layer in enumerate(self.recurrent):
            x = apply_recurrent(layer, x, lengths)
            if self.config.activation == "relu":
                x = x.relu()
            x = self.dropout(x)
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
            if not part or part not in modules:
                names = ", ".join(dict.fromkeys(name.split(".")[0] for name, _ in self.named_parameters()))
                raise ConfigError(
                    f"train.freeze {part}: choose from {names}, or one element of these, such as blocks.0"
                )
            modules[part].requires_grad_(False)

    def place(self, device: torch.device | str) -> LipNet:
        """Move to ``device`` in channels-last layout, which frames have and convolutions are fastest with."""
        return self.to(device).to(memory_format=torch.channels_last_3d)


def _check(config: ModelConfig) -> None:
    """Raise ConfigError on sizes that do not fit together."""
    tables = [config.kernels, config.strides, paddings(config)]
    if any(len(table) != len(config.channels) for table in tables):
        raise ConfigError(
            "model: channels, kernels, strides and paddings need one entry for each convolution"
        )
    if any(len(sizes) != 3 for table in tables for sizes in table):
        raise ConfigError("model: kernels, strides and paddings are [time, height, width]")
    counts = [config.hidden, config.layers, config.outputs_per_frame]
    if min(map(min, (counts, config.channels or [1], *config.kernels, *config.strides))) < 1:
        raise ConfigError(
            "model: channels, kernels, strides, hidden, layers and outputs_per_frame must be 1 or more"
        )
    if min(map(min, [[0], *tables[2]])) < 0:
        raise ConfigError("model: paddings must be 0 or more")
    for kernel, stride, padding in zip(*tables, strict=True):
        if kernel[0] % 2 == 0 or stride[0] != 1 or padding[0] != kernel[0] // 2:
            raise ConfigError(
                "model: in time, kernels must be odd, strides 1 and paddings half the kernel, "
                "which keeps the number of frames"
            )
    _check_choices(config)
    if feature_size(config) < 1:
        raise ConfigError("model: nothing is left of the input; enlarge it, or use fewer or smaller layers")
    if _count_weights(config) > MAX_PARAMETERS:  # before any of them is allocated
        raise ConfigError(
            f"model: {_count_weights(config) / 1e6:,.0f} million parameters, at most "
            f"{MAX_PARAMETERS / 1e6:.0f} are supported; lower model.hidden, model.layers or model.channels"
        )


def _count_weights(config: ModelConfig) -> int:
    """The parameters of a network's matrices and kernels, from its sizes."""
    channels = [config.in_channels, *config.channels]
    count = sum(a * b * math.prod(k) for a, b, k in zip(channels, channels[1:], config.kernels, strict=False))
    states = config.hidden * (2 if config.bidirectional else 1)
    gates = 4 if config.cell == "lstm" else 3
    inputs = feature_size(config) + states * (config.layers - 1)  # of all layers together
    count += gates * states * (inputs + config.layers * config.hidden)
    return count + states * config.outputs_per_frame * (len(config.alphabet) + 1)


def _check_choices(config: ModelConfig) -> None:
    for key, known in CHOICES.items():
        if getattr(config, key) not in known:
            raise ConfigError(f"model.{key} {getattr(config, key)!r}: choose one of {', '.join(known)}")
    if config.candidate != "tanh" and config.cell != "keras_gru":
        raise ConfigError(f"model.candidate {config.candidate!r}: only model.cell=keras_gru has it")
    if config.in_channels not in (1, 3):
        raise ConfigError(f"model.in_channels {config.in_channels}: choose 3 (RGB) or 1 (grey)")
    for key in ("dropout", "block_dropout"):
        value = getattr(config, key)
        if value is not None and not 0 <= value < 1:
            raise ConfigError(f"model.{key} {value:g}: choose 0 (none) or more, but less than 1")


def _pixel_statistics(config: ModelConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, for pixels in [0, 1]."""
    if config.normalization == "unit":
        return (0.0,) * config.in_channels, (1.0,) * config.in_channels
    if config.in_channels == 3:
        return RGB_MEAN, RGB_STD
    # Of grey crops: of the three channels, as if these were fully correlated.
    mean = sum(weight * value for weight, value in zip(LUMA, RGB_MEAN, strict=True))
    return (mean,), (sum(weight * value for weight, value in zip(LUMA, RGB_STD, strict=True)),)
