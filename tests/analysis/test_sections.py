"""What the report says about the weights, and which files it deletes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lipnet.analysis.sections import PAGE, TABLES, about, delete_report, verdict


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        (["s1", "s10", "s2"], "trained with speakers s1, s2, s10. Clips of s2, s10 are in this split, too:"),
        (["s1"], "trained with speakers s1."),
        ([], "training speakers not known."),
    ],
)
def test_the_split_s_people_whom_the_weights_know_are_named(trained: list[str], expected: str) -> None:
    metadata = SimpleNamespace(
        info={"train_speakers": trained}, model=SimpleNamespace(streams=["pixels", "landmarks"])
    )
    reading = SimpleNamespace(name="a", network=SimpleNamespace(metadata=metadata))
    text = about(reading, ["s10", "s2", "s10", "s7"])  # type: ignore[arg-type]
    assert text.startswith(f"a reads pixels and landmarks; {expected}")
    assert ("Clips of" in text) == ("Clips of" in expected)


def test_a_report_s_files_are_deleted_and_no_others(tmp_path: Path) -> None:
    for name in (PAGE, *(f"{table}.csv" for table in TABLES[::2]), "mine.csv"):
        (tmp_path / name).touch()
    delete_report(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_the_result_of_a_comparison_follows_from_its_interval() -> None:
    assert verdict(0.01, 0.05) == "B is worse"
    assert verdict(-0.05, -0.01) == "B is better"
    assert verdict(-0.05, 0.01) == verdict(0.0, 0.05) == "not decided"
