"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest

if TYPE_CHECKING:
    from tiny import Result, Train

    from lipnet.data.dataset import Batch

# Threads gain nothing on models this small, and cost much where other programs want the cores too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same random inputs in every run; `make fuzz` is for new ones.
hypothesis.settings.register_profile("fixed", derandomize=True)
hypothesis.settings.load_profile("fixed")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked ``gpu`` where there is no GPU."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("there is no GPU")


@pytest.fixture(scope="session")
def grid_root() -> Path:
    """Real GRID clips, for the tests that need them."""
    if not os.environ.get("GRID_ROOT"):
        pytest.skip("GRID_ROOT is not set")
    return Path(os.environ["GRID_ROOT"])


@pytest.fixture(scope="session")
def crop_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random crops of five clips each of two speakers: 75, 74, 75, 40 and 300 frames, the last one untimed.

    Its lists are train (seven of the shorter clips) and dev (two clips of s2). Tests must not change it.
    """
    from tiny import make_clip, pack, write_list  # here, so that tests without torch stay quick

    root = tmp_path_factory.mktemp("crops")
    ids = {"s1": ("bbaf2n", "lgbm5p", "prwazs", "swiq9a", "bgbt1s")}
    ids["s2"] = ("lwik7a", "pbaxzn", "srwd3p", "bbwg6s", "lgiu8a")
    lengths = (75, 74, 75, 40, 300)
    clips = [
        make_clip(speaker, clip_id, frames, timed=frames != 300)
        for speaker, own in ids.items()
        for clip_id, frames in zip(own, lengths, strict=True)
    ]
    pack(root, clips, lengths * 2)
    names = [clip.name for clip in clips]
    write_list(root / "splits" / "train.txt", [*names[:4], *names[5:8]])
    write_list(root / "splits" / "dev.txt", names[8:])
    return root


@pytest.fixture
def batches(crop_store: Path) -> list[Batch]:
    """Two batches of three clips of the list train."""
    from tiny import dataset

    from lipnet.data.dataset import SampleKey
    from lipnet.data.loading.loaders import collate

    data = dataset(crop_store, "train", augment=None)
    return [collate([data[SampleKey(i)] for i in group]) for group in ((0, 1, 2), (3, 4, 5))]


@pytest.fixture(scope="session")
def two_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of ten frames in which no word is the same."""
    from tiny import pack

    from lipnet.data.alignments import Word
    from lipnet.data.corpus import Clip

    table = (
        ("bbaf2n", "bin blue at f two now", (1, 2, 4, 5, 7, 8), (2, 4, 5, 7, 8, 9)),
        ("lgbm5p", "lay green by m five please", (2, 3, 4, 5, 6, 8), (3, 4, 5, 6, 7, 9)),
    )
    clips = [
        Clip("s1", clip_id, Path(), text, tuple(map(Word, text.split(), starts, ends)))
        for clip_id, text, starts, ends in table
    ]
    root = tmp_path_factory.mktemp("two")
    pack(root, clips, [10, 10])
    return root


@pytest.fixture(scope="session")
def train(crop_store: Path) -> Train:
    """Train the tiny model for three epochs of three steps, in this process."""
    from tiny import OVERRIDES, run_script

    def run(folder: Path, *changes: str) -> Result:
        settings = (f"data.root={crop_store}", f"run.dir={folder}", "train.epochs=3", "train.lr=0.01")
        return run_script("train", *OVERRIDES, *settings, *changes)

    return run


@pytest.fixture(scope="session")
def finished_run(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run. Tests must not change it."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    result = train(folder)
    assert result.code == 0, result.err
    return folder


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file with the name of a video."""
    path = tmp_path_factory.mktemp("text") / "bbaf2n.mp4"
    path.write_text("This is not a video.\n")
    return path


@pytest.fixture(scope="session")
def grey_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A uniformly grey video, without a face."""
    from video_files import write_video

    grey = np.full((288, 360, 3), 128, np.uint8)
    return write_video(tmp_path_factory.mktemp("grey") / "grey.mp4", [grey] * 10)


@pytest.fixture(scope="session")
def synthetic_corpus(text_file: Path, grey_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sentences each of the synthetic speakers s1, s2 and s3, and an unusable file for each of them."""
    from tiny import render_clips

    folder = tmp_path_factory.mktemp("synthetic")
    render_clips(folder, 3, 2, 0)
    bad = {"s1/bbaf2n.mp4": text_file, "s2/lgbm5p.mp4": grey_video, "s3/holiday.avi": text_file}
    for name, source in bad.items():
        (folder / name).write_bytes(source.read_bytes())
    return folder


@pytest.fixture(scope="session")
def synthetic_clip(synthetic_corpus: Path) -> Path:
    """A usable video of s3."""
    return min(synthetic_corpus.glob("s3/*.mp4"))


@pytest.fixture(scope="session")
def untrained_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network with outputs of large variance, so that its texts are not empty."""
    import torch
    from tiny import CROP, tiny_model

    from lipnet.models.checkpoint import Metadata, save_weights
    from lipnet.models.lipnet import LipNet

    torch.manual_seed(0)
    model = LipNet(tiny_model())
    with torch.no_grad():
        model.output.weight *= 30
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    save_weights(path, model.state_dict(), Metadata(model.config, CROP))
    return path
