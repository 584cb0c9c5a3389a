"""preprocess.py and bad input."""

from __future__ import annotations

from pathlib import Path

from tiny import Result, assert_one_line, contents, make_clip, pack, run_script, shell


def test_preprocessing_bad_input(drawn_corpus: Path, tmp_path: Path) -> None:
    def preprocess(corpus: Path, *more: object) -> Result:
        return run_script("preprocess", corpus, "--out", tmp_path / "out", *more)

    assert_one_line(preprocess(tmp_path / "gone"), tmp_path / "gone", "no such folder")
    assert_one_line(preprocess(tmp_path), tmp_path, "no videos")
    assert_one_line(preprocess(drawn_corpus, "--speakers", "s9"), "no speaker 's9'", "s1, s2, s3")
    assert_one_line(preprocess(drawn_corpus, "crop.widht=9"), "'crop.widht'", "did you mean 'crop.width'")
    assert_one_line(
        preprocess(drawn_corpus, "--aligns", tmp_path / "gone"), tmp_path / "gone", "no such folder"
    )
    assert contents(tmp_path) == {}
    pack(tmp_path, [make_clip("s1", "bbaf2n")], [75])
    before = contents(tmp_path)
    other = run_script("preprocess", drawn_corpus, "--out", tmp_path, "crop.width=30")
    assert other.code == 2
    assert "width 24 there, 30 now" in other.err.splitlines()[-1]
    assert contents(tmp_path) == before


def test_preprocessing_nothing_but_bad_files(wall: Path, text_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corpus" / "s1"
    folder.mkdir(parents=True)
    (folder / "bbaf2n.mp4").write_bytes(text_file.read_bytes())
    (folder / "lgbm5p.mp4").write_bytes(wall.read_bytes())
    result = shell("preprocess", tmp_path / "corpus", "--out", tmp_path / "out", "--workers", 1)
    assert (result.code, result.out) == (2, "") and "Traceback" not in result.err
    assert result.err.splitlines()[-1] == (
        f"error: {tmp_path / 'corpus'}: not one clip could be cropped; the list above says why"
    )
    assert contents(tmp_path / "out") == {}
