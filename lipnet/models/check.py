"""Checks of the network's settings, before anything is allocated."""

from __future__ import annotations

import math
from itertools import pairwise

from lipnet.config import ModelConfig
from lipnet.cropping.landmarks import LANDMARK_INPUTS
from lipnet.errors import ConfigError
from lipnet.models.conv import NORMS, feature_size, paddings
from lipnet.models.init import SCHEMES
from lipnet.models.landmark_encoder import input_width, landmark_width
from lipnet.models.rnn import ACTIVATIONS, CANDIDATES, CELLS

MAX_PARAMETERS = 250_000_000  # 1 GB, 55 times the paper's network
STREAMS = (["pixels"], ["landmarks"], ["landmarks", "pixels"])  # sorted
CHOICES = {
    "normalization": ("dataset", "clip", "unit"),
    "fusion": ("late", "joint", "output"),
    "landmark_input": tuple(LANDMARK_INPUTS),
    "norm": tuple(NORMS),
    "cell": CELLS,
    "candidate": tuple(CANDIDATES),
    "activation": ACTIVATIONS,
    "init": tuple(SCHEMES),
}


def check_model(config: ModelConfig) -> None:
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
    _check_landmarks(config)
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
    features = feature_size(config) + landmark_width(config)
    inputs = features + states * (config.layers - 1)  # of all layers together
    count += gates * states * (inputs + config.layers * config.hidden)
    count += states * config.outputs_per_frame * (len(config.alphabet) + 1)
    return count + (_count_landmark_weights(config, gates) if "landmarks" in config.streams else 0)


def _count_landmark_weights(config: ModelConfig, gates: int) -> int:
    """The parameters of the landmark stream's kernels, and of its recurrent layers if it has its own."""
    widths = [input_width(config), *config.landmark_channels]
    count = config.landmark_kernel * sum(a * b for a, b in pairwise(widths))
    if len(config.streams) < 2 or config.fusion == "joint":
        return count
    layers = config.layers if config.fusion == "late" else 1
    states = config.landmark_hidden * (2 if config.bidirectional else 1)
    inputs = widths[-1] + states * (layers - 1)
    return count + gates * states * (inputs + layers * config.landmark_hidden)


def _check_landmarks(config: ModelConfig) -> None:
    if sorted(config.streams) not in STREAMS:
        raise ConfigError(f"model.streams {config.streams}: give [pixels], [landmarks] or [pixels,landmarks]")
    if config.landmark_kernel < 1 or config.landmark_kernel % 2 == 0:
        raise ConfigError(f"model.landmark_kernel {config.landmark_kernel}: give an odd number of frames")
    if min([config.landmark_hidden, *config.landmark_channels]) < 1:
        raise ConfigError("model: landmark_hidden and landmark_channels must be 1 or more")
    if config.landmark_entropy < 0:
        raise ConfigError(f"model.landmark_entropy {config.landmark_entropy:g}: give 0 nats or more")
    for key in ("landmark_weight", "stream_dropout"):
        if not 0 <= getattr(config, key) <= 1:
            raise ConfigError(f"model.{key} {getattr(config, key):g}: give a number from 0 to 1")


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
