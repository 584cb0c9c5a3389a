"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Threads gain nothing on models this small, and cost much where other programs want the cores too.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def grid_root() -> Path:
    """Real GRID clips, for the tests that need them."""
    if not os.environ.get("GRID_ROOT"):
        pytest.skip("GRID_ROOT is not set")
    return Path(os.environ["GRID_ROOT"])


@pytest.fixture(scope="session")
def packed_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random crops of two speakers, five clips each: of 75, 74, 75, 40 and 300 frames, the last untimed.

    Its lists are train (seven shorter clips of both) and dev (two of s2). Tests only read it.
    """
    from tiny import make_clip, pack, write_list  # here, so that tests without torch stay quick

    root = tmp_path_factory.mktemp("packed")
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
