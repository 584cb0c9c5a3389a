"""The benchmark: that each part gives numbers, what its report has, and how its corpus is made."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import OFF, OVERRIDES, Result, assert_one_line, run_script

from lipnet.benchmark import timing as timings
from lipnet.benchmark.corpus import repeated
from lipnet.benchmark.parts import PARTS
from lipnet.benchmark.report import HEAD, environment, row, to_json
from lipnet.benchmark.timing import Timing, matmul_peak, measure
from lipnet.data.crop_store import CropStore
from lipnet.data.dataset import ClipDataset
from lipnet.data.loading.sampler import EpochSampler
from lipnet.device import choose_device
from lipnet.tokenizer import DEFAULT_TOKENIZER

TINY = ("--videos", 1, "--repeats", 2, "--clips", 12, "--device", "cpu", "--precision", "float32")
SIZE = ("crop.width=24", "crop.height=16", "data.workers=0", "model.init=uniform", *OVERRIDES)
NUMBER, TEXT, WHOLE = (int, float), str, int
# key -> types of its value; None stands for what is unknown or not installed
REPORT: Mapping[str, Any] = {
    "format": WHOLE,
    "device": TEXT,
    "device_type": TEXT,
    "cpu": TEXT,
    "cores": WHOLE,
    "threads": WHOLE,
    "load": (int, float, type(None)),
    "precision": TEXT,
    "system": TEXT,
    "versions": dict,
    "commit": TEXT,
    "date": TEXT,
    "config": TEXT,
    "settings": list,
    "weights": TEXT,
    "batch_sizes": list,
    "seconds": NUMBER,
    "results": list,
}
RESULT: Mapping[str, Any] = {
    "part": TEXT,
    "name": TEXT,
    "value": NUMBER,
    "unit": TEXT,
    "lowest": NUMBER,
    "highest": NUMBER,
    "repeats": WHOLE,
    "details": dict,
}
UNITS = {"clips/s", "ms/clip", "real-time factor"}
DETAILS = {"gflops", "share_of_peak", "peak_gflops", "peak_gb", "peak_mb", "seconds", "workers"}
VERSIONS = {"lipnet", "python", "cuda", "cudnn", "torch", "numpy", "av"}


def check_report(report: Mapping[str, Any]) -> None:
    """That a report has all keys, no others, and values of the right types and in the right order."""
    check_types(report, REPORT)
    assert report["format"] == 1
    assert report["versions"].keys() >= VERSIONS
    assert all(isinstance(value, str | None) for value in report["versions"].values())
    assert all(isinstance(size, int) and size > 0 for size in report["batch_sizes"])
    for result in report["results"]:
        check_types(result, RESULT)
        assert result["part"] in PARTS and result["unit"] in UNITS
        assert 0 < result["lowest"] <= result["value"] <= result["highest"] < math.inf
        assert result["repeats"] > 0
        assert result["details"].keys() <= DETAILS
        assert all(isinstance(value, NUMBER) and value >= 0 for value in result["details"].values())
    lines = [(result["part"], result["name"]) for result in report["results"]]
    assert len(set(lines)) == len(lines)
    order = [list(PARTS).index(part) for part, _ in lines]
    assert order == sorted(order)


def check_types(values: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    assert values.keys() == types.keys()
    for key, value in values.items():
        assert isinstance(value, types[key]) and not isinstance(value, bool), key


def benchmark(out: Path, *arguments: object) -> tuple[Result, dict[str, Any]]:
    """Run the script with tiny sizes; its result and its checked report."""
    result = run_script("benchmark", *TINY, "--out", out, *SIZE, *arguments)
    assert result.code == 0, result.err
    report = json.loads(out.read_text())
    check_report(report)
    rows = [line for line in result.out.splitlines() if line.startswith(tuple(PARTS))]
    assert len(rows) == len(report["results"]) + HEAD.startswith(tuple(PARTS))
    return result, report


def test_training_is_measured_at_each_batch_size(tmp_path: Path) -> None:
    parts = ("--only", "gather,step", "--epoch", "--batch-size", "2,3")
    result, report = benchmark(tmp_path / "new" / "report.json", *parts)
    lines = [(one["part"], one["name"], one["repeats"]) for one in report["results"]]
    repeats = {"gather": 2, "step": 2, "epoch": 1}
    assert lines == [(part, f"batch {size}", count) for part, count in repeats.items() for size in (2, 3)]
    for one in report["results"]:
        details = one["details"]
        assert ("gflops" in details) == (one["part"] == "step")
        if "gflops" in details:
            share = details["gflops"] / details["peak_gflops"]
            assert details["share_of_peak"] == pytest.approx(share)
        if one["part"] == "epoch":
            assert one["value"] == pytest.approx(12 / details["seconds"])
    assert (report["device_type"], report["precision"]) == ("cpu", "float32")
    assert report["settings"] == list(SIZE)
    assert f"{report['threads']} threads, float32" in result.out


@pytest.mark.gpu
def test_training_and_reading_on_a_gpu(tmp_path: Path) -> None:
    parts = ("--device", "cuda", "--precision", "auto", "--only", "augment,forward,step,epoch,evaluation")
    _, report = benchmark(tmp_path / "report.json", *parts, "--batch-size", "3")
    assert report["device_type"] == "cuda" and report["versions"]["cuda"]
    for one in report["results"]:
        assert ("peak_gb" in one["details"]) == (one["part"] in ("step", "epoch"))


@pytest.mark.slow
def test_all_parts(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    _, report = benchmark(tmp_path / "report.json", "--batch-size", 2, "data.workers=1")
    names: dict[str, list[str]] = {}
    for one in report["results"]:
        names.setdefault(one["part"], []).append(one["name"])
    assert names == {
        "crop": ["decode", "landmarks, smoothed", "warp", "video file to crops"],
        **{part: ["batch 2"] for part in ("gather", "load", "augment", "forward", "step")},
        "evaluation": ["greedy", "grammar"],
        "decode": ["greedy", "beam", "lm", "grammar", "dictionary"],
        "predict": ["360x288", "1080p"],
        "onnx": ["ONNX Runtime", "PyTorch"],
    }


def test_the_report_of_a_gpu() -> None:
    """With made-up numbers, as there may be no GPU here."""
    where = {**environment(choose_device("cpu", "float32")), "device": "NVIDIA H100", "device_type": "cuda"}
    where["versions"] = {**where["versions"], "cuda": "13.0", "cudnn": "91002"}
    speed = timings.Result.rate(
        "step", "batch 32", Timing([2.0, 1.0, 4.0]), 100, gflops=7e4, share_of_peak=0.1, peak_gb=6.25
    )
    what = {"config": "grid.yaml", "settings": [], "weights": "grid.safetensors", "batch_sizes": [32]}
    check_report(json.loads(to_json(where, what, [speed], 12.34)))
    assert (speed.value, speed.lowest, speed.highest) == (50, 25, 100)
    columns = row(speed).split()
    assert columns[:5] == ["step", "batch", "32", "50", "clips/s"]
    assert "70000 GFLOP/s, 10% of a matrix product's, 6.2 GB" in row(speed)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (("--only", "crop,walk"), ("--only walk", "choose some of crop,gather")),
        (("--batch-size", "8,x"), ("--batch-size 8,x", "from 1 on")),
        (("--batch-size", "0"), ("--batch-size 0", "from 1 on")),
        (("--clips", "0"), ("--clips 0", "give 1 or more")),
        (("--device", "abacus"), ("abacus", "not available")),
        (("--weights", "none.safetensors", "--only", "decode"), ("none.safetensors", "no such weights file")),
    ],
)
def test_wrong_arguments(given: tuple[str, ...], parts: tuple[str, ...]) -> None:
    result = run_script("benchmark", *given)
    assert_one_line(Result(result.code, "", result.err.splitlines()[-1] + "\n"), *parts)


def test_a_measurement_warms_up_first() -> None:
    calls: list[None] = []
    timing = measure(lambda: calls.append(None), 3)
    assert (len(calls), len(timing.seconds)) == (4, 3)
    assert min(timing.seconds) <= timing.median <= max(timing.seconds)


def test_milliseconds_and_real_time() -> None:
    timing = Timing([0.5, 0.25])
    assert timings.Result.milliseconds("decode", "beam", timing, 10).value == 37.5
    assert timings.Result.real_time("predict", "1080p", timing, 3.0).lowest == pytest.approx(1 / 12)


def test_the_peak_of_a_matrix_product() -> None:
    device = choose_device("cpu", "float32")
    assert 1e6 < matmul_peak(device, 64, 2) < 1e15


def test_a_corpus_of_any_size_has_the_frames_of_a_small_one(crop_store: Path) -> None:
    few = CropStore(crop_store)
    many = repeated(CropStore(crop_store), 1001)
    assert len(many.clips) == 1001
    sources = {(clip.speaker, clip.start, clip.frames) for clip in few.clips.values()}
    assert {(clip.speaker, clip.start, clip.frames) for clip in many.clips.values()} == sources
    speakers = [clip.speaker for clip in many.clips.values()]
    assert abs(speakers.count("s1") - speakers.count("s2")) <= 1
    dataset = ClipDataset(many, list(many.clips.values()), DEFAULT_TOKENIZER, OFF)
    sampler = EpochSampler(dataset, 32)
    keys = [key for batch in sampler for key in batch]
    assert sorted(key.clip for key in keys) == list(range(1001))
    sample = dataset[keys[0]]
    assert torch.from_numpy(sample.array[sample.indices]).shape[1:] == (16, 24, 3)
