"""Weights that read landmarks in every script: exported, evaluated, used for prediction, and refused where
there are no landmarks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from landmark_store import STREAMS, pack_landmarks, save_untrained, stream_model
from tiny import CROP, OVERRIDES, Result, assert_one_line, run_script, write_list

from lipnet.config import CropConfig
from lipnet.errors import LipnetError
from lipnet.inference.reader import LipReader


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips, of which one has no landmarks."""
    return pack_landmarks(tmp_path_factory.mktemp("store"), without=["prwazs"])


@pytest.fixture(scope="module")
def full_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_landmarks(tmp_path_factory.mktemp("full"))


def export(folder: Path, name: str) -> tuple[Path, Path]:
    """The weights of one of STREAMS, and the same as an ONNX file."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    weights = save_untrained(folder / "w.safetensors", stream_model(name, word_heads=True))
    result = run_script("export", "--weights", weights, "--onnx", folder / "w.onnx")
    assert result.code == 0, result.err
    return weights, folder / "w.onnx"


def evaluate(weights: Path, data: Path, *more: object) -> Result:
    return run_script("evaluate", "--weights", weights, "--data", data, "--split", "all", *more)


@pytest.mark.parametrize("name", STREAMS)
def test_an_exported_network_has_the_error_rates_of_its_weights(
    name: str, store: Path, full_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipnet.device.supports_bfloat16", lambda _: False)
    data = full_store if name == "landmarks" else store
    results, texts = [], []
    for weights in export(tmp_path, name):
        out = tmp_path / weights.suffix[1:]
        results.append(evaluate(weights, data, "--decoder", "greedy", "--out", out))
        assert results[-1].code == 0, results
        table = (out / "predictions.csv").read_text().splitlines()[1:]
        texts.append([line.split(",")[:3] for line in table])
    assert results[0].out == results[1].out
    assert texts[0] == texts[1] and all(text for _, _, text in texts[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["landmarks", "late"])
def test_an_exported_network_predicts_what_its_weights_do(
    name: str, synthetic_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipnet.device.supports_bfloat16", lambda _: False)
    results = [
        run_script("predict", synthetic_clip, "--weights", weights, "--decoder", "greedy")
        for weights in export(tmp_path, name)
    ]
    assert results[0].code == 0 and results[0].out.strip()
    assert results[0].out == results[1].out


# Without landmarks


def test_a_clip_without_landmarks_is_named(store: Path, crop_store: Path, tmp_path: Path) -> None:
    weights = save_untrained(tmp_path / "w.safetensors", stream_model("landmarks"))
    message = f"{store}: 1 of 4 clips have no landmarks (its crops were made without landmarks), such as "
    remedy = (
        "s1/prwazs, but model.streams is [landmarks]; preprocess into another folder with crop.method=dlib"
    )
    assert_one_line(evaluate(weights, store), message + remedy)
    assert_one_line(evaluate(weights, crop_store), "10 of 10 clips have no landmarks", "such as s1/bbaf2n")
    assert_one_line(
        run_script("calibrate", weights, "--data", store, "--split", "all"), "1 of 4 clips have no landmarks"
    )


def test_clips_without_landmarks_are_read_from_the_pixels(
    store: Path, crop_store: Path, tmp_path: Path
) -> None:
    weights = save_untrained(tmp_path / "w.safetensors", stream_model("joint"))
    assert evaluate(weights, store, "--decoder", "greedy").code == 0
    assert evaluate(weights, crop_store, "--decoder", "greedy").code == 0


def test_training_needs_landmarks(store: Path, tmp_path: Path) -> None:
    write_list(tmp_path / "dev.txt", ["s1/bbaf2n"])
    settings = (
        f"data.root={store}",
        f"run.dir={tmp_path / 'run'}",
        f"data.dev_splits=[{tmp_path / 'dev.txt'}]",
    )
    result = run_script(
        "train", *OVERRIDES, *settings, "data.train_split=all", "model.streams=[landmarks]", "train.epochs=1"
    )
    assert_one_line(result, "1 of 4 clips have no landmarks", "such as s1/prwazs")


def test_a_store_of_a_fixed_box_is_the_cause(tmp_path: Path) -> None:
    crop = CropConfig(width=24, height=16, method="fixed", box=[190, 206, 80, 104])
    store = pack_landmarks(tmp_path / "store", ["bbaf2n"], ["bbaf2n"], crop)
    weights = save_untrained(tmp_path / "w.safetensors", stream_model("landmarks"), crop)
    assert_one_line(evaluate(weights, store), "have no landmarks (crop.method fixed finds none)")


@pytest.mark.parametrize("method", ["fixed", "none"])
def test_a_reader_that_finds_no_landmarks_is_refused(method: str, text_file: Path, tmp_path: Path) -> None:
    crop = replace(CROP, method=method, box=[190, 206, 80, 104] if method == "fixed" else [])
    weights = save_untrained(tmp_path / "w.safetensors", stream_model("landmarks"), crop)
    message = f"crop.method {method}: the weights read landmarks only"
    assert_one_line(run_script("predict", text_file, "--weights", weights), message, "use dlib and videos")
    both = save_untrained(tmp_path / "both.safetensors", stream_model("late"), crop)
    LipReader.load(both, device="cpu")


def test_videos_of_mouths_have_no_landmarks(tmp_path: Path, text_file: Path) -> None:
    weights = save_untrained(tmp_path / "w.safetensors", stream_model("landmarks"))
    result = run_script("predict", text_file, "--weights", weights, "--face", "none")
    assert_one_line(result, "crop.method none: the weights read landmarks only", "that show the whole face")
    reader = LipReader.load(weights, device="cpu")
    cropper = reader.cropper
    with pytest.raises(LipnetError, match="the weights read landmarks only"):
        reader.use_face("none")
    assert reader.cropper is cropper
