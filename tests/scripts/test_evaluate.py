"""evaluate.py on bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tiny import CROP, Result, assert_one_line, make_clip, pack, run_script, write_list


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
