"""Training steps on a GPU: each recipe on a pretended one, and on a real one where there is one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pretended_gpu import WaitsError, pretended_gpu
from tiny import OFF, random_frames
from torch import Tensor

from lipnet.config import Config
from lipnet.data.dataset import Batch
from lipnet.data.pixel_transforms import augment_pixels
from lipnet.data.transforms import IGNORE
from lipnet.device import Device, choose_device
from lipnet.models.landmark_encoder import input_width
from lipnet.models.lipnet import LipNet
from lipnet.settings import load_config
from lipnet.tokenizer import Tokenizer
from lipnet.training.engine import to_device, train_one_epoch
from lipnet.training.losses import batch_losses
from lipnet.training.optim import TrainState

CONFIGS = Path(__file__).parents[2] / "configs"
RECIPES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def recipe_batch(config: Config, lengths: tuple[int, ...] = (21, 30)) -> Batch:
    """Random clips for a recipe; the first one has no landmarks and no word timings."""
    model, count, frames = config.model, len(lengths), max(lengths)
    pixels = random_frames(count, frames, model.height, model.width)
    if "pixels" not in model.streams:
        pixels = pixels[:, :, :0, :0]
    texts = [Tokenizer(model.alphabet).encode("bin")] * count
    words = torch.randint(0, 52, (count, frames))
    words[0] = IGNORE
    landmarks = torch.randn(count, frames, input_width(model))
    landmarks[0] = torch.nan
    return Batch(
        frames=pixels,
        lengths=torch.tensor(lengths),
        targets=torch.tensor([symbol for text in texts for symbol in text]),
        target_lengths=torch.tensor([len(text) for text in texts]),
        steps=torch.tensor([len(text) for text in texts]),
        words=words,
        names=[f"s1/{i}" for i in range(count)],
        sentences=["bin"] * count,
        landmarks=landmarks if "landmarks" in model.streams else None,
        mirrored=torch.tensor([True] + [False] * (count - 1)),
    )


def losses(model: LipNet, batch: Batch, config: Config, device: Device) -> tuple[Tensor, Tensor]:
    """CTC loss and cross-entropy of a training step."""
    frames = augment_pixels(batch.frames, config.augment, batch.mirrored)
    with device.autocast():
        output = model(frames, batch.lengths, batch.landmarks)
    return batch_losses(output, batch)[:2]


@pytest.mark.parametrize("kind", ["cuda", "meta"])
@pytest.mark.parametrize("name", RECIPES)
def test_a_step_of_each_recipe_waits_for_nothing(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(CONFIGS / f"{name}.yaml")
    with torch.device("meta"):
        model = LipNet(config.model)
    batch = recipe_batch(config)
    with pretended_gpu(kind, monkeypatch) as gpu:
        model = model.to_empty(device=gpu).train()
        device = Device(gpu, torch.bfloat16 if kind == "cuda" else torch.float32)
        moved = to_device(batch, device)
        assert moved.frames.device == gpu and moved.frames.shape[1] == 32
        ctc, words = losses(model, moved, config, device)
        assert ctc.device == words.device == gpu and ctc.dtype == words.dtype == torch.float32
        if kind == "meta":
            (ctc + words).backward()
            for key, value in model.named_parameters():
                assert value.grad is not None and value.grad.device == gpu, key


@pytest.mark.parametrize("kind", ["cuda", "meta"])
def test_what_would_wait_is_found(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended_gpu(kind, monkeypatch) as gpu:
        x = torch.zeros(3, device=gpu)
        for wait in (
            lambda: x.cpu(),
            lambda: x[x > 0],
            lambda: bool(x.any()),
            lambda: float(x.sum()),
            lambda: torch.tensor([1.0, 2.0]).to(gpu),
            lambda: x + torch.zeros(3),
        ):
            with pytest.raises((WaitsError, RuntimeError)):
                wait()


# On a real GPU


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("name", ["grid_small", "grid_fusion", "keras_unseen"])
def test_steps_on_a_gpu_do_not_wait(name: str, precision: str) -> None:
    config = load_config(CONFIGS / f"{name}.yaml")
    device = choose_device("cuda", precision)
    device.tune()
    state = TrainState(
        LipNet(config.model).place("cuda"), config.train, 8, is_scaled=device.dtype == torch.float16
    )
    batch = recipe_batch(config)
    batch = batch._replace(
        **{key: value.pin_memory() for key, value in batch._asdict().items() if isinstance(value, Tensor)}
    )
    train = replace(config.train, log_every=100)

    def batches(count: int, mode: str) -> Iterator[Batch]:
        torch.cuda.set_sync_debug_mode(mode)
        for _ in range(count):
            yield batch
        torch.cuda.set_sync_debug_mode("default")  # the losses are read now

    list(train_one_epoch(state, batches(2, "default"), train, config.augment, device))  # makes the state
    steps = list(train_one_epoch(state, batches(3, "error"), train, config.augment, device))
    assert len(steps) == 3 and all(math.isfinite(step.loss) for step in steps)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "limit"), [("bfloat16", 2e-2), ("float32", 1e-4)])
def test_a_gpu_reads_what_a_cpu_reads(precision: str, limit: float) -> None:
    config = load_config(CONFIGS / "grid_small.yaml")
    model, batch = LipNet(config.model).eval(), recipe_batch(config)
    device = choose_device("cuda", precision)
    device.tune()
    with torch.inference_mode():
        expected = model(batch.frames, batch.lengths).log_probs
        model.place("cuda")
        with device.autocast():
            read = model(batch.frames.cuda(), batch.lengths).log_probs.cpu()
    for ours, theirs, steps in zip(read, expected, (2 * batch.lengths).tolist(), strict=True):
        torch.testing.assert_close(ours[:steps], theirs[:steps], rtol=0, atol=limit)


@pytest.mark.gpu
def test_a_step_on_a_gpu_is_that_on_a_cpu() -> None:
    """In float32, without dropout; a padded batch on the GPU, and another CTC loss."""
    config = load_config(CONFIGS / "grid_small.yaml", ["model.dropout=0", "run.precision=float32"])
    results = []
    for name in ("cpu", "cuda"):
        device = choose_device(name, "float32")
        device.tune()
        torch.manual_seed(0)
        model = LipNet(config.model).place(name)
        torch.manual_seed(1)
        state = TrainState(model, config.train, 8)
        results.append(list(train_one_epoch(state, [recipe_batch(config)] * 3, config.train, OFF, device)))
    for ours, theirs in zip(*results, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-3)
        assert ours.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-2)
