"""LipNet (Assael et al. 2016): three spatio-temporal convolutions, two bidirectional recurrent layers, CTC.

By default the paper's network exactly (4.57 M parameters); every size comes from ``ModelConfig``.
Shapes: B batch, T frames, R outputs a frame, C channels, H and W pixels, F features, V symbols with the
blank, K word classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lipnet.config import ConfigError, ModelConfig
from lipnet.grid import WORDS

# Of the training set's mouth crops, RGB in [0, 1], from the paper authors' released code.
RGB_MEAN = (0.7136, 0.4906, 0.3283)
RGB_STD = (0.1139, 0.1078, 0.0917)
LUMA = (0.299, 0.587, 0.114)  # RGB -> grey, ITU-R BT.601
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM}
NORMS = ("none", "batch")
MOMENTUM = 0.1  # of batch normalisation's running statistics


class Output(NamedTuple):
    """What the network says of a batch."""

    log_probs: Tensor  # (B, T * R, V) float32, natural log; symbol 0 is the CTC blank
    lengths: Tensor  # (B,) int64 on the CPU: of the T * R steps, each clip's real ones
    word_logits: list[Tensor]  # (B, T, K) float32 for each recurrent layer; class 0 is silence

    @property
    def word_log_probs(self) -> Tensor | None:
        """(B, T, K) float32, the mean of the layers' log-probabilities; None without word heads."""
        if not self.word_logits:
            return None
        return torch.stack([logits.log_softmax(-1) for logits in self.word_logits]).mean(0)


