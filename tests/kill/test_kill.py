"""Programs that are killed and continued. ``make kill`` does this at many more moments."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("needs /proc", allow_module_level=True)

from kill.moments import CASES, draw_moments
from kill.programs import Preprocess, Shards, Train
from kill.runner import Runner
from kill.session import Session

COUNT, SEED = 4, 1


def test_moments_depend_on_their_number_and_the_seed() -> None:
    moments = draw_moments(50, 0)
    assert moments[:7] == draw_moments(7, 0) and moments != draw_moments(50, 1)
    assert all(0 <= moment.part < 1 for moment in moments)
    counts = Counter((moment.signal, moment.target) for moment in moments)
    assert len(counts) == 6 and min(counts.values()) >= 6
    assert sum(loaders == 0 for _, loaders in CASES) == len(CASES) / 2


def test_a_process_that_is_left_is_found(tmp_path: Path) -> None:
    """Also one in another session, whose parent has ended."""
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60'], start_new_session=True)"
    session = Session([sys.executable, "-c", code], tmp_path / "errors.txt")
    try:
        assert session.wait(30) == 0
        assert len(session.alive()) == 1 and session.ended_after(0.1) is None
    finally:
        session.stop()
    assert session.ended_after(2.0) is not None


@pytest.fixture(scope="module")
def preprocess(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    folder = tmp_path_factory.mktemp("kill")
    return Runner(Preprocess(folder / "corpus"), folder / "preprocess")


@pytest.mark.slow
def test_preprocess_is_killed(preprocess: Runner) -> None:
    for outcome in preprocess.run(draw_moments(COUNT, SEED), jobs=1):
        assert not outcome.findings, str(outcome.moment)


@pytest.mark.slow
def test_shards_and_their_merge_are_killed(preprocess: Runner, tmp_path: Path) -> None:
    """What is merged is also what one process has written."""
    moments = draw_moments(COUNT, SEED + 1)
    runner = Runner(Shards(preprocess.program.corpus), tmp_path / "shards")
    assert runner.program.differences(preprocess.reference, runner.reference, moments[0]) == []
    for outcome in runner.run(moments, jobs=1):
        assert not outcome.findings, str(outcome.moment)


@pytest.mark.slow
def test_train_is_killed(preprocess: Runner, tmp_path: Path) -> None:
    runner = Runner(Train(preprocess.reference), tmp_path / "train")
    for outcome in runner.run(draw_moments(COUNT, SEED), jobs=1):
        assert not outcome.findings, str(outcome.moment)
    (log := tmp_path / "train" / "reference" / "log.jsonl").write_text(
        log.read_text().replace("loss", "Loss")
    )
    killed = next(runner.run(draw_moments(1, SEED), jobs=1))
    assert killed.findings == ["differs: log.jsonl"]
