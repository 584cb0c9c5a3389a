"""The schedule and the averaged weights by hand, frozen parts, and the saved training state."""

from __future__ import annotations

import io
import math

import pytest
import torch
from tiny import tiny_model
from torch.optim import Adam, AdamW
from train_steps import make_train_state, take_steps

from lipnet.config import TrainConfig
from lipnet.data.dataset import Batch
from lipnet.errors import ConfigError
from lipnet.models.lipnet import LipNet
from lipnet.training.optim import TrainState, learning_rate_factor, make_optimizer


def test_the_learning_rate_warms_up_and_follows_a_cosine() -> None:
    factor = learning_rate_factor(TrainConfig(epochs=3, warmup=1.0), total_steps=12)
    factors = [factor(step) for step in range(13)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[4:] == pytest.approx([0.5 * (1 + math.cos(math.pi * i / 8)) for i in range(9)])
    assert factors[-1] == pytest.approx(0)
    assert factor(100) == pytest.approx(0)
    assert learning_rate_factor(TrainConfig(epochs=1, warmup=0.0), 4)(0) == 1
    assert learning_rate_factor(TrainConfig(epochs=1, warmup=5.0), 4)(3) == pytest.approx(4 / 21)


def test_the_learning_rate_may_be_constant() -> None:
    factor = learning_rate_factor(TrainConfig(epochs=4, warmup=1.0, schedule="constant"), total_steps=12)
    assert [factor(step) for step in (0, 2, 3, 11, 50)] == pytest.approx([0.25, 0.75, 1, 1, 1])


@pytest.mark.parametrize(("name", "kind"), [("adamw", AdamW), ("adam", Adam), ("amsgrad", Adam)])
def test_optimizers_by_name(name: str, kind: type) -> None:
    optimizer = make_optimizer(LipNet(tiny_model()), TrainConfig(optimizer=name, lr=0.25))
    assert type(optimizer) is kind and optimizer.defaults["lr"] == 0.25
    assert optimizer.defaults["amsgrad"] is (name == "amsgrad")


def test_unknown_optimizers_and_schedules_are_named() -> None:
    with pytest.raises(ConfigError, match=r"train\.optimizer 'sgd': choose one of adamw, adam, amsgrad"):
        make_train_state(TrainConfig(optimizer="sgd"))
    with pytest.raises(ConfigError, match=r"train\.schedule 'step': choose one of cosine, constant"):
        make_train_state(TrainConfig(schedule="step"))


def test_biases_and_gains_have_no_weight_decay() -> None:
    train_state = make_train_state(TrainConfig(weight_decay=0.3))
    decays = {
        id(p): group["weight_decay"] for group in train_state.optimizer.param_groups for p in group["params"]
    }
    for name, parameter in train_state.model.named_parameters():
        is_vector = "bias" in name or "norm" in name
        assert decays[id(parameter)] == (0.0 if is_vector else 0.3), name


def test_averaged_weights_by_hand(batches: list[Batch]) -> None:
    config = TrainConfig(ema=0.25, lr=1e-2)
    train_state = make_train_state(config)
    expected = None
    for count, _ in enumerate(take_steps(train_state, batches * 3, config)):
        now = {name: value.clone() for name, value in train_state.model.state_dict().items()}
        if expected is None:
            expected = now
            continue
        keep = min(0.25, (1 + count) / (10 + count))  # faster at the beginning
        for name, value in now.items():
            mixed = keep * expected[name] + (1 - keep) * value
            expected[name] = mixed if value.is_floating_point() else value
    assert expected is not None
    for name, value in train_state.averaged.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    assert not torch.equal(train_state.averaged.output.weight, train_state.model.output.weight)


@pytest.mark.parametrize(
    ("frozen", "trained"),
    [
        (["blocks.0", "blocks.1"], {"blocks.2", "recurrent.0", "recurrent.1", "output", "word_heads"}),
        (["recurrent", "word_heads", "output"], {"blocks.0", "blocks.1", "blocks.2"}),
    ],
)
def test_frozen_parts_do_not_change(batches: list[Batch], frozen: list[str], trained: set[str]) -> None:
    config = TrainConfig(freeze=frozen, ema=0.5)
    train_state = make_train_state(config)
    before = {name: tensor.clone() for name, tensor in train_state.model.state_dict().items()}
    list(take_steps(train_state, batches, config))
    for model in (train_state.model, train_state.averaged):
        same = {name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])}
        for name in before.keys() - {name for name in before if name.endswith("num_batches_tracked")}:
            assert (name in same) == name.startswith(tuple(frozen)) != name.startswith(tuple(trained)), name


def test_freezing_word_heads_of_a_model_without_any() -> None:
    model = LipNet(tiny_model(word_heads=False))
    TrainState(model, TrainConfig(freeze=["recurrent", "word_heads", "output"]), 2)
    trained = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"blocks"}


def test_an_unknown_part_to_freeze_is_named() -> None:
    with pytest.raises(ConfigError, match=r"train\.freeze block\.0: choose from blocks, recurrent, output"):
        make_train_state(TrainConfig(freeze=["block.0"]))


def test_the_saved_state_has_its_parts_by_name(batches: list[Batch]) -> None:
    """The keys of resume.pt, which runs of all versions share."""
    assert list(make_train_state(TrainConfig()).state_dict()) == ["model", "optimizer", "scheduler", "ema"]
    without = make_train_state(TrainConfig(ema=0.0)).state_dict()
    assert list(without) == ["model", "optimizer", "scheduler"]


def test_without_averaging_the_model_itself_is_evaluated() -> None:
    train_state = make_train_state(TrainConfig(ema=0.0))
    assert train_state.averaged is train_state.model


def test_a_saved_state_continues_training(batches: list[Batch]) -> None:
    config = TrainConfig()
    straight, other = make_train_state(config), make_train_state(config)
    list(take_steps(straight, batches, config))
    state = straight.state_dict()
    torch.save(state, buffer := io.BytesIO())
    list(take_steps(straight, batches, config))
    buffer.seek(0)
    list(take_steps(other, batches[1:], config))  # is overwritten by the saved state
    other.load_state_dict(torch.load(buffer, weights_only=True))
    list(take_steps(other, batches, config))
    for first, second in ((straight.model, other.model), (straight.averaged, other.averaged)):
        for name, value in first.state_dict().items():
            assert torch.equal(value, second.state_dict()[name]), name


def test_a_restored_state_keeps_the_settings_of_its_own_config(batches: list[Batch]) -> None:
    """A run whose config was edited has half the learning rate and another decay from then on."""
    first = make_train_state(TrainConfig(lr=1e-3, weight_decay=0.01))
    list(take_steps(first, batches, TrainConfig()))
    for lr, weight_decay in ((1e-3, 0.01), (5e-4, 0.2)):
        second = make_train_state(TrainConfig(lr=lr, weight_decay=weight_decay))
        second.load_state_dict(first.state_dict())
        (expected,) = {group["lr"] * lr / 1e-3 for group in first.optimizer.param_groups}
        assert {group["lr"] for group in second.optimizer.param_groups} == {expected}
        assert [group["weight_decay"] for group in second.optimizer.param_groups] == [weight_decay, 0.0]
        assert second.scheduler.get_last_lr() == [expected] * 2
        assert second.scheduler.base_lrs == [lr] * 2
    with pytest.raises(ValueError, match="AMSGrad"):
        make_train_state(TrainConfig(optimizer="amsgrad")).load_state_dict(first.state_dict())
