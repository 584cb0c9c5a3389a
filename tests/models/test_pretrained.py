"""Runs that begin with other weights: what is taken over, what begins anew, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from tiny import Train, assert_one_line, run_script, write_list

from lipnet.data.crop_store import CropStore
from lipnet.models.checkpoint import load_weights, save_weights


def test_a_run_begins_with_weights(straight: Path, train: Train, tmp_path: Path) -> None:
    """At learning rate 0 they are what is kept, and their sizes need not be given."""
    weights = straight / "best.safetensors"
    still = ("train.lr=0", "train.weight_decay=0", "train.ema=0", "train.epochs=1", f"pretrained={weights}")
    result = train(tmp_path / "run", *still)
    assert result.code == 0, result.err
    assert f"begins with {weights}\n" in result.out
    (model, said), (before, begun) = (
        load_weights(tmp_path / "run" / "last.safetensors"),
        load_weights(weights),
    )
    for name, parameter in before.named_parameters():
        assert torch.equal(model.state_dict()[name], parameter)
    assert (said.info["pretrained"]["weights"], said.info["pretrained"]["epoch"]) == (
        str(weights),
        begun.info["epoch"],
    )


def test_speakers_known_to_any_ancestor_are_not_held_out(
    train: Train, crop_store: Path, tmp_path: Path
) -> None:
    """s1, then s2 from its weights, then s2 once more from those: nobody is left who is unknown."""
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


def test_a_run_begins_with_weights_of_another_program(straight: Path, train: Train, tmp_path: Path) -> None:
    """Converted ones say nothing of epochs or speakers."""
    weights = tmp_path / "converted.safetensors"
    model, metadata = load_weights(straight / "best.safetensors")
    save_weights(weights, model.state_dict(), replace(metadata, info={"converted_from": "a.pt"}))
    result = train(tmp_path / "run", f"pretrained={weights}", "train.epochs=1")
    assert result.code == 0, result.err
    assert load_weights(tmp_path / "run" / "last.safetensors")[1].info["pretrained"] == {
        "weights": str(weights),
        "train_speakers": [],
    }


def test_what_does_not_fit_begins_anew_and_is_named(straight: Path, train: Train, tmp_path: Path) -> None:
    weights = straight / "best.safetensors"
    result = train(tmp_path / "run", f"pretrained={weights}", "model.outputs_per_frame=2", "train.epochs=1")
    assert f"begins with {weights}; begins anew: output.weight, output.bias\n" in result.out


def test_what_begins_anew_cannot_be_frozen(straight: Path, train: Train, tmp_path: Path) -> None:
    weights = straight / "best.safetensors"
    frozen = ("train.freeze=[recurrent,output]", "train.epochs=1")
    result = train(tmp_path / "run", f"pretrained={weights}", "model.outputs_per_frame=2", *frozen)
    assert_one_line(result, "train.freeze output: it begins anew")
    assert_one_line(train(tmp_path / "run", *frozen), "train.freeze: there is nothing to keep")
    result = train(tmp_path / "run", f"pretrained={weights}", *frozen)
    assert result.code == 0, result.err
    after, before = (
        load_weights(path)[0].state_dict() for path in (tmp_path / "run/last.safetensors", weights)
    )
    assert torch.equal(after["output.weight"], before["output.weight"])
    assert not torch.equal(after["blocks.0.conv.weight"], before["blocks.0.conv.weight"])


def test_weights_that_do_not_fit_at_all(straight: Path, train: Train, tmp_path: Path) -> None:
    other = ("model.channels=[2,3,5]", "model.hidden=3", "model.outputs_per_frame=2")
    result = train(tmp_path / "run", f"pretrained={straight / 'best.safetensors'}", *other)
    assert result.code == 2 and "nothing of these weights fits the model" in result.err


def test_the_model_is_that_of_the_weights(straight: Path, crop_store: Path, tmp_path: Path) -> None:
    settings = (f"data.root={crop_store}", "data.dev_splits=[dev]", "train.epochs=1", "run.device=cpu")
    run = tmp_path / "run"
    result = run_script("train", f"pretrained={straight / 'best.safetensors'}", f"run.dir={run}", *settings)
    assert result.code == 0, result.err
    assert (
        load_weights(run / "last.safetensors")[1].model
        == load_weights(straight / "last.safetensors")[1].model
    )
