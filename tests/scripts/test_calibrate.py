"""calibrate.py: confidences become how often such words are right, and the weights file keeps that."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import CROP, assert_one_line, make_clip, pack, random_crops, run_script, tiny_model, write_list

from lipnet.data.corpus import Clip
from lipnet.data.crop_store import CropStoreWriter
from lipnet.decoding.factory import DECODERS, DecoderOptions
from lipnet.grid import WORD_CLASS
from lipnet.inference.emissions import Emissions
from lipnet.inference.onnx_backend import OnnxBackend
from lipnet.inference.reader import LipReader
from lipnet.inference.torch_backend import TorchBackend
from lipnet.models.checkpoint import load_weights, save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata
from lipnet.tokenizer import BLANK, DEFAULT_TOKENIZER

READ = ["bin", "blue", "at", "f", "two", "now"]  # in every clip
OTHERS = ["lay", "green", "by", "z", "nine", "again"]  # said instead of these, where they are wrong
CLIPS = 20
SURE, UNSURE = 0.7, 0.4  # how probable the network finds a word
SURE_RIGHT, UNSURE_RIGHT = 0.9, 0.3  # how often such words are right


def emissions(
    sure: Sequence[bool], by_heads: bool = False, size: int = DEFAULT_TOKENIZER.vocab_size
) -> Emissions:
    """That of READ, sure or unsure of each word, by its characters (of ``size`` outputs) or by word heads."""
    labels, words, probabilities = [], [], []
    for word, is_sure in zip(READ, sure, strict=True):
        labels += [*DEFAULT_TOKENIZER.encode(word), *DEFAULT_TOKENIZER.encode(" ")]
        words += [WORD_CLASS[word]] * len(word) + [0]
        probabilities += [SURE if is_sure else UNSURE] * len(word) + [0.9]
    shown = np.repeat(words, 2)  # a frame with the character, and a blank one
    spelled = np.stack([labels, np.full(len(labels), BLANK)], axis=1).ravel()
    of_words = np.repeat(probabilities, 2)
    of_characters = np.where(spelled == BLANK, 0.9, SURE if by_heads else of_words)
    heads = certain(shown, of_words, len(WORD_CLASS) + 1) if by_heads else None
    return Emissions(certain(spelled, of_characters, size), heads, 1)


def certain(classes: np.ndarray, probabilities: np.ndarray, count: int) -> np.ndarray:
    """(T, count) log-probabilities that give each frame's class its probability, and the others the rest."""
    p = np.repeat((1 - probabilities[:, None]) / (count - 1), count, axis=1)
    p[np.arange(len(classes)), classes] = probabilities
    return np.log(p).astype(np.float32)


def pack_clips(root: Path, said: Sequence[str], sure: np.ndarray) -> Path:
    """A clip a sentence, whose first pixels tell how sure the network shall be of each word."""
    frames = len(emissions(sure[0]).log_probs)
    with CropStoreWriter(root, "s1", CROP) as writer:
        for index, sentence in enumerate(said):
            crops = np.zeros((frames, CROP.height, CROP.width, 3), np.uint8)
            crops[0, 0, : len(READ), 0] = sure[index]
            writer.add(Clip("s1", f"clip{index}", Path(), sentence, ()), crops, frames)
    return root


