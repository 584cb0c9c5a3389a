"""The whole chain as a user runs it: videos, stored crops, a trained run, its error rates and texts."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CROP, OVERRIDES, SCRIPTS, contents, run_script, shell

from lipnet.data.crop_store import CropStore
from lipnet.decoding.factory import DECODERS
from lipnet.grid import sentence_of
from lipnet.inference.reader import LipReader
from lipnet.inference.torch_backend import TorchBackend
from lipnet.models.checkpoint import load_weights

SIZE = (f"crop.width={CROP.width}", f"crop.height={CROP.height}")


@pytest.fixture(scope="module")
def store(synthetic_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic corpus after preprocessing."""
    out = tmp_path_factory.mktemp("crops")
    result = shell("preprocess", synthetic_corpus, "--out", out, "--workers", 2, *SIZE)
    assert result.code == 1, result.err  # of many files, some are bad
    assert "6 clips cropped, 0 were there already, 3 left out" in result.out
    assert "left out 3 clips:" in result.err and "Traceback" not in result.err
    for name in ("s1/bbaf2n", "s2/lgbm5p", "s3/holiday"):
        assert f"\n  {name}: " in result.err
    return out


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "a"
    config = run.parent / "tiny.yaml"
    config.write_text("train:\n  epochs: 9\n")
    settings = (f"data.root={store}", f"run.dir={run}", "train.epochs=2")
    splits = ("data.dev_splits=[dev_seen,dev_unseen]",)
    result = shell("train", "--config", config, *OVERRIDES, *splits, *settings)
    assert result.code == 0, result.err
    assert len((run / "log.jsonl").read_text().splitlines()) == 2
    return run / "best.safetensors"


def test_a_second_preprocessing_does_nothing_and_says_so(synthetic_corpus: Path, store: Path) -> None:
    before = contents(store)
    result = shell(
        "preprocess", synthetic_corpus, "--out", store, "--workers", 1, *SIZE, "--speakers", "s3,s1"
    )
    assert "nothing to do, all 4 clips are there" in result.out
    assert result.code == 1  # the bad files are still bad
    assert contents(store) == before


def test_the_crop_store_holds_the_synthetic_corpus(synthetic_corpus: Path, store: Path) -> None:
    corpus = CropStore(store)
    assert len(corpus.clips) == 6
    for clip in corpus.clips.values():
        assert (synthetic_corpus / f"{clip.name}.mp4").exists()
        assert clip.frames == clip.faces == 75
        assert clip.sentence == sentence_of(clip.id)
        assert [word.text for word in clip.words] == clip.sentence.split()
    assert {len(corpus.split(name)) for name in ("train", "dev_seen", "dev_unseen", "unseen_test")} == {2, 4}


@pytest.mark.parametrize("decoder", DECODERS)
def test_evaluating_a_trained_run(decoder: str, store: Path, trained: Path, tmp_path: Path) -> None:
    split = store / "splits" / "dev_unseen.txt"
    start = shell if decoder == "greedy" else run_script
    given = ("--weights", trained, "--data", store, "--split", split, "--decoder", decoder)
    result = start("evaluate", *given, "--out", tmp_path)
    assert result.code == 0, result.err
    pattern = rf"WER [\d.]+ % \((\d+)/12 words\) CER [\d.]+ % \((\d+)/\d+ characters\) 2 clips, {decoder}"
    rates, intervals = result.out.splitlines()
    line = re.fullmatch(pattern, rates)
    assert line is not None
    assert intervals.startswith("95 % intervals: WER ")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["decoder"], metrics["words"], metrics["sentences"]) == (decoder, 12, 2)
    assert [metrics["word_errors"], metrics["character_errors"]] == [int(count) for count in line.groups()]
    assert metrics["wer"] == metrics["word_errors"] / 12
    low, high = metrics["intervals"]["wer"]
    assert low <= metrics["wer"] <= high
    rows = list(csv.DictReader((tmp_path / "predictions.csv").open()))
    assert [row["clip"] for row in rows] == split.read_text().split()
    assert all(row["target"] == sentence_of(row["clip"].split("/")[1]) for row in rows)
    assert all(float(row["score"]) <= 0 for row in rows)


def test_weights_say_what_trained_them(trained: Path, store: Path) -> None:
    _, said = load_weights(trained)
    assert said.info["recipe"]["data"]["root"] == [str(store)]
    assert set(said.info["dev"]) == {"dev_seen", "dev_unseen"}


def test_predicting_from_the_shell(synthetic_clip: Path, trained: Path) -> None:
    result = shell("predict", synthetic_clip, "--weights", trained, "--format", "json")
    assert result.code == 0, result.err
    said = json.loads(result.out)
    keys = "video text confidence words sentences frames fps decoder calibrated warnings"
    assert list(said) == keys.split()
    assert (said["video"], said["frames"], said["fps"], said["decoder"]) == (
        str(synthetic_clip),
        75,
        25,
        "grammar",  # auto, for weights with word heads that know only GRID
    )


