"""train.py and bad input, and its progress bar. Runs: ``tests/training/test_run_dir.py``."""

from __future__ import annotations

import json
import re
from pathlib import Path

from runs import log_of
from tiny import OVERRIDES, Result, assert_one_line, contents, pack, run_script, write_list

from lipnet.data.corpus import Clip


def test_training_on_bad_input(crop_store: Path, tmp_path: Path) -> None:
    def train(*more: str) -> Result:
        settings = (f"data.root={crop_store}", f"run.dir={tmp_path / 'run'}")
        return run_script("train", *OVERRIDES, *settings, *more)

    absent = write_list(tmp_path / "absent.txt", ["s7/swiz0n"])
    geometry = "has crops of 24x16 px, the model reads 100x16: set model.width"
    assert_one_line(train("augment.splise=1"), "'augment.splise'", "did you mean 'augment.splice'")
    assert_one_line(train("train.epochs=many"), "train.epochs", "many")
    assert_one_line(train(f"data.train_split={absent}"), absent, "s7/swiz0n")
    assert_one_line(train("data.dev_splits=[test]"), "no split 'test'")
    assert_one_line(train("model.width=100"), crop_store, geometry)
    assert_one_line(train("model.cell=rnn"), "model.cell 'rnn'", "gru, lstm")
    assert_one_line(train("model.alphabet=abc"), "alphabet 'abc'")
    assert_one_line(train("data.batch_size=0"), "data.batch_size 0")
    assert_one_line(train("data.root=''"), "data.root is not set", "scripts/preprocess.py")
    assert_one_line(train(f"data.root={tmp_path}"), tmp_path, "not a crop store")
    assert_one_line(train("run.device=tpu"), "'tpu'")
    assert_one_line(train("run.dir=''"), "run.dir is not set")
    assert_one_line(train(f"pretrained={tmp_path / 'w'}"), tmp_path / "w", "no such weights")
    assert_one_line(train(f"data.mix_root={tmp_path}"), tmp_path, "not a crop store")
    config, run = tmp_path / "c.yaml", tmp_path / "run"
    assert_one_line(run_script("train", "--config", config), config, "no such config")
    assert_one_line(run_script("train", "--resume", run), run, "no run to resume")
    assert list(contents(tmp_path)) == ["absent.txt"]


def test_crop_settings_cannot_be_changed_in_training(crop_store: Path, tmp_path: Path) -> None:
    settings = (f"data.root={crop_store}", f"run.dir={tmp_path / 'run'}", "crop.eye_distance=60")
    assert_one_line(run_script("train", *settings), "crop.eye_distance=60", "scripts/preprocess.py")


def test_a_broken_resume_state_is_named(crop_store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_script("train", *OVERRIDES, f"data.root={crop_store}", f"run.dir={run}", "train.epochs=1")
    (run / "resume.pt").write_bytes(b"half a file")
    complaint = "delete it to start the run from its beginning"
    assert_one_line(run_script("train", "--resume", run), run / "resume.pt", complaint)


def test_overrides_may_precede_or_follow_options(crop_store: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("run: {seed: 5}\n")
    arguments = ("run.device=tpu", "--config", tmp_path / "c.yaml", f"data.root={crop_store}", "run.dir=x")
    assert_one_line(run_script("train", *arguments), "device 'tpu'")


def test_texts_that_are_too_long_are_counted_and_named(tmp_path: Path) -> None:
    lengths = {"long": 20, "double": 5, "fits": 20}
    texts = {"long": "hello " * 19 + "hello", "double": "hello", "fits": "hi"}
    pack(tmp_path, [Clip("sp", name, Path(), texts[name], ()) for name in lengths], list(lengths.values()))
    settings = (f"data.root={tmp_path}", "data.train_split=all", "data.dev_splits=[]", "train.epochs=1")
    settings = (*OVERRIDES, *settings, "augment.resample=0", "augment.splice=0", "data.batch_size=1")
    result = run_script("train", *settings, f"run.dir={tmp_path / 'run'}")
    assert result.code == 0, result.err
    [line] = [line for line in result.out.splitlines() if "CTC" in line]
    assert line.startswith(
        "2 of 3 training clips have longer texts than CTC can align to their frames, such as "
    )
    assert "sp/long (119 characters), sp/double (5 characters): left out of the loss" in line
    assert log_of(tmp_path / "run")[0]["ctc"] > 1  # the mean over one clip, not over three
    (tmp_path / "long.txt").write_text("sp/long\nsp/double\n")
    refused = run_script("train", *settings, f"data.train_split={tmp_path / 'long.txt'}", "run.dir=runs/x")
    assert_one_line(refused, "2 of 2 training clips", "raise model.outputs_per_frame")


def test_a_trace_for_tensorboard(crop_store: Path, tmp_path: Path) -> None:
    settings = (f"data.root={crop_store}", f"run.dir={tmp_path / 'run'}", "train.epochs=3")
    result = run_script("train", *OVERRIDES, *settings, "--profile", 2)
    assert result.code == 0, result.err
    [trace] = (tmp_path / "run" / "profile").glob("*.pt.trace.json")
    names = {event["name"] for event in json.loads(trace.read_text())["traceEvents"] if "name" in event}
    assert any("conv" in name for name in names)
    assert len([name for name in names if name.startswith("ProfilerStep#")]) == 2
    assert "steps were traced" not in result.err
    result = run_script(
        "train", *OVERRIDES, *settings[:1], f"run.dir={tmp_path / 'short'}", "train.epochs=1", "--profile", 2
    )
    assert result.code == 0 and re.search("warning: --profile 2: 0 steps were traced", result.err)


def test_the_progress_bar_ends_at_its_total(crop_store: Path, tmp_path: Path) -> None:
    """Also with single words, which become fewer with each epoch."""
    settings = (f"data.root={crop_store}", f"run.dir={tmp_path / 'run'}", "augment.word_clips=1")
    shown = run_script("train", *OVERRIDES, *settings, "train.epochs=2").err
    done, total = re.findall(r"(\d+)/(\d+) \[", shown)[-1]
    assert done == total
    assert "clip [" not in shown  # which is how tqdm shows a bar beyond its total
