"""What is in TensorBoard's file: curves, settings, tables and figures, also of a run that was killed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from runs import Killed, kill_at, log_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as AsTensorBoard
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams import metadata
from tiny import CROP, Train, run_script
from torch.utils.tensorboard.writer import SummaryWriter

from lipnet.config import Config
from lipnet.device import Device
from lipnet.training.engine import Step
from lipnet.training.run_dir import RunDir
from lipnet.training.tensorboard.logger import TensorBoardLogger

FIGURES = {"dev/letters", "dev/slots", "dev/posteriorgram_1", "dev/posteriorgram_2"}
LAYOUT = "custom_scalars__config__"
KEEP_ALL = {"scalars": 0, "images": 0, "tensors": 0}


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance=KEEP_ALL).Reload()


@pytest.fixture(scope="module")
def events(finished_run: Path) -> EventAccumulator:
    return read(finished_run)


def picture_of(events: EventAccumulator, tag: str) -> np.ndarray:
    """The last picture with a tag, (H, W, 3) uint8."""
    encoded = np.frombuffer(events.Images(tag)[-1].encoded_image_string, np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture)


def steps_of(folder: Path) -> dict[str, list[int]]:
    """The steps that TensorBoard shows of every curve, picture and table of predictions."""
    events = AsTensorBoard(str(folder), size_guidance={"tensors": 0}).Reload()
    # TensorBoard uses one layout and one table of settings of several.
    tags = {tag for tag in events.Tags()["tensors"] if tag != LAYOUT and not tag.startswith("_hparams_")}
    return {tag: [event.step for event in events.Tensors(tag)] for tag in tags}


def test_the_curves(events: EventAccumulator, finished_run: Path) -> None:
    curves = {"loss", "ctc", "words", "learning_rate", "gradient_norm", "clips_per_second"}
    tags = {f"train/{name}" for name in curves} | {"dev/cer", "dev/wer", "dev/loss"}
    assert set(events.Tags()["scalars"]) == tags  # on a GPU also its memory
    assert [event.step for event in events.Scalars("train/loss")] == list(range(1, 10))
    for rate in ("cer", "wer", "loss"):
        found = [(event.step, round(event.value, 4)) for event in events.Scalars(f"dev/{rate}")]
        assert found == [
            (line["step"], pytest.approx(line["dev"]["dev"][rate], abs=1e-4)) for line in log_of(finished_run)
        ]


def test_the_error_rates_share_a_chart(events: EventAccumulator) -> None:
    [stored] = events.Tensors(LAYOUT)
    layout = Layout.FromString(stored.tensor_proto.string_val[0])
    charts = {chart.title: list(chart.multiline.tag) for part in layout.category for chart in part.chart}
    assert charts["CER and WER of the dev lists"] == ["^dev/cer$", "^dev/wer$"]
    assert charts["Loss and its parts"] == ["^train/loss$", "^train/ctc$", "^train/words$"]


def test_the_settings_are_in_the_table_of_runs(events: EventAccumulator, finished_run: Path) -> None:
    content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    settings = metadata.parse_session_start_info_plugin_data(content).hparams
    assert settings["train.lr"].number_value == 1e-2
    assert settings["model.channels"].string_value == "[4, 4, 4]"
    assert settings["model.word_heads"].string_value == "True"
    assert not [name for name in settings if name.startswith("crop.") or name == "run.dir"]
    assert events.SummaryMetadata(metadata.SESSION_END_INFO_TAG)  # raises without one: the run is complete
    assert not [path for path in finished_run.iterdir() if path.is_dir()]


def test_the_predictions(events: EventAccumulator) -> None:
    stored = events.Tensors("dev/predictions/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert stored.splitlines()[1:2] == ["|---|---|---|"] and "\n| s2/bbwg6s | " in stored
    assert "bin" in stored and stored.count("\n") == 3


def test_the_figures(events: EventAccumulator) -> None:
    assert set(events.Tags()["images"]) == FIGURES | {"crops"}
    for tag in FIGURES:
        assert [event.step for event in events.Images(tag)] == [3, 6, 9]
        picture = picture_of(events, tag)
        assert picture.shape[1] == 350 and 100 < picture.shape[0] < 450
        assert picture.std() > 5


def test_the_crops(events: EventAccumulator) -> None:
    [image] = events.Images("crops")
    assert image.width == 5 * (CROP.width + 2) + 2  # five columns, with borders of 2 px
    assert (image.height - 2) / (CROP.height + 2) in (5, 6)  # rows: every third of about 75 frames
    picture = picture_of(events, "crops")
    assert (picture[:2] == 255).all() and picture[2 : 2 + CROP.height, 2 : 2 + CROP.width].std() > 50


@pytest.mark.parametrize(
    ("target", "call"),
    [
        pytest.param("lipnet.training.losses.word_loss", 2, marks=pytest.mark.slow),  # within the first epoch
        pytest.param("lipnet.training.losses.word_loss", 5, marks=pytest.mark.slow),  # within the second
        ("lipnet.training.run_dir.save_progress", 2),  # all of the second epoch is logged, and not saved
    ],
)
def test_a_killed_run_neither_loses_nor_repeats_points(
    target: str, call: int, train: Train, finished_run: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, target, call)
        with pytest.raises(Killed):
            train(tmp_path / "run")
    [first] = (tmp_path / "run").glob("events.*")
    first.rename(tmp_path / "run" / "events.out.tfevents.0")  # files are read in the order of their names
    if (tmp_path / "run" / "resume.pt").exists():
        assert run_script("train", "--resume", tmp_path / "run").code == 0
    else:
        assert train(tmp_path / "run").code == 0
    assert steps_of(tmp_path / "run") == steps_of(finished_run)


def test_an_epoch_is_in_the_file_before_it_is_saved(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that SIGKILL, after which nothing is flushed, loses no points."""
    kill_at(monkeypatch, "lipnet.training.run_dir.save_progress", 1)
    monkeypatch.setattr(SummaryWriter, "close", lambda _: None)
    with pytest.raises(Killed):
        train(tmp_path / "run")
    steps = steps_of(tmp_path / "run")
    assert steps["train/loss"] == [1, 2, 3]
    assert steps["dev/wer"] == steps["dev/predictions/text_summary"] == steps["dev/posteriorgram_2"] == [3]


def test_the_memory_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: device.index * 2**29)
    step = Step(loss=2.0, ctc=1.5, words=0.5, lr=0.1, grad_norm=1.0, clips=6, seconds=2.0)
    with TensorBoardLogger(RunDir(tmp_path, Config()), [], Device(torch.device("cuda:3"))) as logger:
        logger.log_step(7, step)
    [memory] = read(tmp_path).Scalars("train/gpu_memory_gib")
    [speed] = read(tmp_path).Scalars("train/clips_per_second")
    assert (memory.step, memory.value, speed.value) == (7, 1.5, 3.0)
