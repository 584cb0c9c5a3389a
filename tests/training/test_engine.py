"""Training steps and evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
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


def test_steps_are_read_several_at_a_time(batches: list[Batch]) -> None:
    """With the numbers that they have when each is read at once; the last ones when the epoch ends."""
    results = []
    for log_every in (1, 3):
        config = TrainConfig(log_every=log_every)
        loading: list[int] = []  # the batches that have been asked for when each step is yielded

        def asked(loading: list[int] = loading) -> Iterator[Batch]:
            for number, batch in enumerate(batches * 2, start=1):
                loading.append(number)
                yield batch

        steps = [(step, loading[-1]) for step in take_steps(make_train_state(config), asked(), config)]
        results.append([step for step, _ in steps])
        assert [number for _, number in steps] == ([1, 2, 3, 4] if log_every == 1 else [3, 3, 3, 4])
    for one, other in zip(*results, strict=True):
        assert replace(one, seconds=0) == replace(other, seconds=0)


def test_clips_are_named_when_a_loss_is_read_later(batches: list[Batch]) -> None:
    """None of the steps that were read with it is yielded, so that nothing of them is saved."""
    config = TrainConfig(log_every=3)
    train_state = make_train_state(config)

    def spoilt() -> Iterator[Batch]:
        yield batches[0]
        with torch.no_grad():
            train_state.model.output.bias[3] = math.nan
        yield batches[1]

    with pytest.raises(TrainingError, match=r"loss nan.* on clips s1/swiq9a s2/lwik7a s2/pbaxzn; "):
        list(take_steps(train_state, spoilt(), config))


def test_a_step_beyond_the_range_of_float16_is_left_out(batches: list[Batch]) -> None:
    config = TrainConfig()
    train_state = make_train_state(config, is_scaled=True)
    factors = iter([1.0, math.inf, 1.0])
    train_state.model.output.bias.register_hook(lambda gradient: gradient * next(factors))
    weights, norms = [], []
    for step in take_steps(train_state, [batches[0]] * 3, config):
        weights.append(train_state.model.output.weight.detach().clone())
        norms.append(step.grad_norm)
    assert not torch.equal(weights[1], weights[2]) and torch.equal(weights[0], weights[1])
    assert math.isnan(norms[1]) and math.isfinite(norms[0]) and math.isfinite(norms[2])
    assert train_state.scaler.get_scale() == 2**15
    other = make_train_state(config, is_scaled=True)
    other.load_state_dict(train_state.state_dict())
    assert other.scaler.get_scale() == 2**15
    make_train_state(config).load_state_dict(train_state.state_dict())  # continued in another precision


def test_gradients_that_stay_beyond_float16_stop_the_run(batches: list[Batch]) -> None:
    config = TrainConfig()
    train_state = make_train_state(config, is_scaled=True)
    train_state.model.output.bias.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(TrainingError, match=r"gradient norm (inf|nan) on clips"):
        list(take_steps(train_state, [batches[0]] * 40, config))


def test_compiled_parts_compute_the_same(batches: list[Batch]) -> None:
    """Without a break of their graphs, also where batches differ in their number of frames."""
    config = TrainConfig()
    plain, compiled = make_train_state(config), make_train_state(config)
    compiled.model.compile_parts(fullgraph=True, backend="eager")
    for one, other in zip(
        take_steps(plain, batches, config), take_steps(compiled, batches, config), strict=True
    ):
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)
    assert compiled.state_dict()["model"].keys() == plain.state_dict()["model"].keys()


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
