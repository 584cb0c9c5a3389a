"""Training steps and evaluation."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny import tiny_model
from train_steps import CPU, make_train_state, take_steps

from lipnet.config import TrainConfig
from lipnet.data.crop_store import CropStore
from lipnet.data.dataset import Batch, ClipDataset
from lipnet.data.loading.loaders import eval_loader
from lipnet.decoding.greedy import GreedyDecoder
from lipnet.errors import TrainingError
from lipnet.models.lipnet import LipNet
from lipnet.tokenizer import DEFAULT_TOKENIZER
from lipnet.training.evaluation import evaluate
from lipnet.training.optim import TrainState


def gradient_norm(train_state: TrainState) -> float:
    gradients = [p.grad.flatten() for p in train_state.model.parameters() if p.grad is not None]
    return float(torch.cat(gradients).norm())


def test_the_measurements_of_a_step(batches: list[Batch]) -> None:
    config = TrainConfig(lr=1e-2, clip_norm=0.0, word_loss=0.5, epochs=1)
    train_state = make_train_state(config)
    for number, step in enumerate(take_steps(train_state, batches, config)):
        assert step.loss == pytest.approx(step.ctc + 0.5 * step.words)
        assert step.words > 0 and step.clips == 3 and step.seconds > 0
        assert step.lr == pytest.approx(1e-2 * (number + 1) / 3)
        assert step.grad_norm == pytest.approx(gradient_norm(train_state), rel=1e-4)  # not clipped


def test_the_whole_gradient_is_clipped(batches: list[Batch]) -> None:
    config = TrainConfig(clip_norm=0.1)
    train_state = make_train_state(config)
    for step in take_steps(train_state, batches, config):
        assert step.grad_norm > 0.2
        assert gradient_norm(train_state) == pytest.approx(0.1, rel=1e-3)


def test_training_lowers_the_loss(batches: list[Batch]) -> None:
    config = TrainConfig(lr=1e-2, epochs=8, warmup=0.0)
    train_state = make_train_state(config)
    seen = [step.loss for _ in range(8) for step in take_steps(train_state, batches, config)]
    assert sum(seen[-2:]) < 0.7 * sum(seen[:2])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_and_names_the_clips(value: float, batches: list[Batch]) -> None:
    config = TrainConfig()
    train_state = make_train_state(config)
    epoch = take_steps(train_state, batches, config)
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
    train_state = make_train_state(config)
    train_state.model.output.bias.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(
        TrainingError, match=r"gradient norm (inf|nan) on clips s1/bbaf2n s1/lgbm5p s1/prwazs"
    ):
        next(take_steps(train_state, batches, config))


def too_long(batch: Batch) -> Batch:
    """The batch with a text for its first clip that CTC cannot align to the clip's frames."""
    length, text = int(batch.target_lengths[0]), torch.ones(100, dtype=torch.int64)
    return batch._replace(
        targets=torch.cat([text, batch.targets[length:]]),
        target_lengths=torch.cat([torch.tensor([100]), batch.target_lengths[1:]]),
        steps=torch.cat([torch.tensor([199]), batch.steps[1:]]),
    )


def test_clips_with_too_long_a_text_are_left_out_of_the_means(batches: list[Batch]) -> None:
    config = TrainConfig(lr=0.0)
    [step] = take_steps(make_train_state(config), [too_long(batches[0])], config)
    model, decoder = make_train_state(config).model, GreedyDecoder(DEFAULT_TOKENIZER)
    alone = evaluate(model, [batches[1]], decoder, CPU)
    both = evaluate(model, [too_long(one_clip(batches[0])), batches[1]], decoder, CPU)
    assert step.ctc > 1 and step.clips == 3
    assert both.loss == alone.loss and both.counts.sentences == 4
    [step] = take_steps(make_train_state(config), [too_long(one_clip(batches[0]))], config)
    assert math.isnan(step.loss) and math.isnan(step.ctc) and math.isfinite(step.grad_norm)
    assert math.isnan(evaluate(model, [too_long(one_clip(batches[0]))], decoder, CPU).loss)


def one_clip(batch: Batch) -> Batch:
    """The first clip of a batch."""
    length = int(batch.target_lengths[0])
    first = {name: None if value is None else value[:1] for name, value in batch._asdict().items()}
    return Batch(**{**first, "targets": batch.targets[:length]})


# Evaluation


def test_evaluation_does_not_depend_on_the_batch_size(crop_store: Path) -> None:
    corpus = CropStore(crop_store)
    data = ClipDataset(corpus, corpus.split("all"), DEFAULT_TOKENIZER)
    model = make_train_state(TrainConfig()).model
    alone, together = (
        evaluate(model, eval_loader(data, size), GreedyDecoder(DEFAULT_TOKENIZER), CPU) for size in (1, 4)
    )
    assert alone.loss == pytest.approx(together.loss, rel=1e-4)
    assert alone.counts == together.counts
    assert alone.names == together.names == [clip.name for clip in data.clips]
    assert alone.targets == [clip.sentence for clip in data.clips]
    assert [p.text for p in alone.predictions] == [p.text for p in together.predictions]


def test_evaluation_without_clips() -> None:
    model = LipNet(tiny_model())
    assert evaluate(model, [], GreedyDecoder(DEFAULT_TOKENIZER), CPU).counts.sentences == 0
