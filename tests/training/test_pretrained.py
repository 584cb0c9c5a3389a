"""Runs that start from pretrained weights: what is copied, what is random, and what the metadata says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import Killed, assert_same_run, kill_at
from tiny import Train, assert_one_line, run_script, write_list

from lipnet.config import CropConfig, ModelConfig
from lipnet.data.crop_store import CropStore
from lipnet.errors import ConfigError
from lipnet.models.checkpoint import load_weights, save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata
from lipnet.training import pretrained


def test_a_run_starts_from_weights(finished_run: Path, train: Train, tmp_path: Path) -> None:
    """At learning rate 0 they are what is saved."""
    weights = finished_run / "best.safetensors"
    still = ("train.lr=0", "train.weight_decay=0", "train.ema=0", "train.epochs=1", f"pretrained={weights}")
    result = train(tmp_path / "run", *still)
    assert result.code == 0, result.err
    assert f"starting from {weights}\n" in result.out
    model, metadata = load_weights(tmp_path / "run" / "last.safetensors")
    before, metadata_before = load_weights(weights)
    for name, parameter in before.named_parameters():
        assert torch.equal(model.state_dict()[name], parameter)
    info = metadata.info["pretrained"]
    assert (info["weights"], info["epoch"]) == (str(weights), metadata_before.info["epoch"])


def test_speakers_of_all_earlier_runs_are_not_held_out(
    train: Train, crop_store: Path, tmp_path: Path
) -> None:
    """Trained on s1, then from those weights on s2, then from those again on s2: no speaker is unseen."""
    for number, speaker in enumerate(("s1", "s2")):
        own = [name for name in CropStore(crop_store).clips if name.startswith(speaker)]
        write_list(tmp_path / f"{number}.txt", own)
    weights, held_out = "", []
    for number in (0, 1, 1):
        run = tmp_path / f"run{len(held_out)}"
        settings = ("train.epochs=1", f"data.train_split={tmp_path / f'{number}.txt'}", "data.dev_splits=[]")
        result = train(run, *settings, *([f"pretrained={weights}"] if weights else []))
        assert result.code == 0, result.err
        weights = str(run / "last.safetensors")
        held_out.append(load_weights(weights)[1].info["held_out_speakers"])
    assert held_out == [["s2"], [], []]


def test_a_run_starts_from_converted_weights(finished_run: Path, train: Train, tmp_path: Path) -> None:
    """Their metadata has no epoch and no speakers."""
    weights = tmp_path / "converted.safetensors"
    model, metadata = load_weights(finished_run / "best.safetensors")
    save_weights(weights, model.state_dict(), replace(metadata, info={"converted_from": "a.pt"}))
    result = train(tmp_path / "run", f"pretrained={weights}", "train.epochs=1")
    assert result.code == 0, result.err
    assert load_weights(tmp_path / "run" / "last.safetensors")[1].info["pretrained"] == {
        "weights": str(weights),
        "train_speakers": [],
    }


def test_randomly_initialised_parts_are_named(finished_run: Path, train: Train, tmp_path: Path) -> None:
    weights = finished_run / "best.safetensors"
    result = train(tmp_path / "run", f"pretrained={weights}", "model.outputs_per_frame=2", "train.epochs=1")
    assert f"starting from {weights}; randomly initialised: output.weight, output.bias\n" in result.out


def test_randomly_initialised_parts_cannot_be_frozen(
    finished_run: Path, train: Train, tmp_path: Path
) -> None:
    weights = finished_run / "best.safetensors"
    frozen = ("train.freeze=[recurrent,output]", "train.epochs=1")
    result = train(tmp_path / "run", f"pretrained={weights}", "model.outputs_per_frame=2", *frozen)
    assert_one_line(result, "train.freeze output: randomly initialised")
    assert_one_line(train(tmp_path / "run", *frozen), "train.freeze: there are no weights to keep")
    result = train(tmp_path / "run", f"pretrained={weights}", *frozen)
    assert result.code == 0, result.err
    after, before = (
        load_weights(path)[0].state_dict() for path in (tmp_path / "run/last.safetensors", weights)
    )
    assert torch.equal(after["output.weight"], before["output.weight"])
    assert not torch.equal(after["blocks.0.conv.weight"], before["blocks.0.conv.weight"])


def test_weights_that_do_not_fit_at_all(finished_run: Path, train: Train, tmp_path: Path) -> None:
    other = ("model.channels=[2,3,5]", "model.hidden=3", "model.outputs_per_frame=2")
    result = train(tmp_path / "run", f"pretrained={finished_run / 'best.safetensors'}", *other)
    assert result.code == 2 and "no weights fit the model" in result.err


def test_weights_of_the_other_stream_are_named() -> None:
    pixels = LipNet(ModelConfig(channels=[2, 2, 2], hidden=2))
    landmarks = LipNet(ModelConfig(streams=["landmarks"], landmark_channels=[], hidden=3))
    given = pretrained.Pretrained("w.safetensors", landmarks, Metadata(landmarks.config, CropConfig()))
    with pytest.raises(ConfigError, match=r"\(they read landmarks, it reads pixels\)"):
        pretrained.start_from(given, pixels, [])


def test_a_run_without_a_complete_epoch_loads_its_weights_again(
    finished_run: Path, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in its first epoch and resumed, it is the run that it would have been."""
    settings = (
        f"pretrained={finished_run / 'best.safetensors'}",
        "train.epochs=2",
        "train.freeze=[recurrent]",
    )
    assert train(tmp_path / "whole", *settings).code == 0
    with monkeypatch.context() as patch:
        kill_at(patch, "lipnet.training.engine.batch_losses", 2)
        with pytest.raises(Killed):
            train(tmp_path / "killed", *settings)
    resumed = run_script("train", "--resume", tmp_path / "killed")
    assert resumed.code == 0, resumed.err
    assert f"starting from {finished_run / 'best.safetensors'}\n" in resumed.out
    assert_same_run(tmp_path / "killed", tmp_path / "whole")
    # After a complete epoch, the weights are in the run directory, and their file is not needed.
    config = (tmp_path / "killed" / "config.yaml").read_text().replace("best.safetensors", "gone.safetensors")
    (tmp_path / "killed" / "config.yaml").write_text(config.replace("epochs: 2", "epochs: 3"))
    resumed = run_script("train", "--resume", tmp_path / "killed")
    assert (resumed.code, "starting from" in resumed.out) == (0, False)


def test_weights_are_read_once(
    finished_run: Path, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    original = pretrained.load_weights
    monkeypatch.setattr(pretrained, "load_weights", lambda path: loaded.append(path) or original(path))
    weights = str(finished_run / "best.safetensors")
    assert train(tmp_path / "run", f"pretrained={weights}", "train.epochs=1").code == 0
    assert loaded == [weights]


def test_the_model_is_that_of_the_weights(finished_run: Path, crop_store: Path, tmp_path: Path) -> None:
    settings = (f"data.root={crop_store}", "data.dev_splits=[dev]", "train.epochs=1", "run.device=cpu")
    run = tmp_path / "run"
    result = run_script(
        "train", f"pretrained={finished_run / 'best.safetensors'}", f"run.dir={run}", *settings
    )
    assert result.code == 0, result.err
    models = [load_weights(path / "last.safetensors")[1].model for path in (run, finished_run)]
    assert models[0] == models[1]


@pytest.mark.parametrize(
    "info", [{"train_speakers": 5}, {"pretrained": [1]}, {"train_speakers": [["s1"], None]}]
)
def test_an_origin_of_other_types_has_no_speakers(info: dict[str, object]) -> None:
    assert pretrained.origin(info)["train_speakers"] == []