@pytest.mark.parametrize("decoder", DECODERS)
def test_predicting_equals_evaluating(
    decoder: str, synthetic_corpus: Path, store: Path, untrained_weights: Path, tmp_path: Path
) -> None:
    given = ("--weights", untrained_weights, "--decoder", decoder)
    evaluated = run_script("evaluate", *given, "--data", store, "--split", "all", "--out", tmp_path / "e")
    assert evaluated.code == 0, evaluated.err
    rows = {row["clip"]: row for row in csv.DictReader((tmp_path / "e" / "predictions.csv").open())}
    folders = [synthetic_corpus / "s1", synthetic_corpus / "s2"]
    out = tmp_path / "p"
    result = run_script("predict", *folders, *given, "--format", "json", "--out", out)
    assert result.code == 1  # two bad files among them
    assert "2 of 6 videos could not be read" in result.err and "wall" not in result.err
    assert sorted(path.stem for path in out.glob("*.json")) == sorted(
        name.split("/")[1] for name in rows if name[:2] != "s3"
    )
    for path in out.glob("*.json"):
        said = json.loads(path.read_text())
        speaker = Path(said["video"]).parent.name
        assert said["text"] == rows[f"{speaker}/{path.stem}"]["prediction"] != ""
        assert [word["word"] for word in said["words"]] == said["text"].split()
        times = [time for word in said["words"] for time in (word["start"], word["end"])]
        assert times == sorted(times) and times[0] >= 0 and times[-1] <= 3.0
        assert all(word["start"] < word["end"] and 0 <= word["confidence"] <= 1 for word in said["words"])
        assert 0 <= said["confidence"] <= 1


def test_a_reader_sees_the_crops_that_were_packed(
    synthetic_corpus: Path, store: Path, untrained_weights: Path
) -> None:
    corpus, reader = CropStore(store), LipReader.load(untrained_weights)
    clip = corpus.split("dev_unseen")[0]
    crops = corpus.crops(clip)
    said = reader.read(synthetic_corpus / f"{clip.name}.mp4")
    best = reader.decoder.hypotheses(reader.backend([np.array(crops)])[0])[0]
    assert said.text == best.text != ""


def test_half_the_weights_read_the_same(store: Path, untrained_weights: Path, tmp_path: Path) -> None:
    shrunk = tmp_path / "half.safetensors"
    result = run_script("shrink", untrained_weights, "--out", shrunk)
    assert result.code == 0, result.err
    whole, half = (path.stat().st_size for path in (untrained_weights, shrunk))
    header, greedy = 4096, ("--decoder", "greedy")
    assert abs(half - header - (whole - header) / 2) < header
    lines = [
        run_script("evaluate", "--weights", path, "--data", store, "--split", "all", *greedy).out
        for path in (untrained_weights, shrunk)
    ]
    before, after = (line.partition(" CER")[0] for line in lines)  # characters of random weights may differ
    assert before == after != ""
    crops = CropStore(store)
    clip = np.array(crops.crops(next(iter(crops.clips.values()))))
    [one], [other] = (TorchBackend.load(path, "cpu")([clip]) for path in (untrained_weights, shrunk))
    np.testing.assert_allclose(np.exp(one.log_probs), np.exp(other.log_probs), atol=0.1)
    assert load_weights(shrunk)[0].output.weight.dtype == torch.float32


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("[!_]*.py")))
def test_help_ends_with_two_worked_examples(script: str) -> None:
    examples = run_script(script, "--help").out.partition("\nexamples:\n")[2]
    assert examples.count(f"python scripts/{script}.py ") >= 2


@pytest.mark.slow
def test_standard_error_that_is_closed(
    synthetic_corpus: Path, crop_store: Path, untrained_weights: Path, tmp_path: Path
) -> None:
    """As cron may start them: the programs do the same without a place for bars and messages."""
    clip = min(synthetic_corpus.glob("s3/*.mp4"))
    (tmp_path / "videos" / "s3").mkdir(parents=True)
    (tmp_path / "videos" / "s3" / clip.name).write_bytes(clip.read_bytes())
    weights = ("--weights", untrained_weights)
    run = (f"data.root={crop_store}", f"run.dir={tmp_path / 'run'}", "train.epochs=1")
    for given in (
        ("preprocess", tmp_path / "videos", "--out", tmp_path / "crops", "--export", "npy", *SIZE),
        ("train", *OVERRIDES, *run),
        ("evaluate", *weights, "--data", crop_store, "--split", "dev", "--out", tmp_path / "results"),
        ("synthesize", "--out", tmp_path / "made", "--speakers", 1, "--sentences", 2, "--workers", 2),
        ("predict", clip, clip.parent / "holiday.avi", *weights),
    ):
        name, *arguments = map(str, given)
        command = [sys.executable, str(SCRIPTS / f"{name}.py"), *arguments]
        done = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *command], capture_output=True, timeout=120)
        assert (done.returncode, done.stderr) == (1 if name == "predict" else 0, b""), done
    assert len(CropStore(tmp_path / "crops").clips) == 1
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 1
    assert (tmp_path / "results" / "predictions.csv").exists()
    assert len(list((tmp_path / "made" / "s1").glob("*.mp4"))) == 2
