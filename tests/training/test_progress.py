"""Files that continue a run: what was saved comes back, and anything else is named."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import assert_one_line, contents, run_script

from lipnet.errors import ConfigError
from lipnet.models.checkpoint import load_resume, save_resume
from lipnet.training.progress import Progress, append_to_log, load_progress, read_log, save_progress


def test_the_progress_comes_back(tmp_path: Path) -> None:
    saved = Progress(3, 9, math.inf, {"model": {}}, {"epoch": 5})
    save_progress(tmp_path / "resume.pt", saved)
    assert load_progress(tmp_path / "resume.pt") == saved


def changed(folder: Path, run: Path, **changes: Any) -> Path:
    """A copy of a run with changes in its resume state; a change to None removes the key."""
    shutil.copytree(run, folder)
    state = {**load_resume(run / "resume.pt"), **changes}
    save_resume(folder / "resume.pt", {key: value for key, value in state.items() if value is not None})
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": None}, "key 'epoch' is missing"),
        ({"train_state": None}, "key 'train_state' is missing"),
        ({"epoch": "three"}, "epoch: 'three' is not a whole number"),
        ({"epoch": -3}, "epoch: -3 is negative"),
        ({"best": math.nan}, "best: nan is not a finite number"),
        ({"train_state": 5}, "train_state: 5 is not a mapping"),
        ({"train_state": {}}, "the saved state does not fit"),
        ({"train_state": {"model": 3, "optimizer": 4, "scheduler": 5}}, "the saved state does not fit"),
        ({"pretrained_info": [1]}, "pretrained_info: a list of 1 is not a mapping"),
        ({"colour": 1}, "unknown key 'colour'"),
    ],
)
def test_a_state_that_is_not_one_is_named(
    changes: dict[str, Any], message: str, finished_run: Path, tmp_path: Path
) -> None:
    folder = changed(tmp_path / "run", finished_run, **changes)
    before = contents(folder)
    assert_one_line(run_script("train", "--resume", folder), folder, message)
    assert {**contents(folder), "config.yaml": b""} == {**before, "config.yaml": b""}


@pytest.mark.parametrize("state", [5, [1, 2], {1: 2}, None, "text", torch.zeros(3)])
def test_a_state_of_another_type_is_named(state: object, finished_run: Path, tmp_path: Path) -> None:
    folder = changed(tmp_path / "run", finished_run)
    torch.save(state, folder / "resume.pt")
    complaint = "delete it to start the run from its beginning"
    assert_one_line(run_script("train", "--resume", folder), folder / "resume.pt", complaint)


def test_weights_that_are_not_finite_are_not_continued(finished_run: Path, tmp_path: Path) -> None:
    train_state = load_resume(finished_run / "resume.pt")["train_state"]
    train_state["model"]["output.bias"][0] = math.nan
    folder = changed(tmp_path / "run", finished_run, train_state=train_state)
    complaint = "tensor output.bias has NaN or infinite values"
    assert_one_line(run_script("train", "--resume", folder), folder / "resume.pt", complaint)


def test_an_optimiser_state_of_other_sizes_is_named(finished_run: Path, tmp_path: Path) -> None:
    train_state = load_resume(finished_run / "resume.pt")["train_state"]
    train_state["optimizer"]["state"][0]["exp_avg"] = torch.zeros(2, 2)
    folder = changed(tmp_path / "run", finished_run, train_state=train_state)
    assert_one_line(run_script("train", "--resume", folder), "the saved state does not fit")


@pytest.mark.parametrize(
    ("line", "message"), [(b"\xff\xfe", "not UTF-8"), (b"words", "not JSON"), (b"[1]", "not a mapping")]
)
def test_a_log_of_another_kind_is_named(
    line: bytes, message: str, finished_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    log = tmp_path / "run" / "log.jsonl"
    lines = log.read_bytes().splitlines()
    log.write_bytes(b"\n".join([lines[0], line, lines[2], b""]))
    result = run_script("train", "--resume", tmp_path / "run")
    assert_one_line(
        result, f"{log}, line 2: not the log of a run ({message}", "restore the file, or delete it"
    )


def test_lines_are_appended_after_those_of_the_epochs_before(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    for epoch in (1, 2, 3, 2):
        append_to_log(log, {"epoch": epoch})
    assert log.read_text() == '{"epoch": 1}\n{"epoch": 2}\n'
    log.write_bytes(b'{"epoch": 1}\n\xff\n')
    assert read_log(log, 1) == ['{"epoch": 1}']
    with pytest.raises(ConfigError, match="line 2: not the log"):
        append_to_log(log, {"epoch": 3})
