"""The configuration: defaults <- file <- overrides, and errors that name the key."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from lipnet.config import Config
from lipnet.errors import ConfigError
from lipnet.settings import load_config, save_config
from lipnet.utils.signals import Terminated, signals_raised

RECIPES = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


def written(folder: Path, text: str) -> Path:
    path = folder / "c.yaml"
    path.write_text(text)
    return path


def test_the_last_of_defaults_file_and_overrides_wins(tmp_path: Path) -> None:
    path = written(tmp_path, "train: {epochs: 7, lr: 1e-4}\nmodel: {channels: [1, 2, 3]}\n")
    config = load_config(path, ["train.epochs=9", "data.dev_splits=[a,b]", "run.dir=runs/x y"])
    assert (config.train.epochs, config.train.lr, config.model.channels) == (9, 1e-4, [1, 2, 3])
    assert (config.data.dev_splits, config.run.dir) == (["a", "b"], "runs/x y")
    assert config.train.clip_norm == Config().train.clip_norm
    assert load_config() == Config()


def test_yaml_round_trip(tmp_path: Path) -> None:
    config = load_config(None, ["model.kernels=[[1,1,1]]", "train.lr=3e-5", "run.dir='1e3'", "run.seed=7"])
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model: {channels: [4, 4, {a: 1}]}", "model.channels[2]: a mapping of 1 is not a whole number"),
        ("model: {kernels: [[3, [5], 5]]}", "model.kernels[0][1]: a list of 1 is not a whole number"),
        ("model: {paddings: [{}]}", "model.paddings[0]: a mapping of 0 is not a list"),
        ("model: {strides: {a: 1}}", "model.strides: a mapping of 1 is not a list"),
        ("crop: {box: [1, 2, {x: 1}, 4]}", "crop.box[2]: a mapping of 1 is not a whole number"),
        ("data: {dev_splits: [[a]]}", "data.dev_splits[0]: a list of 1 is not a text"),
        ("train: {freeze: [{a: 1}]}", "train.freeze[0]: a mapping of 1 is not a text"),
    ],
)
def test_lists_in_the_wrong_places_are_named(text: str, reason: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert str(error.value) == f"{path}: {reason}"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_the_recipes_load_and_differ_from_the_defaults(path: Path) -> None:
    assert load_config(path) != Config()


def test_there_are_recipes() -> None:
    assert "grid.yaml" in [path.name for path in RECIPES]


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("train.epoch", "train.epochs"),
        ("augment.splise", "augment.splice"),
        ("model.hiden", "model.hidden"),
        ("trian", "train"),
        ("train.dropout", "model.dropout"),
    ],
)
def test_an_unknown_key_names_the_nearest(key: str, nearest: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{key}=1.*unknown key .*did you mean '{nearest}'"):
        load_config(None, [f"{key}=1"])
    section, _, leaf = key.partition(".")
    path = written(tmp_path, f"{section}: {f'{{{leaf}: 1}}' if leaf else 1}\n")
    with pytest.raises(ConfigError, match=f"c.yaml: unknown key .*did you mean '{nearest}'"):
        load_config(path)


@pytest.mark.parametrize(
    "override",
    [
        "train.epochs=many",
        "train.epochs=1.5",
        "train.epochs=null",
        "train.epochs=[1]",
        "train=5",
        "model.channels=32",
        "model.kernels=[[3,x,3]]",
        "model.word_heads=perhaps",
        "run.seed=${nothing}",
        "train.epochs",
        "=5",
        "train.lr=[1",
        "run.seed=${oc.env:HOME}",
        "data.root=${oc.env:HOME}",
        "train.lr=${train.ema}",
        "run.dir=a${b}",
    ],
)
def test_an_invalid_override_is_named_in_one_line(override: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(None, [override])
    assert override in str(error.value) and "\n" not in str(error.value)
    assert "unknown key" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "bounds"),
    [
        ("data.batch_size=0", "1 or more"),
        ("data.workers=-1", "0 or more"),
        ("train.eval_every=0", "1 or more"),
        ("train.lr=-0.1", "0 or more"),
        ("train.lr=nan", "0 or more"),
        ("train.ema=1.5", "0 to 1"),
        ("augment.flip=2", "0 to 1"),
        ("augment.shift=-2", "0 or more"),
        ("run.seed=-1", "0 or more"),
        ("crop.width=0", "1 or more"),
        ("train.lr=inf", "a finite number"),
        ("data.workers=5000", "at most 1024"),
    ],
)
def test_a_number_out_of_range_is_named(override: str, bounds: str) -> None:
    with pytest.raises(ConfigError, match=f"^{override.replace('=', ' ')}: give {bounds}$"):
        load_config(None, [override])


@pytest.mark.parametrize(
    "text",
    [
        *("just words", "- 1\n- 2\n", "train: [", "train: 5", "\x00", "a: b: c", "train: {epochs: x}"),
        *("3", "true", "2020-01-01", "~: 1", "? [a]\n: 1"),
        *("train: {lr: .nan}", 'run: {dir: "a\\0b"}', "data: {root: '${oc.env:HOME}'}"),
        *("train: " + "[" * 5000 + "]" * 5000, "a: &a [*a]", "run: {seed: " + "1" * 5000 + "}"),
        "".join(f"k{i}: &k{i} [{', '.join([f'*k{i - 1}' if i else '1'] * 10)}]\n" for i in range(10)),
    ],
)
def test_an_invalid_file_is_named_in_one_line(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    message = str(error.value)
    assert message.startswith((f"{path}: ", "train.lr nan")) and "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hidden=1000000000", r"model.hidden 1000000000: give at most 16384"),
        (f"model.hidden={'1' * 4000}", "model.hidden: give at most 16384"),
        (f"run.seed={2**64}", "run.seed: give at most 4294967295"),
        (f"run.seed={'9' * 3000}", "run.seed: give at most 4294967295"),
        ("run.seed=9999999999", r"run.seed 9999999999: give at most 4294967295"),
        ("run.dir=${oc.env:HOME}", r"run.dir: \$\{oc.env:HOME\} would be replaced; write the value itself"),
        ("crop.eye_distance=nan", "crop.eye_distance nan: give at most 10000"),
        ("train.epochs=10000000", r"train.epochs 10000000: give at most 1000000"),
    ],
)
def test_values_beyond_any_use_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(None, [override])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        *(
            ("data.root=a", ["a"]),
            ("data.root=[a,b]", ["a", "b"]),
            ("data.root=''", []),
            ("data.root=[]", []),
        ),
        *(
            ("data.leave_out=s3", ["s3"]),
            ("data.leave_out=3", ["3"]),
            ("train.freeze=blocks.0", ["blocks.0"]),
        ),
    ],
)
def test_a_list_of_one_text_needs_no_brackets(override: str, expected: list[str], tmp_path: Path) -> None:
    key, _, value = override.partition("=")
    section, _, leaf = key.partition(".")
    path = written(tmp_path, f"{section}:\n  {leaf}: {value}\n")
    for config in (load_config(None, [override]), load_config(path)):
        assert getattr(getattr(config, section), leaf) == expected
        save_config(config, tmp_path / "saved.yaml")
        assert load_config(tmp_path / "saved.yaml") == config


def test_loader_processes_are_a_number_or_auto() -> None:
    assert load_config(None, ["data.workers=4"]).data.workers == 4
    assert load_config(None, ["data.workers=auto"]).data.workers == "auto"
    with pytest.raises(ConfigError, match=r"^data\.workers 'many': give auto, or 0 or more$"):
        load_config(None, ["data.workers=many"])
    for wrong in ("true", "1.5", "[1]"):
        with pytest.raises(ConfigError, match=r"data\.workers"):
            load_config(None, [f"data.workers={wrong}"])


def test_a_missing_file_and_a_binary_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such config file"):
        load_config(tmp_path / "nothing.yaml")
    (tmp_path / "weights.yaml").write_bytes(bytes(range(256)))
    with pytest.raises(ConfigError, match=r"weights\.yaml: cannot be read as settings"):
        load_config(tmp_path / "weights.yaml")


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "")) == Config()


def test_a_signal_waits_until_omegaconf_has_read_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """OmegaConf catches what a signal's handler raises within it, and raises something else."""
    merge = OmegaConf.merge

    def interrupted(*trees: object) -> object:
        signal.raise_signal(signal.SIGTERM)
        merged = merge(*trees)
        done.append(True)
        return merged

    done: list[bool] = []
    monkeypatch.setattr(OmegaConf, "merge", interrupted)
    with pytest.raises(Terminated), signals_raised():
        load_config(overrides=["train.epochs=2"])
    assert done == [True]
