"""evaluate.py on bad input."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import CROP, Result, assert_one_line, make_clip, pack, run_script, tiny_model, write_list

from lipnet.data.corpus import Clip
from lipnet.models.checkpoint import save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata

RANGE = r"[\d.]+ to [\d.]+ %"
INTERVALS = rf"95 % intervals: WER {RANGE}, CER {RANGE} \(bootstrap over clips\)"


def test_evaluating_bad_input(
    untrained_weights: Path, crop_store: Path, text_file: Path, tmp_path: Path
) -> None:
    def evaluate(*more: object, weights: Path = untrained_weights, data: Path = crop_store) -> Result:
        given = ("--weights", weights, "--data", data, "--split", "all", "--out", tmp_path / "out")
        return run_script("evaluate", *given, *more)

    absent = write_list(tmp_path / "absent.txt", ["s1/bbaf2n", "s7/swiz0n"])
    assert_one_line(evaluate("--split", absent), absent, "s7/swiz0n", "preprocess")
    assert_one_line(evaluate("--split", "test"), "no split 'test'", "dev, train")
    assert_one_line(evaluate(weights=text_file), text_file, "not lipnet weights; give")
    assert_one_line(evaluate(data=tmp_path), tmp_path, "make one with scripts/preprocess.py")
    assert_one_line(evaluate("--decoder", "best"), "'best'", "greedy, beam")
    assert_one_line(evaluate("--batch-size", 0), "--batch-size 0", "1 or more")
    wide = tmp_path / "wide"
    pack(wide, [make_clip("s1", "bbaf2n")], [75], replace(CROP, width=48))
    complaint = "crop.width=48, the weights need 24: preprocess into another folder"
    assert_one_line(evaluate(data=wide), wide, complaint)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("word_heads", "grid", "resolved"), [(True, True, "grammar"), (True, False, "beam")])
def test_the_line_names_the_decoder_that_auto_stands_for(
    word_heads: bool, grid: bool, resolved: str, crop_store: Path, tmp_path: Path
) -> None:
    model = LipNet(tiny_model(word_heads=word_heads))
    weights = tmp_path / "w.safetensors"
    save_weights(weights, model.state_dict(), Metadata(model.config, CROP, grid=grid))
    given = ("--weights", weights, "--data", crop_store, "--split", "dev", "--out", tmp_path / "out")
    result = run_script("evaluate", *given)
    line, intervals = result.out.splitlines()
    assert line.endswith(f" 2 clips, {resolved}"), result
    assert re.fullmatch(INTERVALS, intervals), result
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["decoder"] == resolved


def test_without_a_reference_there_is_no_error_rate(untrained_weights: Path, tmp_path: Path) -> None:
    pack(tmp_path, [Clip("s1", "a", Path(), "", ())], [20])
    for script, weights in (
        ("evaluate", ("--weights", untrained_weights)),
        ("calibrate", (untrained_weights,)),
    ):
        result = run_script(script, *weights, "--data", tmp_path, "--split", "all")
        assert_one_line(result, f"{tmp_path}: no clip of all has a reference text")


@pytest.mark.parametrize("decoder", ["greedy", "grammar"])
def test_an_exported_network_has_the_error_rates_of_its_weights(
    decoder: str, crop_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("lipnet.device.supports_bfloat16", lambda _: False)
    torch.manual_seed(0)
    model = LipNet(tiny_model(word_heads=True))
    with torch.no_grad():
        model.output.weight *= 30
    save_weights(tmp_path / "w.safetensors", model.state_dict(), Metadata(model.config, CROP))
    exported = run_script("export", "--weights", tmp_path / "w.safetensors", "--onnx", tmp_path / "w.onnx")
    assert exported.code == 0, exported.err
    results = []
    for name in ("w.safetensors", "w.onnx"):
        given = ("--weights", tmp_path / name, "--data", crop_store, "--split", "all", "--decoder", decoder)
        results.append(run_script("evaluate", *given, "--out", tmp_path / name.replace(".", "_")))
    assert results[0].code == results[1].code == 0, results
    assert results[0].out == results[1].out
    tables = [(tmp_path / name / "predictions.csv").read_text() for name in ("w_safetensors", "w_onnx")]
    texts = [[line.split(",")[:3] for line in table.splitlines()] for table in tables]
    assert texts[0] == texts[1] and len(texts[0]) == 11
    cuda = run_script(
        "evaluate",
        "--weights",
        tmp_path / "w.onnx",
        "--data",
        crop_store,
        "--split",
        "all",
        "--device",
        "cuda",
    )
    assert_one_line(cuda, "device 'cuda'", ".onnx file is computed on the CPU")


def test_names_that_are_not_utf8(untrained_weights: Path, tmp_path: Path) -> None:
    pack(tmp_path / "store", [make_clip("s1", "bbaf2n")], [75])
    index = tmp_path / "store" / "s1.index.json"
    index.write_text(index.read_text().replace("bbaf2n", "caf\\udce9"))
    given = ("--weights", untrained_weights, "--data", tmp_path / "store", "--split", "all")
    result = run_script("evaluate", *given, "--out", tmp_path / "out")
    assert result.code == 0, result
    assert (tmp_path / "out" / "predictions.csv").read_text().splitlines()[1].startswith("s1/caf\\udce9,")
