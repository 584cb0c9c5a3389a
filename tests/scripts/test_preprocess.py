"""preprocess.py and bad input."""

from __future__ import annotations

from pathlib import Path

from tiny import (
    OVERRIDES,
    Result,
    assert_one_line,
    contents,
    make_clip,
    pack,
    render_clips,
    run_script,
    shell,
)

from lipnet.data.crop_store import CropStore
from lipnet.inference.reader import LipReader


def test_preprocessing_bad_input(synthetic_corpus: Path, tmp_path: Path) -> None:
    def preprocess(corpus: Path, *more: object) -> Result:
        return run_script("preprocess", corpus, "--out", tmp_path / "out", *more)

    assert_one_line(preprocess(tmp_path / "gone"), tmp_path / "gone", "no such folder")
    assert_one_line(preprocess(tmp_path), tmp_path, "no videos")
    assert_one_line(preprocess(synthetic_corpus, "--speakers", "s9"), "no speaker 's9'", "s1, s2, s3")
    assert_one_line(preprocess(synthetic_corpus, "crop.widht=9"), "'crop.widht'", "did you mean 'crop.width'")
    assert_one_line(
        preprocess(synthetic_corpus, "--aligns", tmp_path / "gone"), tmp_path / "gone", "no such folder"
    )
    assert_one_line(
        preprocess(synthetic_corpus, "train.epochs=9"), "train.epochs=9", "crop. and model.alphabet="
    )
    assert_one_line(preprocess(synthetic_corpus, "--workers", 0), "--workers 0", "1 or more")
    assert contents(tmp_path) == {}
    pack(tmp_path, [make_clip("s1", "bbaf2n")], [75])
    before = contents(tmp_path)
    other = run_script("preprocess", synthetic_corpus, "--out", tmp_path, "crop.width=30")
    assert other.code == 2
    assert "width 24 there, 30 now" in other.err.splitlines()[-1]
    assert contents(tmp_path) == before


def test_preprocessing_nothing_but_bad_files(grey_video: Path, text_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corpus" / "s1"
    folder.mkdir(parents=True)
    (folder / "bbaf2n.mp4").write_bytes(text_file.read_bytes())
    (folder / "lgbm5p.mp4").write_bytes(grey_video.read_bytes())
    result = shell("preprocess", tmp_path / "corpus", "--out", tmp_path / "out", "--workers", 1)
    assert (result.code, result.out) == (2, "") and "Traceback" not in result.err
    assert result.err.splitlines()[-1] == (
        f"error: {tmp_path / 'corpus'}: not one clip could be cropped; the list above says why"
    )
    assert contents(tmp_path / "out") == {}


def test_transcripts_in_another_alphabet(tmp_path: Path) -> None:
    """A corpus of digits, from its videos to a trained network."""
    [video] = render_clips(tmp_path / "videos", 1, 1, seed=3)
    video = video.rename(video.with_stem("a"))
    video.with_suffix(".txt").write_text("1, 2 0 3!")
    tokenizer, crops = "model.alphabet=' 0123456789'", tmp_path / "crops"
    fixed = ("crop.method=fixed", "crop.box=[10,42,8,56]", "crop.width=24", "crop.height=16")
    given = (tmp_path / "videos", "--out", crops, "--workers", 1, *fixed)
    refused = run_script("preprocess", *given)
    assert refused.code == 2 and "'1'" in refused.err
    assert run_script("preprocess", *given, tokenizer).code == 0
    [clip] = CropStore(crops).split("all")
    assert clip.sentence == "1 2 0 3"
    settings = (f"data.root={crops}", "data.train_split=all", f"run.dir={tmp_path / 'run'}", "train.epochs=1")
    trained = run_script("train", *OVERRIDES, "data.dev_splits=[]", *settings, tokenizer)
    assert trained.code == 0, trained.err
    reader = LipReader.load(tmp_path / "run" / "last.safetensors")
    assert reader.tokenizer.alphabet == " 0123456789" and not reader.is_grid
