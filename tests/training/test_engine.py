"""The schedule and the averages by hand, what a train_state keeps, and steps that must stop."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny import tiny_model
from torch.optim import Adam, AdamW

from lipnet.config import AugmentConfig, TrainConfig
from lipnet.data.crop_store import CropStore
from lipnet.data.dataset import Batch, ClipDataset
from lipnet.data.dataset import SampleKey as Key
from lipnet.data.loaders import collate, eval_loader
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.device import Device
from lipnet.errors import ConfigError, TrainingError
from lipnet.models.lipnet import LipNet
from lipnet.tokenizer import DEFAULT_TOKENIZER
from lipnet.training.engine import Step, evaluate, train_one_epoch
from lipnet.training.optim import TrainState, learning_rate_factor, make_optimizer

CPU = Device(torch.device("cpu"), bfloat16=False)
OFF = AugmentConfig(resample=0.0, flip=0.0)


def test_the_learning_rate_warms_up_and_follows_a_cosine() -> None:
    factor = learning_rate_factor(TrainConfig(epochs=3, warmup=1.0), total_steps=12)
    factors = [factor(step) for step in range(13)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[4:] == pytest.approx([0.5 * (1 + math.cos(math.pi * i / 8)) for i in range(9)])
    assert factors[-1] == pytest.approx(0)
    assert factor(100) == pytest.approx(0)
    assert learning_rate_factor(TrainConfig(epochs=1, warmup=0.0), 4)(0) == 1
    assert learning_rate_factor(TrainConfig(epochs=1, warmup=5.0), 4)(3) == pytest.approx(4 / 21)


def test_the_learning_rate_may_stay() -> None:
    factor = learning_rate_factor(TrainConfig(epochs=4, warmup=1.0, schedule="constant"), total_steps=12)
    assert [factor(step) for step in (0, 2, 3, 11, 50)] == pytest.approx([0.25, 0.75, 1, 1, 1])


@pytest.mark.parametrize(("name", "kind"), [("adamw", AdamW), ("adam", Adam), ("amsgrad", Adam)])
def test_optimizers_by_name(name: str, kind: type) -> None:
    optimizer = make_optimizer(LipNet(tiny_model()), TrainConfig(optimizer=name, lr=0.25))
    assert type(optimizer) is kind and optimizer.defaults["lr"] == 0.25
    assert optimizer.defaults["amsgrad"] is (name == "amsgrad")


def test_unknown_optimizers_and_schedules_are_named() -> None:
    with pytest.raises(ConfigError, match=r"train\.optimizer 'sgd': choose one of adamw, adam, amsgrad"):
        make_learner(TrainConfig(optimizer="sgd"))
    with pytest.raises(ConfigError, match=r"train\.schedule 'step': choose one of cosine, constant"):
        make_learner(TrainConfig(schedule="step"))


# Steps on real batches


@pytest.fixture
def batches(crop_store: Path) -> list[Batch]:
    """Two batches of three clips."""
    corpus = CropStore(crop_store)
    data = ClipDataset(corpus, corpus.split("train"), DEFAULT_TOKENIZER)
    return [collate([data[Key(i)] for i in group]) for group in ((0, 1, 2), (3, 4, 5))]


def make_learner(config: TrainConfig, steps: int = 2) -> TrainState:
    torch.manual_seed(0)
    model = LipNet(tiny_model(word_heads=True, norm="batch", dropout=0.0))
    return TrainState(model, config, steps * config.epochs)


def steps(train_state: TrainState, batches: list[Batch], config: TrainConfig) -> Iterator[Step]:
    return train_one_epoch(train_state, batches, config, OFF, CPU)


def gradient_norm(train_state: TrainState) -> float:
    gradients = [p.grad.flatten() for p in train_state.model.parameters() if p.grad is not None]
    return float(torch.cat(gradients).norm())


def test_a_step_reports_what_it_did(batches: list[Batch]) -> None:
    config = TrainConfig(lr=1e-2, clip_norm=0.0, word_loss=0.5, epochs=1)
    train_state = make_learner(config)
    for number, step in enumerate(steps(train_state, batches, config)):
        assert step.loss == pytest.approx(step.ctc + 0.5 * step.words)
        assert step.words > 0 and step.clips == 3 and step.seconds > 0
        assert step.lr == pytest.approx(1e-2 * (number + 1) / 3)
        assert step.grad_norm == pytest.approx(gradient_norm(train_state), rel=1e-4)  # not clipped


def test_the_whole_gradient_is_clipped(batches: list[Batch]) -> None:
    config = TrainConfig(clip_norm=0.1)
    train_state = make_learner(config)
    for step in steps(train_state, batches, config):
        assert step.grad_norm > 0.2
        assert gradient_norm(train_state) == pytest.approx(0.1, rel=1e-3)


def test_training_lowers_the_loss(batches: list[Batch]) -> None:
    config = TrainConfig(lr=1e-2, epochs=8, warmup=0.0)
    train_state = make_learner(config)
    seen = [step.loss for _ in range(8) for step in steps(train_state, batches, config)]
    assert sum(seen[-2:]) < 0.7 * sum(seen[:2])


def test_biases_and_gains_do_not_decay(batches: list[Batch]) -> None:
    train_state = make_learner(TrainConfig(weight_decay=0.3))
    decays = {
        id(p): group["weight_decay"] for group in train_state.optimizer.param_groups for p in group["params"]
    }
    for name, parameter in train_state.model.named_parameters():
        is_vector = "bias" in name or "norm" in name
        assert decays[id(parameter)] == (0.0 if is_vector else 0.3), name


def test_averaged_weights_by_hand(batches: list[Batch]) -> None:
    config = TrainConfig(ema=0.25, lr=1e-2)
    train_state = make_learner(config)
    expected = None
    for count, _ in enumerate(steps(train_state, batches * 3, config)):
        now = {name: value.clone() for name, value in train_state.model.state_dict().items()}
        if expected is None:
            expected = now
            continue
        keep = min(0.25, (1 + count) / (10 + count))  # young averages forget faster
        for name, value in now.items():
            mixed = keep * expected[name] + (1 - keep) * value
            expected[name] = mixed if value.is_floating_point() else value
    assert expected is not None
    for name, value in train_state.averaged.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    assert not torch.equal(train_state.averaged.output.weight, train_state.model.output.weight)


@pytest.mark.parametrize(
    ("frozen", "learning"),
    [
        (["blocks.0", "blocks.1"], {"blocks.2", "recurrent.0", "recurrent.1", "output", "word_heads"}),
        (["recurrent", "word_heads", "output"], {"blocks.0", "blocks.1", "blocks.2"}),
    ],
)
def test_frozen_parts_stay_as_they_are(batches: list[Batch], frozen: list[str], learning: set[str]) -> None:
    config = TrainConfig(freeze=frozen, ema=0.5)
    train_state = make_learner(config)
    before = {name: tensor.clone() for name, tensor in train_state.model.state_dict().items()}
    list(steps(train_state, batches, config))
    for model in (train_state.model, train_state.averaged):
        same = {name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])}
        for name in before.keys() - {name for name in before if name.endswith("num_batches_tracked")}:
            assert (name in same) == name.startswith(tuple(frozen)) != name.startswith(tuple(learning)), name


def test_frozen_word_heads_that_a_model_does_without() -> None:
    model = LipNet(tiny_model(word_heads=False))
    TrainState(model, TrainConfig(freeze=["recurrent", "word_heads", "output"]), 2)
    learning = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {"blocks"}


def test_a_frozen_part_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match=r"train\.freeze block\.0: choose of blocks, recurrent, output"):
        make_learner(TrainConfig(freeze=["block.0"]))


def test_without_averaging_the_model_itself_is_evaluated() -> None:
    train_state = make_learner(TrainConfig(ema=0.0))
    assert train_state.averaged is train_state.model


def test_a_learners_state_continues_it(batches: list[Batch]) -> None:
    config = TrainConfig()
    straight, other = make_learner(config), make_learner(config)
    list(steps(straight, batches, config))
    state = straight.state_dict()
    torch.save(state, buffer := io.BytesIO())
    list(steps(straight, batches, config))
    buffer.seek(0)
    list(steps(other, batches[1:], config))  # whatever it did before is forgotten
    other.load_state_dict(torch.load(buffer, weights_only=True))
    list(steps(other, batches, config))
    for first, second in ((straight.model, other.model), (straight.averaged, other.averaged)):
        for name, value in first.state_dict().items():
            assert torch.equal(value, second.state_dict()[name]), name


def test_a_learner_goes_on_with_the_settings_of_its_own_config(batches: list[Batch]) -> None:
    """A run whose config was edited: half the learning rate and another decay from here on."""
    first = make_learner(TrainConfig(lr=1e-3, weight_decay=0.01))
    list(steps(first, batches, TrainConfig()))
    for lr, weight_decay in ((1e-3, 0.01), (5e-4, 0.2)):
        second = make_learner(TrainConfig(lr=lr, weight_decay=weight_decay))
        second.load_state_dict(first.state_dict())
        (expected,) = {group["lr"] * lr / 1e-3 for group in first.optimizer.param_groups}
        assert {group["lr"] for group in second.optimizer.param_groups} == {expected}
        assert [group["weight_decay"] for group in second.optimizer.param_groups] == [weight_decay, 0.0]
        assert second.scheduler.get_last_lr() == [expected] * 2
        assert second.scheduler.base_lrs == [lr] * 2
    with pytest.raises(ValueError, match="AMSGrad"):
        make_learner(TrainConfig(optimizer="amsgrad")).load_state_dict(first.state_dict())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_the_clips_and_changes_nothing(
    value: float, batches: list[Batch]
) -> None:
    config = TrainConfig()
    train_state = make_learner(config)
    epoch = steps(train_state, batches, config)
    next(epoch)
    with torch.no_grad():
        train_state.model.output.bias[3] = value
    before = {name: parameter.clone() for name, parameter in train_state.model.named_parameters()}
    with pytest.raises(TrainingError, match=r"loss nan.* s1/swiq9a s2/lwik7a s2/pbaxzn; .*lower train\.lr"):
        next(epoch)
    for name, parameter in train_state.model.named_parameters():
        assert torch.equal(parameter.nan_to_num(), before[name].nan_to_num()), name


def test_a_gradient_that_is_not_finite_stops_too(batches: list[Batch]) -> None:
    config = TrainConfig()
    train_state = make_learner(config)
    train_state.model.output.bias.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(
        TrainingError, match=r"gradient norm (inf|nan) on clips s1/bbaf2n s1/lgbm5p s1/prwazs"
    ):
        next(steps(train_state, batches, config))


# Evaluation


def test_evaluation_does_not_depend_on_the_batches(crop_store: Path) -> None:
    corpus = CropStore(crop_store)
    data = ClipDataset(corpus, corpus.split("all"), DEFAULT_TOKENIZER)
    model = make_learner(TrainConfig()).model
    alone, together = (
        evaluate(model, eval_loader(data, size), GreedyDecoder(DEFAULT_TOKENIZER), CPU) for size in (1, 4)
    )
    assert alone.loss == pytest.approx(together.loss, rel=1e-4)
    assert alone.counts == together.counts
    assert alone.names == together.names == [clip.name for clip in data.clips]
    assert alone.targets == [clip.sentence for clip in data.clips]
    assert [p.text for p in alone.predictions] == [p.text for p in together.predictions]


def test_evaluation_of_nothing() -> None:
    model = LipNet(tiny_model())
    assert evaluate(model, [], GreedyDecoder(DEFAULT_TOKENIZER), CPU).counts.sentences == 0
