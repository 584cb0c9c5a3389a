"""Networks that read landmarks, alone or beside pixels: padding, unknown landmarks, sizes."""

from __future__ import annotations

import pytest
import torch
from landmark_store import STREAMS, stream_model
from tiny import random_frames
from torch import Tensor

from lipnet.cropping.landmarks import LANDMARK_INPUTS
from lipnet.errors import ConfigError
from lipnet.models.flops import count_parameters
from lipnet.models.lipnet import LipNet

BOTH = ("late", "joint", "output")
LENGTHS = torch.tensor([5, 9, 1, 7])  # frames


def network(name: str, **changes: object) -> LipNet:
    torch.manual_seed(0)
    return LipNet(stream_model(name, **changes)).eval()


def random_inputs(model: LipNet) -> tuple[Tensor, Tensor]:
    """Four clips of nine frames: crops, and landmarks that are unknown in the last one."""
    width = LANDMARK_INPUTS[model.config.landmark_input].size
    landmarks = torch.randn(4, 9, width, generator=torch.Generator().manual_seed(1))
    landmarks[3] = torch.nan
    return random_frames(4, 9, 16, 24), landmarks


@pytest.mark.parametrize("cell", ["gru", "lstm", "keras_gru"])
@pytest.mark.parametrize("name", STREAMS)
def test_a_padded_batch_equals_single_clips(name: str, cell: str) -> None:
    model = network(name, cell=cell)
    frames, landmarks = random_inputs(model)
    for _ in range(3):  # moves the running statistics of batch normalisation
        model.train()(frames, LENGTHS, landmarks)
    model.eval()
    together = model(frames, LENGTHS, landmarks).log_probs  # the padding is noise
    for i, n in enumerate(LENGTHS):
        alone = model(frames[i : i + 1, :n], LENGTHS[i : i + 1], landmarks[i : i + 1, :n]).log_probs
        torch.testing.assert_close(together[i, :n], alone[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BOTH)
def test_unknown_landmarks_leave_the_pixels(name: str) -> None:
    """The weights of the landmarks' own layers have no effect on clips without landmarks."""
    model = network(name, word_heads=True)
    frames, landmarks = random_inputs(model)
    before = model(frames, LENGTHS, landmarks)
    for part, parameter in model.named_parameters():
        if part.startswith("landmark_"):
            parameter.data += 0.5
    after = model(frames, LENGTHS, landmarks)
    pairs = ((before.log_probs, after.log_probs), (before.word_log_probs, after.word_log_probs))
    for ours, theirs in pairs:
        assert ours is not None and theirs is not None
        assert torch.equal(ours[3, :7], theirs[3, :7])
        assert not torch.allclose(ours[1], theirs[1], atol=1e-3)


@pytest.mark.parametrize("name", ["joint", "output"])
def test_stream_dropout_leaves_one_stream_of_each_clip(name: str) -> None:
    model = network(name, stream_dropout=1.0, dropout=0.0)
    frames, landmarks = random_inputs(model)
    lengths = torch.full((4,), 9)
    joined: list[Tensor] = []
    reader = model.recurrent[0] if name == "joint" else model.output
    reader.register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    for _ in range(8):
        model.train()(frames, lengths, landmarks)
    width = 8 if name == "joint" else 2 * 8  # of the landmarks' part
    has_landmarks = []
    for x in joined:
        x = torch.nn.utils.rnn.pad_packed_sequence(x, batch_first=True)[0] if name == "joint" else x
        pixels, shapes = (
            part[:3].flatten(1).abs().amax(1) > 0 for part in x.split([x.shape[2] - width, width], 2)
        )
        assert torch.equal(pixels, ~shapes)
        has_landmarks.append(shapes)
    assert 0 < torch.stack(has_landmarks).float().mean() < 1


def test_the_landmarks_own_recurrent_layer_joins_before_the_output_layer() -> None:
    model = network("output", landmark_channels=[], word_heads=True)
    assert model.landmark_recurrent is not None
    assert count_parameters(model.landmark_recurrent) == 2 * 3 * 8 * (40 + 8 + 2)
    assert model.output.in_features == 2 * 8 + 2 * 8
    assert [head.in_features for head in model.word_heads] == [16, 32]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("late", {"landmark_hidden": 16_384}),
        ("output", {"landmark_hidden": 16_384}),
        ("joint", {"landmark_channels": [8192, 8192], "landmark_kernel": 1001}),
        ("landmarks", {"landmark_channels": [8192, 8192], "landmark_kernel": 1001}),
    ],
)
def test_networks_that_would_fill_the_memory_are_refused(name: str, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="million parameters, at most 250 are supported"):
        network(name, **settings)


def test_unknown_choices_are_named() -> None:
    with pytest.raises(ConfigError, match=r"landmark_input 'lips': choose one of features, standardized, "):
        network("landmarks", landmark_input="lips")
    with pytest.raises(ConfigError, match=r"model\.fusion 'early': choose one of late, joint, output"):
        network("late", fusion="early")
