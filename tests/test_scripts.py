"""The whole chain as a user runs it, and what the scripts say to bad input."""

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
from tiny import (
    CROP,
    OVERRIDES,
    SCRIPTS,
    Result,
    contents,
    make_clip,
    pack,
    run_script,
    tiny_model,
    write_list,
)

from lipnet.checkpoint import Checkpoint, load_weights, save_weights
from lipnet.decoders import DECODERS
from lipnet.grid import sentence_of
from lipnet.model import LipNet
from lipnet.packed import PackedCorpus
from lipnet.reader import LipReader
from lipnet.synthetic import plan_corpus, write_corpus, write_video

SIZE = (f"crop.width={CROP.width}", f"crop.height={CROP.height}")


def shell(name: str, *arguments: object) -> Result:
    """Run a script in a process of its own, as a user does."""
    command = [sys.executable, str(SCRIPTS / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, cwd=SCRIPTS.parent, capture_output=True, text=True, timeout=300)
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn speakers s1, s2 and s3 who say two sentences each."""
    folder = tmp_path_factory.mktemp("drawn")
    write_corpus(plan_corpus(folder, speakers=3, sentences=2, seed=0))
    return folder


@pytest.fixture(scope="module")
def faceless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of a grey wall."""
    path = tmp_path_factory.mktemp("wall") / "wall.mp4"
    write_video(path, iter([np.full((288, 360, 3), 128, np.uint8)] * 10))
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network that talks, since its outputs are loud."""
    torch.manual_seed(0)
    model = LipNet(tiny_model())
    with torch.no_grad():
        model.output.weight *= 30
    path = tmp_path_factory.mktemp("weights") / "loud.safetensors"
    save_weights(path, model.state_dict(), Checkpoint(model.config, CROP))
    return path


@pytest.fixture(scope="module")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "bbaf2n.mp4"
    path.write_text("I am no film.\n")
    return path


# The chain


@pytest.fixture(scope="module")
def packed(drawn: Path, faceless: Path, text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn corpus, with bad files in it, after preprocessing."""
    for source, name in (
        (text_file, "s1/bbaf2n.mp4"),
        (faceless, "s2/lgbm5p.mp4"),
        (text_file, "s3/holiday.avi"),
    ):
        (drawn / name).write_bytes(source.read_bytes())
    out = tmp_path_factory.mktemp("packed_drawn")
    result = shell("preprocess", drawn, "--out", out, "--workers", 2, *SIZE)
    assert result.code == 1, result.err  # of many files, some are bad
    assert "6 clips cropped, 0 were there already, 3 left out" in result.out
    assert "left out 3 clips:" in result.err and "Traceback" not in result.err
    for name in ("s1/bbaf2n", "s2/lgbm5p", "s3/holiday"):
        assert f"\n  {name}: " in result.err
    return out


@pytest.fixture(scope="module")
def trained(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "a"
    config = run.parent / "tiny.yaml"
    config.write_text("train:\n  epochs: 9\n")
    settings = (f"data.root={packed}", f"run.dir={run}", "train.epochs=2")
    splits = ("data.dev_splits=[dev_seen,dev_unseen]",)
    result = shell("train", "--config", config, *OVERRIDES, *splits, *settings)
    assert result.code == 0, result.err
    assert len((run / "log.jsonl").read_text().splitlines()) == 2
    return run / "best.safetensors"


def test_a_second_preprocessing_does_nothing_and_says_so(drawn: Path, packed: Path) -> None:
    before = contents(packed)
    result = shell("preprocess", drawn, "--out", packed, "--workers", 1, *SIZE, "--speakers", "s3,s1")
    assert "nothing to do, all 4 clips are there" in result.out
    assert result.code == 1  # the bad files are still bad
    assert contents(packed) == before


def test_the_packed_corpus_is_the_drawn_one(drawn: Path, packed: Path) -> None:
    corpus = PackedCorpus(packed)
    assert len(corpus.clips) == 6
    for clip in corpus.clips.values():
        assert (drawn / f"{clip.name}.mp4").exists()
        assert clip.frames == clip.faces == 75
        assert clip.sentence == sentence_of(clip.id)
        assert [word.text for word in clip.words] == clip.sentence.split()
    assert {len(corpus.split(name)) for name in ("train", "dev_seen", "dev_unseen", "unseen_test")} == {2, 4}


@pytest.mark.parametrize("decoder", DECODERS)
def test_evaluating_a_trained_run(decoder: str, packed: Path, trained: Path, tmp_path: Path) -> None:
    split = packed / "splits" / "dev_unseen.txt"
    start = shell if decoder == "greedy" else run_script
    result = start(
        "evaluate",
        "--weights",
        trained,
        "--data",
        packed,
        "--split",
        split,
        "--decoder",
        decoder,
        "--out",
        tmp_path,
    )
    assert result.code == 0, result.err
    pattern = rf"WER [\d.]+ % \((\d+)/12 words\) CER [\d.]+ % \((\d+)/\d+ characters\) 2 clips, {decoder}\n"
    line = re.fullmatch(pattern, result.out)
    assert line is not None
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["decoder"], metrics["words"], metrics["sentences"]) == (decoder, 12, 2)
    assert [metrics["word_errors"], metrics["character_errors"]] == [int(count) for count in line.groups()]
    assert metrics["wer"] == metrics["word_errors"] / 12
    rows = list(csv.DictReader((tmp_path / "predictions.csv").open()))
    assert [row["clip"] for row in rows] == split.read_text().split()
    assert all(row["target"] == sentence_of(row["clip"].split("/")[1]) for row in rows)
    assert all(float(row["score"]) <= 0 for row in rows)


def test_predicting_from_the_shell(drawn: Path, trained: Path) -> None:
    video = min(drawn.glob("s3/*.mp4"))
    result = shell("predict", video, "--weights", trained, "--format", "json")
    assert result.code == 0, result.err
    said = json.loads(result.out)
    keys = "video text confidence words sentences frames fps decoder calibrated warnings"
    assert list(said) == keys.split()
    assert (said["video"], said["frames"], said["fps"], said["decoder"]) == (str(video), 75, 25, "greedy")


@pytest.mark.parametrize("decoder", DECODERS)
def test_predicting_equals_evaluating(
    decoder: str, drawn: Path, packed: Path, weights: Path, tmp_path: Path
) -> None:
    evaluated = run_script(
        *("evaluate", "--weights", weights, "--data", packed, "--split", "all"),
        *("--decoder", decoder, "--out", tmp_path / "e"),
    )
    assert evaluated.code == 0, evaluated.err
    rows = {row["clip"]: row for row in csv.DictReader((tmp_path / "e" / "predictions.csv").open())}
    folders = [drawn / "s1", drawn / "s2"]
    out = tmp_path / "p"
    result = run_script(
        "predict", *folders, "--weights", weights, "--decoder", decoder, "--format", "json", "--out", out
    )
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


def test_a_reader_sees_the_crops_that_were_packed(drawn: Path, packed: Path, weights: Path) -> None:
    corpus, reader = PackedCorpus(packed), LipReader.load(weights)
    clip = corpus.split("dev_unseen")[0]
    crops = corpus.array(clip.speaker)[clip.start : clip.start + clip.frames]
    said = reader.read(drawn / f"{clip.name}.mp4")
    best = reader.hypotheses(reader.network([np.array(crops)])[0])[0]
    assert said.text == best.text != ""


def test_predicting_as_text(drawn: Path, weights: Path) -> None:
    videos = sorted(drawn.glob("s3/*.mp4"))
    result = run_script("predict", *videos, "--weights", weights)
    assert result.code == 0, result.err
    for video in videos:
        assert re.search(rf"^{video}: \w.*  \(confidence 0\.\d\d\)$", result.out, re.MULTILINE)
    assert re.search(r"^    \d\.\d\d -  \d\.\d\d s  \w+  \(0\.\d\d\)$", result.out, re.MULTILINE)


def test_half_the_weights_read_the_same(packed: Path, weights: Path, tmp_path: Path) -> None:
    result = run_script("shrink", weights, "--out", tmp_path / "half.safetensors")
    assert result.code == 0, result.err
    whole, half = (path.stat().st_size for path in (weights, tmp_path / "half.safetensors"))
    header = 4096
    assert abs(half - header - (whole - header) / 2) < header
    lines = [
        run_script("evaluate", "--weights", path, "--data", packed, "--split", "all").out
        for path in (weights, tmp_path / "half.safetensors")
    ]
    assert lines[0] == lines[1] != ""
    assert load_weights(tmp_path / "half.safetensors")[0].output.weight.dtype == torch.float32


# Bad input: one line that names the thing and the cure, exit code 2, nothing half-written


def assert_one_line(result: Result, *parts: object) -> None:
    assert result.code == 2, result
    assert result.out == ""
    assert result.err.startswith("error: ") and result.err.count("\n") == 1, result.err
    for part in parts:
        assert str(part) in result.err


def test_a_missing_video_from_the_shell(weights: Path, tmp_path: Path) -> None:
    result = shell("predict", tmp_path / "gone.mp4", "--weights", weights, "--out", tmp_path / "out")
    assert_one_line(result, "gone.mp4: no such file")
    assert contents(tmp_path) == {}


def test_predicting_bad_videos(weights: Path, faceless: Path, text_file: Path, tmp_path: Path) -> None:
    for video, complaint in (
        (tmp_path / "gone.mp4", "no such file"),
        (tmp_path, "no videos in this folder"),
        (text_file, ""),
        (faceless, "face"),
    ):
        result = run_script("predict", video, "--weights", weights, "--out", tmp_path / "out")
        assert_one_line(result, video, complaint)
    assert contents(tmp_path) == {}


def test_of_many_videos_the_bad_ones_are_skipped_and_listed(
    drawn: Path, weights: Path, faceless: Path, text_file: Path, tmp_path: Path
) -> None:
    good = min(drawn.glob("s3/*.mp4"))
    gone = tmp_path / "gone.mp4"
    result = run_script(
        "predict", text_file, good, faceless, gone, "--weights", weights, "--out", tmp_path / "out"
    )
    assert result.code == 1
    lines = result.err.splitlines()
    start = lines.index("3 of 4 videos could not be read:")
    assert [line.startswith("  ") for line in lines[start + 1 :]] == [True] * 3
    for line, path in zip(lines[start + 1 :], (text_file, faceless, gone), strict=True):
        assert str(path) in line
    assert set(contents(tmp_path / "out")) == {f"{good.stem}.txt", "predictions.csv"}


def test_transcripts_never_overwrite_each_other(drawn: Path, weights: Path, tmp_path: Path) -> None:
    video = min(drawn.glob("s3/*.mp4"))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.mp4").write_bytes(video.read_bytes())
    both = (tmp_path / "a" / "x.mp4", tmp_path / "b" / "x.mp4")
    assert_one_line(run_script("predict", *both, "--weights", weights, "--out", tmp_path / "out"), "x.mp4")
    assert run_script("predict", *both, "--weights", weights).code == 0
    assert run_script("predict", tmp_path, "--weights", weights, "--out", tmp_path / "out").code == 0
    assert sorted(contents(tmp_path / "out")) == ["a/x.txt", "b/x.txt", "predictions.csv"]


def test_predicting_with_bad_settings(drawn: Path, weights: Path, text_file: Path, tmp_path: Path) -> None:
    video = min(drawn.glob("s3/*.mp4"))
    assert_one_line(
        run_script("predict", video, "--weights", tmp_path / "w"), tmp_path / "w", "no such weights"
    )
    assert_one_line(run_script("predict", video, "--weights", text_file), text_file, "not lipnet weights")
    assert_one_line(run_script("predict", video, "--weights", weights, "--decoder", "best"), "'best'", "beam")
    assert_one_line(run_script("predict", video, "--weights", weights, "--device", "tpu"), "'tpu'", "use cpu")
    for option in ("lm", "grammar"):
        given = (video, "--weights", weights, f"--{option}", tmp_path / "none")
        assert_one_line(run_script("predict", *given), f"add --decoder {option}")
        assert_one_line(run_script("predict", *given, "--decoder", option), tmp_path / "none")


def test_evaluating_bad_input(weights: Path, packed_corpus: Path, text_file: Path, tmp_path: Path) -> None:
    def evaluate(weights: Path, data: Path, *more: object) -> Result:
        out = tmp_path / "out"
        given = ("--weights", weights, "--data", data, "--split", "all", "--out", out)
        return run_script("evaluate", *given, *more)

    absent = write_list(tmp_path / "absent.txt", ["s1/bbaf2n", "s7/swiz0n"])
    assert_one_line(evaluate(weights, packed_corpus, "--split", absent), absent, "s7/swiz0n", "preprocess")
    assert_one_line(evaluate(weights, packed_corpus, "--split", "test"), "no split 'test'", "dev, train")
    assert_one_line(evaluate(text_file, packed_corpus), text_file, "not lipnet weights; give")
    assert_one_line(evaluate(weights, tmp_path), tmp_path, "make them with scripts/preprocess.py")
    assert_one_line(evaluate(weights, packed_corpus, "--decoder", "best"), "'best'", "greedy, beam")
    wide = CROP.__class__(width=48, height=16)
    pack(tmp_path / "wide", [make_clip("s1", "bbaf2n")], [75], wide)
    complaint = "crop.width=48, the weights need 24: preprocess into another folder"
    assert_one_line(evaluate(weights, tmp_path / "wide"), tmp_path / "wide", complaint)
    assert not (tmp_path / "out").exists()


def test_training_on_bad_input(packed_corpus: Path, tmp_path: Path) -> None:
    def train(*more: str) -> Result:
        return run_script(
            "train", *OVERRIDES, f"data.root={packed_corpus}", f"run.dir={tmp_path / 'run'}", *more
        )

    absent = write_list(tmp_path / "absent.txt", ["s7/swiz0n"])
    geometry = "has crops of 24x16 px, the model reads 100x16: set model.width"
    assert_one_line(train("augment.splise=1"), "'augment.splise'", "did you mean 'augment.splice'")
    assert_one_line(train("train.epochs=many"), "train.epochs", "many")
    assert_one_line(train(f"data.train_split={absent}"), absent, "s7/swiz0n")
    assert_one_line(train("data.dev_splits=[test]"), "no split 'test'")
    assert_one_line(train("model.width=100"), packed_corpus, geometry)
    assert_one_line(train("model.cell=rnn"), "model.cell 'rnn'", "gru, lstm")
    assert_one_line(train("model.alphabet=abc"), "alphabet 'abc'")
    assert_one_line(train("data.batch_size=0"), "data.batch_size 0")
    assert_one_line(train("data.root=''"), "data.root is not set", "scripts/preprocess.py")
    assert_one_line(train(f"data.root={tmp_path}"), tmp_path, "no packed crops")
    assert_one_line(train("run.device=tpu"), "'tpu'")
    assert_one_line(train("run.dir=''"), "run.dir is not set")
    assert_one_line(train(f"init={tmp_path / 'w'}"), tmp_path / "w", "no such weights")
    assert_one_line(train(f"data.mix_root={tmp_path}"), tmp_path, "no packed crops")
    assert_one_line(
        run_script("train", "--config", tmp_path / "c.yaml"), tmp_path / "c.yaml", "no such config"
    )
    assert_one_line(run_script("train", "--resume", tmp_path / "run"), tmp_path / "run", "no run to resume")
    assert list(contents(tmp_path)) == ["absent.txt"]


def test_a_broken_resume_state_is_named(packed_corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_script("train", *OVERRIDES, f"data.root={packed_corpus}", f"run.dir={run}", "train.epochs=1")
    (run / "resume.pt").write_bytes(b"half a file")
    assert_one_line(
        run_script("train", "--resume", run), run / "resume.pt", "delete it to start the run anew"
    )


def test_preprocessing_bad_input(drawn: Path, packed: Path, tmp_path: Path) -> None:
    def preprocess(corpus: Path, *more: object) -> Result:
        return run_script("preprocess", corpus, "--out", tmp_path / "out", *more)

    assert_one_line(preprocess(tmp_path / "gone"), tmp_path / "gone", "no such folder")
    assert_one_line(preprocess(tmp_path), tmp_path, "no videos")
    assert_one_line(preprocess(drawn, "--speakers", "s9"), "no speaker 's9'", "s1, s2, s3")
    assert_one_line(preprocess(drawn, "crop.widht=9"), "'crop.widht'", "did you mean 'crop.width'")
    assert_one_line(preprocess(drawn, "--aligns", tmp_path / "gone"), tmp_path / "gone", "no such folder")
    assert contents(tmp_path) == {}
    before = contents(packed)
    other = run_script("preprocess", drawn, "--out", packed, "crop.width=30")
    assert other.code == 2
    assert "width 24 there, 30 now" in other.err.splitlines()[-1]
    assert contents(packed) == before


def test_preprocessing_nothing_but_bad_files(faceless: Path, text_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corpus" / "s1"
    folder.mkdir(parents=True)
    (folder / "bbaf2n.mp4").write_bytes(text_file.read_bytes())
    (folder / "lgbm5p.mp4").write_bytes(faceless.read_bytes())
    result = shell("preprocess", tmp_path / "corpus", "--out", tmp_path / "out", "--workers", 1)
    assert (result.code, result.out) == (2, "") and "Traceback" not in result.err
    assert result.err.splitlines()[-1] == (
        f"error: {tmp_path / 'corpus'}: not one clip could be cropped; the list above says why"
    )
    assert contents(tmp_path / "out") == {}


def test_settings_may_stand_on_either_side_of_options(packed_corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("run: {seed: 5}\n")
    arguments = ("run.device=tpu", "--config", tmp_path / "c.yaml", f"data.root={packed_corpus}", "run.dir=x")
    assert_one_line(run_script("train", *arguments), "device 'tpu'")


def test_weights_say_what_trained_them(trained: Path, packed: Path) -> None:
    _, said = load_weights(trained)
    assert said.info["recipe"]["data"]["root"] == str(packed)
    assert set(said.info["dev"]) == {"dev_seen", "dev_unseen"}
