"""analyze.py: its numbers are evaluate.py's, its page needs no other file, and what is missing is said."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import torch
from tiny import CROP, Result, assert_one_line, make_clip, pack, run_script, tiny_model, write_list

from lipnet.analysis.sections import TABLES
from lipnet.models.checkpoint import save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata

for package in ("jinja2", "matplotlib"):
    pytest.importorskip(package)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_log(folder: Path, rates: dict[str, float]) -> None:
    """The log of a run of one epoch, evaluated on the list dev if there are rates."""
    folder.mkdir(exist_ok=True)
    dev = {"dev": rates} if rates else {}
    (folder / "log.jsonl").write_text(json.dumps({"epoch": 1, "loss": 2.5, "dev": dev}) + "\n")


def with_heads(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    model = LipNet(tiny_model(word_heads=True))
    with torch.no_grad():
        model.output.weight *= 30
    save_weights(path, model.state_dict(), Metadata(model.config, CROP, grid=True))
    return path


@pytest.mark.slow
def test_every_number_is_that_of_evaluate(crop_store: Path, tmp_path: Path) -> None:
    weights = [with_heads(tmp_path / f"{name}.safetensors", seed) for seed, name in enumerate("ab")]
    split = write_list(tmp_path / "some.txt", ["s1/bbaf2n", "s1/lgbm5p", "s2/lwik7a"])
    given = ("--data", crop_store, "--split", split)
    write_log(tmp_path, {"wer": 0.5, "cer": 0.25})
    options = ("--also", "greedy", "--run", tmp_path, "--out", tmp_path / "report")
    result = run_script("analyze", "--weights", *weights, *given, *options)
    assert result.code == 0, result.err
    rates = {
        (row["weights"], row["decoder"], row["speaker"]): row for row in table(tmp_path / "report/rates.csv")
    }
    for decoder, evaluated_weights in (("grammar", weights), ("greedy", weights[:1])):
        for path in evaluated_weights:
            out = tmp_path / decoder / path.stem
            evaluated = run_script("evaluate", "--weights", path, *given, "--decoder", decoder, "--out", out)
            metrics = json.loads((out / "metrics.json").read_text())
            row = rates[path.name, decoder, "all"]
            assert (int(row["word_errors"]), int(row["words"])) == (metrics["word_errors"], metrics["words"])
            for name in ("wer", "cer"):
                found = [float(row[key]) for key in (name, f"{name}_low", f"{name}_high")]
                assert found == pytest.approx([metrics[name], *metrics["intervals"][name]], abs=1e-6)
            if decoder == "grammar":
                assert evaluated.out.splitlines()[0] in result.out
    metrics = json.loads((tmp_path / "grammar" / "a" / "metrics.json").read_text())
    places = table(tmp_path / "report" / "places.csv")
    assert [int(row["errors"]) for row in places] == [place["errors"] for place in metrics["places"]]
    both = [float(rates[path.name, "grammar", "all"]["wer"]) for path in weights]
    assert {path.stem for path in (tmp_path / "report").glob("*.csv")} <= set(TABLES)
    compared = table(tmp_path / "report" / "comparison.csv")
    assert [row["drawn"] for row in compared] == ["clips", "speakers"]
    for row in compared:
        assert float(row["difference"]) == pytest.approx(both[1] - both[0], abs=2e-6)
    speakers = [row for key, row in rates.items() if key[2] != "all"]
    assert sum(int(row["word_errors"]) for row in speakers) == metrics["word_errors"]

    page = (tmp_path / "report" / "report.html").read_text()
    for heading in (
        "Comparison of weights",
        "Word errors by speaker",
        "Confusion of spoken letters",
        "Confusion of visemes",
        "Times of words",
        "Learning curves",
        "clips with most errors",
    ):
        assert f"{heading}</h2>" in page
    assert "prefers-color-scheme: dark" in page
    assets = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert assets and all(asset.startswith(("data:image/png;base64,", "#")) for asset in assets)
    assert str(tmp_path) not in page
    assert "url(http" not in page and "<script" not in page and "<link" not in page


def test_what_is_missing_is_said(untrained_weights: Path, tmp_path: Path) -> None:
    pack(tmp_path / "one", [make_clip("s1", "bbaf2n", timed=False)], [40])
    run = tmp_path / "run"
    write_log(run, {})
    given = (
        "--weights",
        untrained_weights,
        "--data",
        tmp_path / "one",
        "--split",
        "all",
        "--also",
        "--run",
        run,
    )
    (tmp_path / "report").mkdir()
    for name in ("comparison.csv", "mine.csv"):
        (tmp_path / "report" / name).write_text("of a former report, and of the user")
    result = run_script("analyze", *given, "--out", tmp_path / "report")
    assert result.code == 0, result.err
    tables = {path.stem for path in (tmp_path / "report").glob("*.csv")}
    assert "comparison" not in tables and {"mine", "rates"} <= tables <= {"mine", *TABLES}
    page = (tmp_path / "report" / "report.html").read_text().replace("&#39;", "'")
    for note in (
        "all clips are of one speaker",
        "no word heads",
        "no word that is right has a time",
        "all clips have one length",
        "no epoch of the run was evaluated",
        "confidences are not calibrated",
    ):
        assert note in page, note
    # Figures are as readable on a dark page: their texts and lines have the page's colour.
    assert "fill: currentColor" in page and not re.search("(fill|stroke): #(000000|123456)", page)


def test_bad_input(untrained_weights: Path, crop_store: Path, text_file: Path, tmp_path: Path) -> None:
    def analyze(*more: object) -> Result:
        given = (
            "--weights",
            untrained_weights,
            "--data",
            crop_store,
            "--split",
            "dev",
            "--out",
            tmp_path / "out",
        )
        return run_script("analyze", *given, *more)

    assert_one_line(analyze("--split", "test"), "no split 'test'", "dev, train")
    assert_one_line(analyze("--split", write_list(tmp_path / "empty.txt", [])), "the list is empty")
    assert_one_line(analyze("--weights", text_file), text_file, "not lipnet weights")
    assert_one_line(analyze("--run", tmp_path), tmp_path, "no log.jsonl", "scripts/train.py")
    (tmp_path / "log.jsonl").write_text("{}\n")
    assert_one_line(analyze("--run", tmp_path), "not the log of a run")
    (tmp_path / "log.jsonl").write_text("")
    assert_one_line(analyze("--run", tmp_path), "no epoch has ended")
    assert_one_line(analyze("--weights", untrained_weights, untrained_weights), "given twice")
    for out in (text_file, text_file / "report"):
        assert_one_line(analyze("--out", out), f"--out {out}: {text_file} is a file", "give a folder")
    assert_one_line(analyze("--batch-size", 0), "--batch-size 0", "1 or more")
    assert not (tmp_path / "out").exists()
