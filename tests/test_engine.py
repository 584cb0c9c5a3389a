"""Losses against sums over all paths, the schedule and the averages by hand, and steps that must stop."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny import tiny_model
from torch import Tensor
from torch.optim import Adam, AdamW

from lipnet.config import AugmentConfig, ConfigError, TrainConfig
from lipnet.data import IGNORE, Batch, ClipDataset, collate, eval_loader
from lipnet.data import SampleKey as Key
from lipnet.decode import GreedyDecoder
from lipnet.engine import (
    Learner,
    Step,
    ctc_loss,
    evaluate,
    frame_weights,
    learning_rate_factor,
    make_optimizer,
    train_one_epoch,
    word_loss,
)
from lipnet.errors import TrainingError
from lipnet.hardware import Hardware
from lipnet.model import LipNet, Output
from lipnet.packed import PackedCorpus
from lipnet.text import LETTERS

CPU = Hardware(torch.device("cpu"), bfloat16=False)
OFF = AugmentConfig(resample=0.0, flip=0.0)


def random_log_probs(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)


def label_batch(targets: list[list[int]], lengths: list[int], words: list[list[int]] | None = None) -> Batch:
    """A batch of which only the labels matter."""
    return Batch(
        torch.zeros(len(targets), max(lengths), 1, 1, 3, dtype=torch.uint8),
        torch.tensor(lengths),
        torch.tensor([symbol for target in targets for symbol in target]),
        torch.tensor([len(target) for target in targets]),
        torch.tensor(words or [[IGNORE] * max(lengths)] * len(targets)),
        [f"s1/{i}" for i in range(len(targets))],
        ["" for _ in targets],
    )


def path_sum(log_probs: Tensor, target: list[int]) -> float:
    """Probability of a label: the sum over all V ** T paths that collapse to it."""
    frames, symbols = log_probs.shape
    total = 0.0
    for path in itertools.product(range(symbols), repeat=frames):
        if [symbol for symbol, _ in itertools.groupby(path) if symbol] == target:
            total += math.exp(sum(float(log_probs[t, symbol]) for t, symbol in enumerate(path)))
    return total


def test_ctc_is_the_clips_mean_of_the_path_sum_a_symbol() -> None:
    log_probs = random_log_probs(3, 5, 3)
    targets, lengths = [[1, 2], [2], [1, 1, 2]], [5, 2, 4]
    output, batch = Output(log_probs, torch.tensor(lengths), []), label_batch(targets, lengths)
    ctc, words = ctc_loss(output, batch), word_loss(output, batch)
    expected = [
        -math.log(path_sum(log_probs[i, :length], target)) / len(target)
        for i, (target, length) in enumerate(zip(targets, lengths, strict=True))
    ]
    assert ctc.item() == pytest.approx(sum(expected) / 3, rel=1e-5)
    assert words.item() == 0


def test_a_clip_shorter_than_its_text_teaches_nothing() -> None:
    log_probs = random_log_probs(2, 4, 3).requires_grad_()
    ctc = ctc_loss(Output(log_probs, torch.tensor([3, 4]), []), label_batch([[1, 1, 2], [1]], [3, 4]))
    assert ctc.item() == pytest.approx(-math.log(path_sum(log_probs[1].detach(), [1])) / 2, rel=1e-5)
    ctc.backward()
    assert log_probs.grad is not None
    assert not log_probs.grad[0].any() and log_probs.grad[1].any()


def test_cross_entropy_ignores_frames_without_a_known_word() -> None:
    heads = [torch.randn(2, 3, 5), torch.randn(2, 3, 5)]
    words = [[1, IGNORE, 4], [0, IGNORE, IGNORE]]
    batch = label_batch([[1], [1]], [3, 1], words)
    loss = word_loss(Output(random_log_probs(2, 3, 3), torch.tensor([3, 1]), heads), batch)
    known = [(0, 0, 1), (0, 2, 4), (1, 0, 0)]
    expected = [-head.log_softmax(-1)[i, t, word].item() for head in heads for i, t, word in known]
    assert loss.item() == pytest.approx(sum(expected) / 6, rel=1e-5)


def test_a_word_counts_by_the_square_root_of_its_frames() -> None:
    words = torch.tensor([[0, 7, 7, 7, 7, 3, 0, 0, 0], [IGNORE, 7, 7, 0, IGNORE, IGNORE, 3, 3, 3]])
    third = 3**-0.5
    expected = [[0.5] * 5 + [1] + [0.5] * 3, [0, 0.5**0.5, 0.5**0.5, 1, 0, 0, third, third, third]]
    torch.testing.assert_close(frame_weights(words), torch.tensor(expected).flatten())


def test_the_loss_reads_each_steps_clip_to_its_end() -> None:
    """With two outputs a frame, a clip of two frames has four steps, enough for three characters."""
    log_probs = random_log_probs(1, 6, 3)
    batch = label_batch([[1, 2, 1]], [2])
    ctc = ctc_loss(Output(log_probs, torch.tensor([4]), []), batch)
    assert ctc.item() == pytest.approx(-math.log(path_sum(log_probs[0, :4], [1, 2, 1])) / 3, rel=1e-5)


def test_without_any_alignment_the_word_loss_is_zero() -> None:
    output = Output(random_log_probs(1, 3, 3), torch.tensor([3]), [torch.randn(1, 3, 5)])
    assert word_loss(output, label_batch([[1]], [3])).item() == 0


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
def batches(packed_corpus: Path) -> list[Batch]:
    """Two batches of three clips."""
    corpus = PackedCorpus(packed_corpus)
    data = ClipDataset(corpus, corpus.split("train"), LETTERS)
    return [collate([data[Key(i)] for i in group]) for group in ((0, 1, 2), (3, 4, 5))]


def make_learner(config: TrainConfig, steps: int = 2) -> Learner:
    torch.manual_seed(0)
    model = LipNet(tiny_model(word_heads=True, norm="batch", dropout=0.0))
    return Learner(model, config, steps * config.epochs)


def steps(learner: Learner, batches: list[Batch], config: TrainConfig) -> Iterator[Step]:
    return train_one_epoch(learner, batches, config, OFF, CPU)


def gradient_norm(learner: Learner) -> float:
    gradients = [p.grad.flatten() for p in learner.model.parameters() if p.grad is not None]
    return float(torch.cat(gradients).norm())


def test_a_step_reports_what_it_did(batches: list[Batch]) -> None:
    config = TrainConfig(lr=1e-2, clip_norm=0.0, word_loss=0.5, epochs=1)
    learner = make_learner(config)
    for number, step in enumerate(steps(learner, batches, config)):
        assert step.loss == pytest.approx(step.ctc + 0.5 * step.words)
        assert step.words > 0 and step.clips == 3 and step.seconds > 0
        assert step.lr == pytest.approx(1e-2 * (number + 1) / 3)
        assert step.grad_norm == pytest.approx(gradient_norm(learner), rel=1e-4)  # not clipped


def test_the_whole_gradient_is_clipped(batches: list[Batch]) -> None:
    config = TrainConfig(clip_norm=0.1)
    learner = make_learner(config)
    for step in steps(learner, batches, config):
        assert step.grad_norm > 0.2
        assert gradient_norm(learner) == pytest.approx(0.1, rel=1e-3)


def test_training_lowers_the_loss(batches: list[Batch]) -> None:
    config = TrainConfig(lr=1e-2, epochs=8, warmup=0.0)
    learner = make_learner(config)
    seen = [step.loss for _ in range(8) for step in steps(learner, batches, config)]
    assert sum(seen[-2:]) < 0.7 * sum(seen[:2])


def test_biases_and_gains_do_not_decay(batches: list[Batch]) -> None:
    learner = make_learner(TrainConfig(weight_decay=0.3))
    decays = {
        id(p): group["weight_decay"] for group in learner.optimizer.param_groups for p in group["params"]
    }
    for name, parameter in learner.model.named_parameters():
        is_vector = "bias" in name or "norm" in name
        assert decays[id(parameter)] == (0.0 if is_vector else 0.3), name


def test_averaged_weights_by_hand(batches: list[Batch]) -> None:
    config = TrainConfig(ema=0.25, lr=1e-2)
    learner = make_learner(config)
    expected = None
    for count, _ in enumerate(steps(learner, batches * 3, config)):
        now = {name: value.clone() for name, value in learner.model.state_dict().items()}
        if expected is None:
            expected = now
            continue
        keep = min(0.25, (1 + count) / (10 + count))  # young averages forget faster
        for name, value in now.items():
            mixed = keep * expected[name] + (1 - keep) * value
            expected[name] = mixed if value.is_floating_point() else value
    assert expected is not None
    for name, value in learner.averaged.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    assert not torch.equal(learner.averaged.output.weight, learner.model.output.weight)


@pytest.mark.parametrize(
    ("frozen", "learning"),
    [
        (["blocks.0", "blocks.1"], {"blocks.2", "recurrent.0", "recurrent.1", "output", "word_heads"}),
        (["recurrent", "word_heads", "output"], {"blocks.0", "blocks.1", "blocks.2"}),
    ],
)
def test_frozen_parts_stay_as_they_are(batches: list[Batch], frozen: list[str], learning: set[str]) -> None:
    config = TrainConfig(frozen=frozen, ema=0.5)
    learner = make_learner(config)
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    list(steps(learner, batches, config))
    for model in (learner.model, learner.averaged):
        same = {name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])}
        for name in before.keys() - {name for name in before if name.endswith("num_batches_tracked")}:
            assert (name in same) == name.startswith(tuple(frozen)) != name.startswith(tuple(learning)), name


def test_frozen_word_heads_that_a_model_does_without() -> None:
    model = LipNet(tiny_model(word_heads=False))
    Learner(model, TrainConfig(frozen=["recurrent", "word_heads", "output"]), 2)
    learning = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {"blocks"}


def test_a_frozen_part_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match=r"train\.frozen block\.0: choose of blocks, recurrent, output"):
        make_learner(TrainConfig(frozen=["block.0"]))


def test_without_averaging_the_model_itself_is_evaluated() -> None:
    learner = make_learner(TrainConfig(ema=0.0))
    assert learner.averaged is learner.model


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
    learner = make_learner(config)
    epoch = steps(learner, batches, config)
    next(epoch)
    with torch.no_grad():
        learner.model.output.bias[3] = value
    before = {name: parameter.clone() for name, parameter in learner.model.named_parameters()}
    with pytest.raises(TrainingError, match=r"loss nan.* s1/swiq9a s2/lwik7a s2/pbaxzn; .*lower train\.lr"):
        next(epoch)
    for name, parameter in learner.model.named_parameters():
        assert torch.equal(parameter.nan_to_num(), before[name].nan_to_num()), name


def test_a_gradient_that_is_not_finite_stops_too(batches: list[Batch]) -> None:
    config = TrainConfig()
    learner = make_learner(config)
    learner.model.output.bias.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(
        TrainingError, match=r"gradient norm (inf|nan) on clips s1/bbaf2n s1/lgbm5p s1/prwazs"
    ):
        next(steps(learner, batches, config))


# Evaluation


def test_evaluation_does_not_depend_on_the_batches(packed_corpus: Path) -> None:
    corpus = PackedCorpus(packed_corpus)
    data = ClipDataset(corpus, corpus.split("all"), LETTERS)
    model = make_learner(TrainConfig()).model
    alone, together = (
        evaluate(model, eval_loader(data, size), GreedyDecoder(LETTERS), CPU) for size in (1, 4)
    )
    assert alone.loss == pytest.approx(together.loss, rel=1e-4)
    assert alone.counts == together.counts
    assert alone.names == together.names == [clip.name for clip in data.clips]
    assert alone.targets == [clip.sentence for clip in data.clips]
    assert [p.text for p in alone.predictions] == [p.text for p in together.predictions]


def test_evaluation_of_nothing() -> None:
    model = LipNet(tiny_model())
    assert evaluate(model, [], GreedyDecoder(LETTERS), CPU).counts.sentences == 0