def let_network_say(patch: pytest.MonkeyPatch, by_heads: bool = False) -> None:
    """Whatever its weights, it finds READ in every clip, as sure of each word as the first pixels tell."""

    def call(backend: TorchBackend, clips: Sequence[np.ndarray], landmarks: object = None) -> list[Emissions]:
        told = (crops[0, 0, : len(READ), 0] > 0 for crops in clips)
        size = len(backend.metadata.model.alphabet) + 1
        return [emissions(sure.tolist(), by_heads, size) for sure in told]

    patch.setattr(TorchBackend, "__call__", call)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every second word is a sure one. Of the sure words 9 in 10 are right, of the others 3 in 10."""
    sure = np.indices((CLIPS, len(READ))).sum(axis=0) % 2 == 0
    right = np.zeros(sure.shape, bool)
    for kind, part in ((sure, SURE_RIGHT), (~sure, UNSURE_RIGHT)):
        right[kind] = np.arange(kind.sum()) % 10 < 10 * part
    said = [" ".join(np.where(row, READ, OTHERS)) for row in right]
    root = pack_clips(tmp_path_factory.mktemp("corpus"), said, sure)
    for name, first in (("dev_seen", 0), ("dev_unseen", CLIPS // 2)):
        write_list(root / "splits" / f"{name}.txt", [f"s1/clip{i}" for i in range(first, first + CLIPS // 2)])
    return root


@pytest.fixture
def weights(untrained_weights: Path, tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    path.write_bytes(untrained_weights.read_bytes())
    return path


@pytest.mark.parametrize("by_heads", [False, True], ids=["by characters", "by word heads"])
def test_confidences_become_how_often_such_words_are_right(
    by_heads: bool, corpus: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_network_say(monkeypatch, by_heads)
    result = run_script("calibrate", weights, "--data", corpus, "--split", "dev_seen", "dev_unseen")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(load_weights(weights)[1].calibration)
    sure = [True, False, False, True, False, True]
    for decoder, line in zip(DECODERS, lines, strict=True):
        said, _, error = line.partition(", calibration error ")
        assert said == f"{decoder}: 72 of 120 words right"
        assert float(error.removesuffix(" % (5-fold cross-validation)")) < 10
        read = LipReader.load(weights, decoder).decoder(emissions(sure, by_heads))
        assert read is not None and read.text.split() == READ
        expected = [SURE_RIGHT if is_sure else UNSURE_RIGHT for is_sure in sure]
        assert [word.confidence for word in read.words] == pytest.approx(expected, abs=0.01)


def test_all_else_in_the_weights_file_stays(
    corpus: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_network_say(monkeypatch)
    model, before = load_weights(weights)
    known = []
    for split, decoder in (("all", "greedy"), ("all", "grammar"), ("dev_seen", "grammar")):
        result = run_script("calibrate", weights, "--data", corpus, "--split", split, "--decoder", decoder)
        assert result.code == 0, result.err
        after, said = load_weights(weights)
        assert replace(said, calibration={}) == before
        for name, tensor in after.state_dict().items():
            assert torch.equal(tensor, model.state_dict()[name])
        known.append(said.calibration)
    assert known[0].keys() == {"greedy"} and known[1].keys() == known[2].keys() == {"greedy", "grammar"}
    assert known[0]["greedy"] == known[1]["greedy"] == known[2]["greedy"]
    assert known[1]["grammar"] != known[2]["grammar"]
    assert run_script("shrink", weights, "--out", tmp_path / "half.safetensors").code == 0
    assert load_weights(tmp_path / "half.safetensors")[1].calibration == known[2]


def test_predict_says_whether_it_is_calibrated(
    corpus: Path, weights: Path, synthetic_clip: Path, tmp_path: Path
) -> None:
    def predict() -> Any:
        given = ("--weights", weights, "--decoder", "greedy", "--format", "json")
        result = run_script("predict", synthetic_clip, *given)
        assert result.code == 0, result.err
        return json.loads(result.out)

    before = predict()
    with pytest.MonkeyPatch.context() as patch:
        let_network_say(patch)
        given = ("--data", corpus, "--split", "all", "--decoder", "greedy", "grammar")
        assert run_script("calibrate", weights, *given).code == 0
    after = predict()
    assert (before["calibrated"], after["calibrated"]) == (False, True)
    assert after["text"] == before["text"] != ""
    constant, slope, _ = load_weights(weights)[1].calibration["greedy"]
    for raw, word in zip(before["words"], after["words"], strict=True):
        odds = math.exp(constant) * raw["confidence"] ** slope
        assert word["confidence"] == pytest.approx(odds / (1 + odds), abs=0.002)

    words = write_list(tmp_path / "words.txt", ["bin", "blue"])
    for decoder, options, calibrated in (
        ("grammar", None, True),
        ("grammar", DecoderOptions(grammar=words), False),  # of another grammar nobody knows
        ("beam", None, False),
    ):
        reader = LipReader.load(weights, decoder, options=options)
        assert reader.read(synthetic_clip).calibrated is calibrated


@pytest.mark.parametrize("said", [READ, OTHERS], ids=["all are right", "none is"])
def test_words_that_are_all_alike_teach_nothing(
    said: list[str], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_network_say(monkeypatch)
    before = weights.read_bytes()
    root = pack_clips(tmp_path / "packed", [" ".join(said)] * 3, np.eye(3, len(READ), dtype=bool))
    result = run_script("calibrate", weights, "--data", root, "--split", "all")
    assert (result.code, result.out) == (2, "")
    message = result.err.rpartition("\r")[2]  # behind the progress bar
    assert message == "error: all: no word is wrong, or all are; give more clips\n"
    assert weights.read_bytes() == before


def test_bad_input(crop_store: Path, weights: Path, text_file: Path, tmp_path: Path) -> None:
    before = weights.read_bytes()
    absent = write_list(tmp_path / "absent.txt", ["s7/swiz0n"])
    wide = tmp_path / "wide"
    pack(wide, [make_clip("s1", "bbaf2n")], [75], replace(CROP, width=48))
    for file, data, split, parts in (
        (tmp_path / "gone", crop_store, "all", ("gone", "no such weights")),
        (text_file, crop_store, "all", (text_file, "not lipnet weights; give")),
        (weights, tmp_path / "none", "all", (tmp_path / "none", "make one with scripts/preprocess.py")),
        (weights, crop_store, "test", ("no split 'test'", "dev, train")),
        (weights, crop_store, absent, (absent, "s7/swiz0n")),
        (weights, wide, "all", (wide, "crop.width=48, the weights need 24")),
    ):
        result = run_script("calibrate", file, "--data", data, "--split", split)
        assert_one_line(result, *parts)
    result = run_script("calibrate", weights, "--data", crop_store, "--split", "all", "--decoder", "best")
    assert_one_line(result, "'best'", "greedy, beam")
    assert weights.read_bytes() == before


def test_decoders_that_lack_a_letter_are_left_out(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_network_say(monkeypatch)
    model = LipNet(tiny_model(alphabet=f"{DEFAULT_TOKENIZER.alphabet}'"))
    weights = tmp_path / "quote.safetensors"
    save_weights(weights, model.state_dict(), Metadata(model.config, CROP))
    given = ("calibrate", weights, "--data", corpus, "--split", "all")
    result = run_script(*given)
    assert result.code == 0, result.err
    [left_out] = [line for line in result.out.splitlines() if "left out" in line]
    assert left_out.startswith('lm: left out (the language model lacks "\'"')
    assert load_weights(weights)[1].calibration.keys() == DECODERS.keys() - {"lm"}
    assert_one_line(run_script(*given, "--decoder", "lm"), "the language model lacks")


def test_an_exported_network_is_calibrated_in_its_own_file(
    corpus: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    exported = tmp_path / "w.onnx"
    assert run_script("export", "--weights", weights, "--onnx", exported).code == 0
    let_network_say(monkeypatch)
    monkeypatch.setattr(OnnxBackend, "__call__", TorchBackend.__call__)
    before = OnnxBackend.load(exported)
    for path in (weights, exported):
        result = run_script("calibrate", path, "--data", corpus, "--split", "all", "--decoder", "greedy")
        assert result.code == 0, result.err
    after = OnnxBackend.load(exported)
    assert after.metadata == load_weights(weights)[1] != before.metadata
    assert after.metadata.calibration.keys() == {"greedy"}
    monkeypatch.undo()
    clip = [random_crops(9)]
    assert np.array_equal(before(clip)[0].log_probs, after(clip)[0].log_probs)
    assert not list(tmp_path.glob(".*.part"))
