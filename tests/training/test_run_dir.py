"""Run directories: their files, selection of checkpoints, and killed runs that continue bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import Killed, assert_same_run, kill_at, log_of
from tiny import CROP, Train, assert_one_line, contents, run_script

from lipnet.errors import ConfigError
from lipnet.models.checkpoint import load_resume, load_weights, save_resume
from lipnet.settings import load_config
from lipnet.training.run_dir import RunDir
from lipnet.utils.files import lock_folder


def test_the_files_of_a_run(finished_run: Path, crop_store: Path) -> None:
    names = {path.name for path in finished_run.iterdir() if "tfevents" not in path.name}
    assert names == {"config.yaml", "log.jsonl", "best.safetensors", "last.safetensors", "resume.pt"}
    assert load_config(finished_run / "config.yaml").data.root == [str(crop_store)]
    log = log_of(finished_run)
    assert [(line["epoch"], line["step"]) for line in log] == [(1, 3), (2, 6), (3, 9)]
    assert all(line["loss"] == pytest.approx(line["ctc"] + line["words"], abs=2e-5) for line in log)
    assert log[2]["loss"] < log[0]["loss"]
    assert {"loss", "cer", "wer", "ser", "words", "characters"} <= log[0]["dev"]["dev"].keys()
    _, metadata = load_weights(finished_run / "last.safetensors")
    assert metadata.crop == CROP
    assert metadata.info["train_clips"] == 7 and metadata.info["train_speakers"] == ["s1", "s2"]
    assert metadata.info["epoch"] == 3 and metadata.info["train_split"] == "train"
    assert metadata.info["dev"] == log[2]["dev"] and metadata.grid


def test_the_saved_config_has_the_crop_settings_of_the_data(finished_run: Path) -> None:
    assert load_config(finished_run / "config.yaml").crop == CROP


def test_the_same_command_gives_the_same_run(finished_run: Path, train: Train, tmp_path: Path) -> None:
    train(tmp_path / "again")
    assert_same_run(tmp_path / "again", finished_run)
    train(tmp_path / "other", "run.seed=1")
    assert log_of(tmp_path / "other") != log_of(finished_run)


# An epoch has three steps and one batch of the dev split.
@pytest.mark.parametrize(
    ("target", "call", "epochs", "workers"),
    [
        ("lipnet.training.losses.word_loss", 1, 0, 0),  # before the first step
        ("lipnet.training.run_dir.save_progress", 1, 0, 0),  # all files of the first epoch but one are saved
        ("lipnet.training.losses.word_loss", 6, 1, 0),  # within the second epoch
        (
            "lipnet.training.evaluation.evaluate",
            2,
            1,
            1,
        ),  # before the second evaluation; with a loader process
        ("lipnet.training.run_dir.save_weights", 3, 1, 0),  # nothing of the second epoch is saved
        ("lipnet.training.run_dir.save_progress", 2, 1, 0),  # all but the last of its files are
    ],
)
def test_a_killed_run_continues_bit_for_bit(
    target: str,
    call: int,
    epochs: int,
    workers: int,
    finished_run: Path,
    train: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, target, call)
        with pytest.raises(Killed):
            train(tmp_path / "run", f"data.workers={workers}")
    assert (tmp_path / "run" / "resume.pt").exists() == (epochs > 0)
    if epochs:
        assert load_resume(tmp_path / "run" / "resume.pt")["epoch"] == epochs
    result = run_script("train", "--resume", tmp_path / "run")
    assert result.code == 0, result.err
    assert f"{epochs} epochs done" in result.out
    assert_same_run(tmp_path / "run", finished_run)


def test_resuming_a_finished_run_changes_nothing(train: Train, tmp_path: Path) -> None:
    train(tmp_path / "run", "train.epochs=1")
    before = contents(tmp_path / "run")
    assert run_script("train", "--resume", tmp_path / "run").code == 0
    after = contents(tmp_path / "run")
    assert {name: after[name] for name in before} == before


def test_a_resumed_run_may_be_moved_and_prolonged(train: Train, tmp_path: Path) -> None:
    train(tmp_path / "run", "train.epochs=1")
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    config = (moved / "config.yaml").read_text()
    (moved / "config.yaml").write_text(config.replace("epochs: 1", "epochs: 2"))
    assert run_script("train", "--resume", moved).code == 0
    assert len(log_of(moved)) == 2 and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change",
    [
        ("hidden: 8", "hidden: 9"),
        ("alphabet: '", "alphabet: '_"),
        ("layers: 2", "layers: 3"),
        ("optimizer: adamw", "optimizer: amsgrad"),
    ],
)
def test_a_config_that_does_not_fit_the_saved_state_is_named(
    change: tuple[str, str], finished_run: Path, train: Train, tmp_path: Path
) -> None:
    train(tmp_path / "run", "train.epochs=1")
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert change[0] in config
    (tmp_path / "run" / "config.yaml").write_text(config.replace(*change))
    result = run_script("train", "--resume", tmp_path / "run")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert f"{tmp_path / 'run'}/config.yaml: the saved state does not fit" in result.err


def test_a_corpus_is_mixed_in(train: Train, crop_store: Path, tmp_path: Path) -> None:
    result = train(tmp_path / "run", f"data.mix_root={crop_store}", "data.mix=0.5", "train.epochs=1")
    assert result.code == 0, result.err
    assert "7 training clips, 10 to mix in" in result.out
    (line,) = log_of(tmp_path / "run")
    assert line["step"] == 4  # 7 and 3 or 4 clips, three a batch
    info = load_weights(tmp_path / "run" / "last.safetensors")[1].info
    assert (info["train_clips"], info["mixed_in_clips"]) == (7, 10)


def test_an_existing_run_is_not_overwritten(finished_run: Path, train: Train) -> None:
    before = contents(finished_run)
    result = train(finished_run)
    assert (result.code, result.out) == (2, "")
    remedy = f"continue it with --resume {finished_run}, or name another run.dir"
    assert result.err == f"error: {finished_run} holds a run: {remedy}\n"
    assert contents(finished_run) == before


def test_a_run_that_another_process_trains_is_refused(train: Train, tmp_path: Path) -> None:
    with lock_folder(tmp_path / "new"):
        result = train(tmp_path / "new")
    assert_one_line(result, tmp_path / "new", "another process is writing into this folder")
    assert contents(tmp_path / "new") == {}
    assert train(tmp_path / "run", "train.epochs=1").code == 0
    before = contents(tmp_path / "run")
    with lock_folder(tmp_path / "run"):
        result = run_script("train", "--resume", tmp_path / "run")
    assert_one_line(result, tmp_path / "run", "another process is writing into this folder")
    assert contents(tmp_path / "run") == before


def test_a_run_that_was_continued_meanwhile_is_refused(train: Train, tmp_path: Path) -> None:
    """The second process has read the state of an epoch that the first one has gone beyond."""
    config = load_config(None, [f"run.dir={tmp_path / 'run'}"])
    new = RunDir.create(config)
    assert train(tmp_path / "run", "train.epochs=1").code == 0
    resumed = RunDir.resume(tmp_path / "run")
    with resumed.lock():
        pass
    save_resume(tmp_path / "run" / "resume.pt", {"epoch": 9})
    for stale in (new, resumed):
        with pytest.raises(ConfigError, match="another process has trained this run meanwhile"), stale.lock():
            pass


def test_an_empty_folder_may_become_a_run(train: Train, tmp_path: Path) -> None:
    assert train(tmp_path, "train.epochs=1").code == 0


def test_missing_run_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.dir is not set"):
        RunDir.create(load_config())
    with pytest.raises(ConfigError, match="no run to resume; start one with --config"):
        RunDir.resume(tmp_path)


def test_a_run_cannot_be_written_into_a_file(train: Train, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        result = train(folder)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert f"error: {folder}: cannot make this directory" in result.err


def epoch_of(path: Path) -> int:
    return int(load_weights(path)[1].info["epoch"])


def test_best_is_the_epoch_with_the_lowest_error_rate(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = iter([0.5, 0.3, 0.3])
    monkeypatch.setattr("lipnet.training.run_dir.mean_wer", lambda _: next(rates))
    train(tmp_path / "run")
    assert epoch_of(tmp_path / "run" / "best.safetensors") == 2
    assert epoch_of(tmp_path / "run" / "last.safetensors") == 3


def test_dev_splits_may_be_monitored_without_selecting_by_them(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = iter([0.5, 0.3, 0.4])
    monkeypatch.setattr("lipnet.training.run_dir.mean_wer", lambda _: next(rates))
    train(tmp_path / "run", "train.select=last")
    assert epoch_of(tmp_path / "run" / "best.safetensors") == 3
    assert all("wer" in line["dev"]["dev"] for line in log_of(tmp_path / "run"))
    assert load_resume(tmp_path / "run" / "resume.pt")["best"] == 0.3


def test_selecting_the_last_epoch_needs_no_evaluation(train: Train, tmp_path: Path) -> None:
    train(tmp_path / "run", "train.select=last", "train.eval_every=2", "train.epochs=2")
    assert [bool(line["dev"]) for line in log_of(tmp_path / "run")] == [False, True]
    assert epoch_of(tmp_path / "run" / "best.safetensors") == 2


def test_an_unknown_selection_is_named(train: Train, tmp_path: Path) -> None:
    assert_one_line(train(tmp_path / "run", "train.select=newest"), "train.select 'newest'", "best, last")


def test_without_dev_splits_the_last_epoch_is_the_best(train: Train, tmp_path: Path) -> None:
    assert train(tmp_path / "run", "data.dev_splits=[]").code == 0
    assert epoch_of(tmp_path / "run" / "best.safetensors") == 3


def test_evaluation_every_few_epochs(train: Train, tmp_path: Path) -> None:
    train(tmp_path / "run", "train.eval_every=2")
    assert [bool(line["dev"]) for line in log_of(tmp_path / "run")] == [False, True, True]


def test_a_loss_that_is_not_finite_stops_and_names_the_clips(train: Train, tmp_path: Path) -> None:
    result = train(tmp_path / "run", "train.lr=1e30", "train.warmup=0")
    assert result.code == 2
    assert "error: loss" in result.err and "lower train.lr" in result.err and "s1/" in result.err
    assert "Traceback" not in result.err
