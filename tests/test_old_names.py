"""Files and overrides with former names (``settings.OLD_NAMES``) are still read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from runs import Killed, assert_same_run, kill_at
from tiny import CROP, Train, run_script, tiny_model

from lipnet.config import Config
from lipnet.errors import ConfigError
from lipnet.models.checkpoint import load_resume, load_weights, save_resume, save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata, dump_metadata, parse_metadata
from lipnet.settings import OLD_NAMES, Settings, load_config, rename_old_names, save_config

# Of today's settings, the former names and values that are not the defaults.
SETTINGS = {
    "init": ("pretrained", "a.safetensors"),
    "model.initial": ("model.init", "keras"),
    "model.pixels": ("model.normalization", "clip"),
    "train.frozen": ("train.freeze", ["recurrent", "blocks.0"]),
}


def look_up(tree: Any, name: str) -> Any:
    for key in name.split("."):
        tree = tree[key] if isinstance(tree, dict) else getattr(tree, key)
    return tree


def nested(name: str, value: object) -> dict[str, Any]:
    for key in reversed(name.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def with_old_names(tree: dict[str, Any]) -> dict[str, Any]:
    """A copy of a nested dict with the former names of all that has one, and without the younger digest."""
    tree = json.loads(json.dumps(tree))
    tree.pop("sha256", None)
    for old, new in OLD_NAMES.items():
        *path, old_key = old.split(".")
        section: Any = tree
        for key in path:
            section = section.get(key, {}) if isinstance(section, dict) else {}
        new_key = new.rpartition(".")[2]
        if isinstance(section, dict) and new_key in section:
            section[old_key] = section.pop(new_key)
    return tree


@pytest.mark.parametrize("old", SETTINGS)
def test_recipes_and_overrides(old: str, tmp_path: Path) -> None:
    new, value = SETTINGS[old]
    assert OLD_NAMES[old] == new
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(nested(old, value)))
    from_file = load_config(tmp_path / "recipe.yaml")
    text = f"[{','.join(value)}]" if isinstance(value, list) else value
    from_override = load_config(None, [f"{old}={text}"])
    assert from_file == from_override != Config()
    assert look_up(from_file, new) == value


def test_pretrained_weights_of_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("init: a.safetensors\n")
    assert Settings(tmp_path / "recipe.yaml").pretrained == "a.safetensors"
    assert Settings(tmp_path / "recipe.yaml", ["pretrained=b.safetensors"]).pretrained == "b.safetensors"


@pytest.mark.parametrize("old", OLD_NAMES)
def test_an_old_name_beside_the_new_one_is_an_error(old: str) -> None:
    new = OLD_NAMES[old]
    tree = nested(old, 1)
    section = look_up(tree, old.rpartition(".")[0]) if "." in old else tree
    section[new.rpartition(".")[2]] = 2
    with pytest.raises(ConfigError, match=rf"^{old} is the old name of {new}; give only {new}$"):
        rename_old_names(tree)


def test_both_names_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("train: {frozen: [output], freeze: [output]}\n")
    with pytest.raises(ConfigError, match=r"train\.frozen is the old name of train\.freeze"):
        load_config(tmp_path / "recipe.yaml")


def test_a_saved_config(tmp_path: Path) -> None:
    """The config.yaml of a run directory, which has every setting."""
    config = load_config(None, ["model.init=glorot", "model.normalization=unit", "pretrained=a.safetensors"])
    save_config(config, tmp_path / "new.yaml")
    tree = with_old_names(yaml.safe_load((tmp_path / "new.yaml").read_text()))
    del tree["train"]["select"]  # which is younger than the names
    assert tree["model"]["initial"] == "glorot" and "init" not in tree["model"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tree))
    assert load_config(tmp_path / "config.yaml") == config


def test_checkpoint_metadata() -> None:
    info = {"pretrained": {"epoch": 3}, "recipe": {"train": {"freeze": ["output"], "lr": 0.1}}, "epoch": 7}
    metadata = Metadata(tiny_model(init="keras", normalization="unit"), CROP, info)
    tree = with_old_names(json.loads(dump_metadata(metadata)))
    assert tree["model"]["pixels"] == "unit" and tree["info"]["recipe"]["train"]["frozen"] == ["output"]
    assert tree["info"]["init"] == {"epoch": 3}
    assert parse_metadata(json.dumps(tree)) == metadata


def test_the_weights_of_an_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LipNet(tiny_model(normalization="unit", init="keras"))
    metadata = Metadata(model.config, CROP)
    text = json.dumps(with_old_names(json.loads(dump_metadata(metadata))))
    monkeypatch.setattr("lipnet.models.checkpoint.dump_metadata", lambda _: text)
    save_weights(tmp_path / "old.safetensors", model.state_dict(), metadata)
    loaded, restored = load_weights(tmp_path / "old.safetensors")
    assert restored == metadata
    assert torch.equal(loaded.std, model.std) and torch.equal(loaded.output.weight, model.output.weight)


def test_a_run_begun_under_the_old_names_resumes(
    finished_run: Path, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Config and resume state of a run from pretrained weights, killed in its second epoch."""
    settings = (
        f"pretrained={finished_run / 'best.safetensors'}",
        "train.freeze=[recurrent]",
        "train.epochs=2",
    )
    assert train(tmp_path / "whole", *settings).code == 0
    old = tmp_path / "old"
    with monkeypatch.context() as patch:
        kill_at(patch, "lipnet.training.engine.batch_losses", 5)
        with pytest.raises(Killed):
            train(old, *settings)
    config = with_old_names(yaml.safe_load((old / "config.yaml").read_text()))
    assert config["init"] and config["train"]["frozen"] == ["recurrent"]
    (old / "config.yaml").write_text(yaml.safe_dump(config))
    state = load_resume(old / "resume.pt")
    state["learner"], state["ancestor"] = state.pop("train_state"), state.pop("pretrained_info")
    save_resume(old / "resume.pt", state)
    result = run_script("train", "--resume", old)
    assert result.code == 0, result.err
    assert_same_run(old, tmp_path / "whole")
    info = load_weights(old / "last.safetensors")[1].info
    assert info["pretrained"]["weights"] == str(finished_run / "best.safetensors")
    assert load_config(old / "config.yaml").train.freeze == ["recurrent"]
