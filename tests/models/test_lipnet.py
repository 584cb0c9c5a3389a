"""The network: the paper's sizes, normalisation, padding, word heads, and errors."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import torch
from tiny import CROP, random_frames, tiny_model
from torch import Tensor, nn

from lipnet.config import LUMA, ModelConfig
from lipnet.errors import ConfigError
from lipnet.grid import WORDS
from lipnet.models.flops import count_parameters
from lipnet.models.lipnet import RGB_MEAN, RGB_STD, LipNet
from lipnet.models.metadata import Metadata, dump_metadata, parse_metadata


def test_the_papers_network_layer_by_layer() -> None:
    paper = LipNet(ModelConfig())
    assert [count_parameters(block) for block in paper.blocks] == [
        3 * 32 * (3 * 5 * 5) + 32,
        32 * 64 * (3 * 5 * 5) + 64,
        64 * 96 * (3 * 3 * 3) + 96,
    ]
    gates, directions = 3, 2
    assert [count_parameters(layer) for layer in paper.recurrent] == [
        directions * gates * (256 * (96 * 3 * 6) + 256 * 256 + 256 + 256),
        directions * gates * (256 * (2 * 256) + 256 * 256 + 256 + 256),
    ]
    assert count_parameters(paper.output) == 2 * 256 * 28 + 28
    assert count_parameters(paper) == 4_574_460


@pytest.mark.parametrize(("cell", "gates"), [("gru", 3), ("lstm", 4)])
def test_sizes_follow_the_config(cell: str, gates: int) -> None:
    model = LipNet(
        tiny_model(
            in_channels=1,
            channels=[5, 7],
            kernels=[[1, 3, 5], [3, 1, 1]],
            strides=[[1, 2, 1], [1, 1, 3]],
            norm="batch",
            cell=cell,
            hidden=6,
            layers=3,
            alphabet="abc",
            word_heads=True,
        )
    )
    assert [count_parameters(block) for block in model.blocks] == [5 * 15 + 5 + 2 * 5, 7 * 5 * 3 + 7 + 2 * 7]
    # 16x24 -> stride (2, 1) 8x24 -> pool 4x12 -> stride (1, 3) 4x4 -> pool 2x2
    widths = [7 * 2 * 2, 12, 12]
    assert [count_parameters(layer) for layer in model.recurrent] == [
        2 * gates * 6 * (width + 6 + 2) for width in widths
    ]
    assert count_parameters(model.output) == 12 * 4 + 4
    assert [count_parameters(head) for head in model.word_heads] == [12 * 52 + 52] * 3


@pytest.mark.parametrize("frames", [1, 40, 74, 75, 300])
def test_one_distribution_per_frame(frames: int) -> None:
    output = LipNet(tiny_model()).eval()(random_frames(2, frames, 16, 24), torch.tensor([frames, 1]))
    assert output.log_probs.shape == (2, frames, 28) and output.log_probs.dtype == torch.float32
    torch.testing.assert_close(output.log_probs.exp().sum(-1), torch.ones(2, frames))


@pytest.mark.parametrize(
    "settings",
    [
        *({"cell": cell, "norm": norm} for cell in ("gru", "lstm") for norm in ("none", "batch", "instance")),
        {"cell": "keras_gru", "norm": "batch", "normalization": "unit"},
        {"cell": "keras_gru", "candidate": "linear", "activation": "relu"},
        {"cell": "keras_gru", "bidirectional": False},
        {"cell": "lstm", "bidirectional": False, "channels": [], "kernels": [], "strides": []},
        {"normalization": "clip"},
        {"normalization": "clip", "channels": [], "kernels": [], "strides": []},
        {"paddings": [[1, 2, 2]] * 3, "activation": "relu"},
    ],
    ids=str,
)
@pytest.mark.parametrize("in_channels", [1, 3])
def test_a_padded_batch_equals_single_clips(settings: dict[str, object], in_channels: int) -> None:
    torch.manual_seed(0)
    model = LipNet(tiny_model(**settings, in_channels=in_channels))
    frames, lengths = random_frames(4, 9, 16, 24), torch.tensor([5, 9, 1, 7])
    for _ in range(3):  # moves the running statistics of batch normalisation
        model.train()(frames, lengths)
    model.eval()
    together = model(frames, lengths).log_probs  # the padding is noise
    for i, length in enumerate(lengths):
        alone = model(frames[i : i + 1, :length], lengths[i : i + 1]).log_probs
        torch.testing.assert_close(together[i, :length], alone[0], rtol=1e-4, atol=1e-5)


def test_each_frame_depends_on_its_whole_clip_and_on_no_other() -> None:
    model = LipNet(tiny_model()).eval()
    frames, lengths = random_frames(2, 9, 16, 24), torch.tensor([9, 9])
    before = model(frames, lengths).log_probs
    frames[0, 8] = 255 - frames[0, 8]
    after = model(frames, lengths).log_probs
    assert not torch.allclose(before[0, 0], after[0, 0], atol=1e-7)
    torch.testing.assert_close(before[1], after[1])


@pytest.mark.parametrize("in_channels", [1, 3])
def test_pixels_are_normalised_inside_the_network(in_channels: int) -> None:
    model = LipNet(tiny_model(in_channels=in_channels)).eval()
    seen: list[Tensor] = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    frames = random_frames(1, 3, 16, 24)
    model(frames, torch.tensor([3]))
    mean, std, pixels = torch.tensor(RGB_MEAN), torch.tensor(RGB_STD), frames[0].double() / 255
    if in_channels == 1:
        weights = torch.tensor(LUMA)
        mean, std, pixels = (values.double() @ weights.double() for values in (mean, std, pixels))
        pixels = pixels[..., None]
    expected = ((pixels - mean) / std).permute(3, 0, 1, 2).float()
    torch.testing.assert_close(seen[0][0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("normalization", ["unit", "clip"])
def test_other_normalisations(normalization: str, in_channels: int) -> None:
    model = LipNet(tiny_model(normalization=normalization, in_channels=in_channels)).eval()
    seen: list[Tensor] = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    frames = random_frames(2, 5, 16, 24) // torch.tensor([1, 2, 4], dtype=torch.uint8)
    model(frames, torch.tensor([5, 3]))
    for clip, scaled, length in zip(frames.double(), seen[0], (5, 3), strict=True):
        values = clip[:length] if in_channels == 3 else clip[:length] @ torch.tensor(LUMA).double()[:, None]
        if normalization == "unit":
            expected = values / 255
        else:
            flat = values.flatten(0, 2)
            expected = (values - flat.mean(0)) / flat.std(0, correction=0)
        torch.testing.assert_close(
            scaled[:, :length], expected.permute(3, 0, 1, 2).float(), rtol=1e-4, atol=1e-4
        )


def test_a_uniform_clip_is_not_divided_by_zero() -> None:
    model = LipNet(tiny_model(normalization="clip")).eval()
    frames = torch.full((1, 4, 16, 24, 3), 77, dtype=torch.uint8)
    assert model(frames, torch.tensor([4])).log_probs.isfinite().all()


@pytest.mark.parametrize("normalization", ["dataset", "clip"])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_normalisation_is_in_float32_under_autocast(in_channels: int, normalization: str) -> None:
    """In bfloat16, the conversion to grey would move the input by up to 0.028 standard deviations."""
    model = LipNet(tiny_model(in_channels=in_channels, normalization=normalization)).eval()
    seen: list[Tensor] = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    frames, lengths = random_frames(2, 5, 16, 24), torch.tensor([5, 3])
    model(frames, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        model(frames, lengths)
    assert seen[1].dtype == torch.float32
    assert torch.equal(seen[0], seen[1])


def test_relu_after_the_recurrent_layers_is_optional() -> None:
    for activation in ("none", "relu"):
        model = LipNet(tiny_model(activation=activation)).eval()
        inputs: list[Tensor] = []
        model.output.register_forward_pre_hook(lambda _, args, inputs=inputs: inputs.append(args[0]))
        model(random_frames(1, 4, 16, 24), torch.tensor([4]))
        assert bool((inputs[0] < 0).any()) == (activation == "none")


def test_word_heads() -> None:
    model = LipNet(tiny_model(word_heads=True)).eval()
    frames, lengths = random_frames(2, 5, 16, 24), torch.tensor([5, 3])
    output = model(frames, lengths)
    assert [values.shape for values in output.word_logits] == [(2, 5, len(WORDS) + 1)] * 2
    first, second = (values.log_softmax(-1) for values in output.word_logits)
    torch.testing.assert_close(output.word_log_probs, (first + second) / 2)
    without = LipNet(tiny_model())(frames, lengths)
    assert without.word_logits == [] and without.word_log_probs is None


def test_several_outputs_per_frame() -> None:
    """The rows of the output layer are the steps of a frame, in order."""
    model = LipNet(tiny_model(outputs_per_frame=3)).eval()
    scores: list[Tensor] = []
    model.output.register_forward_hook(lambda _, inputs, output: scores.append(output))
    output = model(random_frames(2, 5, 16, 24), torch.tensor([5, 3]))
    assert output.log_probs.shape == (2, 15, 28) and output.lengths.tolist() == [15, 9]
    for step in range(15):
        expected = scores[0][:, step // 3, 28 * (step % 3) : 28 * (step % 3 + 1)].log_softmax(-1)
        torch.testing.assert_close(output.log_probs[:, step], expected)


def test_each_word_head_reads_its_own_layer() -> None:
    model = LipNet(tiny_model(word_heads=True, dropout=0.0)).train()
    outputs: dict[nn.Module, Tensor] = {}
    for layer in model.recurrent:
        layer.register_forward_hook(lambda layer, _, output: outputs.update({layer: output[0].data}))
    logits = model(random_frames(1, 5, 16, 24), torch.tensor([5])).word_logits
    for layer, head, values in zip(model.recurrent, model.word_heads, logits, strict=True):
        torch.testing.assert_close(values[0], head(outputs[layer]))


def test_metadata_without_a_setting_means_its_default() -> None:
    config = tiny_model()
    header = json.loads(dump_metadata(Metadata(config, CROP)))
    del header["sha256"]  # as of files written before there was one
    since = ("normalization", "paddings", "candidate", "bidirectional", "activation", "block_dropout", "init")
    header["model"] = {key: value for key, value in asdict(config).items() if key not in since}
    assert parse_metadata(json.dumps(header)).model == config


def test_placing_makes_convolutions_channels_last() -> None:
    model = LipNet(tiny_model())
    frames, lengths = random_frames(1, 4, 16, 24), torch.tensor([4])
    before = model.eval()(frames, lengths).log_probs
    model.place("cpu")
    assert model.blocks[0].conv.weight.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(model(frames, lengths).log_probs, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": [4, 4]}, "one entry for each convolution"),
        ({"channels": []}, "one entry for each convolution"),
        ({"paddings": [[1, 2, 2]]}, "one entry for each convolution"),
        ({"paddings": [[1, 2], [1, 2, 2], [1, 2, 2]]}, "time, height, width"),
        ({"paddings": [[0, 2, 2], [1, 2, 2], [1, 2, 2]]}, "in time"),
        ({"paddings": [[1, -1, 2], [1, 2, 2], [1, 2, 2]]}, "0 or more"),
        ({"kernels": [[3, 5], [3, 5, 5], [3, 3, 3]]}, "time, height, width"),
        ({"kernels": [[2, 5, 5], [3, 5, 5], [3, 3, 3]]}, "in time"),
        ({"strides": [[2, 2, 2], [1, 1, 1], [1, 1, 1]]}, "in time"),
        ({"cell": "rnn"}, "model.cell 'rnn': choose one of gru, lstm, keras_gru"),
        ({"norm": "layer"}, "model.norm 'layer': choose one of none, batch, instance"),
        ({"normalization": "raw"}, "model.normalization 'raw': choose one of dataset, clip, unit"),
        ({"cell": "keras_gru", "candidate": "relu"}, "model.candidate 'relu': choose one of tanh, linear"),
        ({"candidate": "linear"}, "model.candidate 'linear': only model.cell=keras_gru has it"),
        ({"activation": "tanh"}, "model.activation 'tanh': choose one of none, relu"),
        ({"init": "zeros"}, "model.init 'zeros': choose one of paper, keras, glorot, uniform"),
        ({"in_channels": 2}, "model.in_channels 2"),
        ({"layers": 0}, "must be 1 or more"),
        ({"height": 7}, "nothing is left of the input"),
        ({"hidden": 0}, "must be 1 or more"),
        ({"channels": [4, 0, 4]}, "must be 1 or more"),
        ({"kernels": [[3, 0, 5], [3, 5, 5], [3, 3, 3]]}, "must be 1 or more"),
        ({"strides": [[1, 0, 2], [1, 1, 1], [1, 1, 1]]}, "must be 1 or more"),
        ({"dropout": 1.5}, "model.dropout 1.5"),
        ({"block_dropout": -0.5}, "model.block_dropout -0.5"),
    ],
)
def test_impossible_sizes_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LipNet(replace(tiny_model(), **changes))  # type: ignore[arg-type]