class LipNet(nn.Module):
    """Raw crops in, log-probabilities of characters out. Raises ConfigError on impossible sizes."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        channels = [config.in_channels, *config.channels]
        self.blocks = nn.ModuleList(
            ConvBlock(channels[i], channels[i + 1], kernel, stride, config.norm, config.dropout)
            for i, (kernel, stride) in enumerate(zip(config.kernels, config.strides, strict=True))
        )
        widths = [feature_size(config)] + [2 * config.hidden] * config.layers
        cell = CELLS[config.cell]
        self.recurrent = nn.ModuleList(
            cell(width, config.hidden, batch_first=True, bidirectional=True) for width in widths[:-1]
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(widths[-1], config.outputs_per_frame * (len(config.alphabet) + 1))
        classes = len(WORDS) + 1
        self.word_heads = nn.ModuleList(
            nn.Linear(width, classes) for width in widths[1:] if config.word_heads
        )
        mean, std = (RGB_MEAN, RGB_STD) if config.in_channels == 3 else _grey_statistics()
        self.register_buffer("mean", 255 * torch.tensor(mean), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std), persistent=False)
        self._initialize()

    def forward(self, frames: Tensor, lengths: Tensor) -> Output:
        """Read a padded batch.

        Args:
            frames: (B, T, H, W, 3) uint8 RGB; a grey network turns them grey itself.
            lengths: (B,) int64 on the CPU, each clip's real frames; the others do not change its output.
        """
        x = frames.float()
        if self.config.in_channels == 1:
            x = x @ x.new_tensor(LUMA)[:, None]
        x = (x - self.mean) / self.std
        # (B, T, H, W, C) -> (B, C, T, H, W): as a view this is channels-last already
        x = x.permute(0, 4, 1, 2, 3)
        real = torch.arange(frames.shape[1])[None, :] < lengths[:, None]
        everywhere = bool(real.all())
        real = real.to(frames.device)
        for block in self.blocks:
            x = block(x, None if everywhere else real)
        x = x.permute(0, 2, 1, 3, 4).flatten(2)  # (B, C, T, H, W) -> (B, T, F)
        # In float32: on CUDA, autocast would run recurrent layers in float16, whose gradients underflow.
        with torch.autocast(x.device.type, enabled=False):
            return self._recur(x.float(), lengths)

    def _recur(self, x: Tensor, lengths: Tensor) -> Output:
        word_logits = []
        for i, layer in enumerate(self.recurrent):
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x, _ = pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=x.shape[1])
            x = self.dropout(x)
            if self.word_heads:
                word_logits.append(self.word_heads[i](x))
        rate = self.config.outputs_per_frame
        scores = self.output(x).unflatten(2, (rate, -1)).flatten(1, 2)  # (B, T, R * V) -> (B, T * R, V)
        return Output(scores.log_softmax(-1), rate * lengths, word_logits)

    def freeze(self, blocks: int) -> None:
        """Keep the first convolutions as they are: no gradients, no new statistics, a quarter less time.

        Raises ConfigError where there are fewer.
        """
        if blocks > len(self.blocks):
            raise ConfigError(f"train.frozen_blocks {blocks}: the model has {len(self.blocks)} convolutions")
        for block in self.blocks[:blocks]:
            block.requires_grad_(False)

    def place(self, device: torch.device | str) -> LipNet:
        """Move to ``device``, channels last: that is how frames arrive and what convolutions like best."""
        return self.to(device).to(memory_format=torch.channels_last_3d)

    @torch.no_grad()
    def _initialize(self) -> None:
        """The paper authors' initialisation: He, and per gate uniform inputs and orthogonal recurrences."""
        for module in self.modules():
            if isinstance(module, (nn.Conv3d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            elif isinstance(module, nn.RNNBase):
                for name, parameter in module.named_parameters():
                    _initialize_gates(name, parameter, module.hidden_size)


class ConvBlock(nn.Module):
    """Conv3d -> [BatchNorm3d] -> ReLU -> max pooling over 2x2 pixels -> dropout of whole channels."""

    def __init__(
        self, inputs: int, outputs: int, kernel: list[int], stride: list[int], norm: str, dropout: float
    ) -> None:
        super().__init__()
        padding = [size // 2 for size in kernel]
        self.conv = nn.Conv3d(inputs, outputs, _triple(kernel), _triple(stride), _triple(padding))
        self.norm = RealFrameNorm(outputs) if norm == "batch" else None
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.dropout = nn.Dropout3d(dropout)

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """(B, C, T, H, W) -> (B, C', T, H', W'). ``real`` (B, T) bool: no padding; None: none at all."""
        if real is not None:
            # Beyond a clip's end there must be what the convolution pads with: zeros.
            x = x.masked_fill(~real[:, None, :, None, None], 0)
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x, real)
        # ReLU and max pooling commute; pooling first leaves a quarter of the work.
        return self.dropout(self.pool(x).relu())


class RealFrameNorm(nn.BatchNorm3d):
    """Batch normalisation whose statistics, in training, are those of the real frames alone."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=MOMENTUM)

    def train(self, mode: bool = True) -> RealFrameNorm:
        """A frozen one keeps the statistics that its weights were trained with."""
        return super().train(mode and self.weight.requires_grad)

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        if real is None or not self.training:
            return super().forward(x)
        x = x.movedim(1, -1)  # (B, C, T, H, W) -> (B, T, H, W, C)
        frames = x[real].movedim(-1, 1)  # (N, C, H, W)
        running = (self.running_mean, self.running_var)
        frames = F.batch_norm(frames, *running, self.weight, self.bias, True, MOMENTUM, self.eps)
        normed = torch.zeros_like(x, dtype=frames.dtype)
        normed[real] = frames.movedim(1, -1)
        return normed.movedim(-1, 1)


def _triple(sizes: list[int]) -> tuple[int, int, int]:
    time, height, width = sizes
    return time, height, width


def feature_size(config: ModelConfig) -> int:
    """Features a frame that leave the convolutions: channels x height x width."""
    height, width = config.height, config.width
    for (_, kernel_h, kernel_w), (_, stride_h, stride_w) in zip(config.kernels, config.strides, strict=True):
        height = ((height + 2 * (kernel_h // 2) - kernel_h) // stride_h + 1) // 2
        width = ((width + 2 * (kernel_w // 2) - kernel_w) // stride_w + 1) // 2
    return config.channels[-1] * height * width


def _check(config: ModelConfig) -> None:
    """One line for each way in which sizes do not fit."""
    if not len(config.channels) == len(config.kernels) == len(config.strides) > 0:
        raise ConfigError("model: channels, kernels and strides need one entry for each convolution")
    if any(len(sizes) != 3 for sizes in (*config.kernels, *config.strides)):
        raise ConfigError("model: kernels and strides are [time, height, width]")
    counts = [config.hidden, config.layers, config.outputs_per_frame]
    if min(map(min, (config.channels, *config.kernels, *config.strides, counts))) < 1:
        raise ConfigError(
            "model: channels, kernels, strides, hidden, layers and outputs_per_frame must be 1 or more"
        )
    if any(kernel[0] % 2 == 0 for kernel in config.kernels) or any(s[0] != 1 for s in config.strides):
        raise ConfigError("model: in time, kernels must be odd and strides 1, so that frames stay frames")
    for key, known in (("cell", CELLS), ("norm", NORMS)):
        if getattr(config, key) not in known:
            raise ConfigError(f"model.{key} {getattr(config, key)!r}: choose one of {', '.join(known)}")
    if config.in_channels not in (1, 3):
        raise ConfigError(f"model.in_channels {config.in_channels}: choose 3 (RGB) or 1 (grey)")
    if not 0 <= config.dropout < 1:
        raise ConfigError(f"model.dropout {config.dropout:g}: choose 0 (none) or more, but less than 1")
    if feature_size(config) < 1:
        raise ConfigError("model: nothing is left of the input; enlarge it, or use fewer or smaller layers")


def _grey_statistics() -> tuple[tuple[float], tuple[float]]:
    """Mean and deviation of grey crops, from the colours' as if these rose and fell together."""
    mean = sum(weight * value for weight, value in zip(LUMA, RGB_MEAN, strict=True))
    return (mean,), (sum(weight * value for weight, value in zip(LUMA, RGB_STD, strict=True)),)


def _initialize_gates(name: str, parameter: Tensor, hidden: int) -> None:
    if name.startswith("bias"):
        nn.init.zeros_(parameter)
        return
    for gate in parameter.split(hidden):
        if name.startswith("weight_hh"):
            nn.init.orthogonal_(gate)
        else:
            bound = math.sqrt(3) * math.sqrt(2 / (parameter.shape[1] + hidden))
            nn.init.uniform_(gate, -bound, bound)
