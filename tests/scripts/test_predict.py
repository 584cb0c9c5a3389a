"""predict.py on synthetic clips: what it writes, prints and warns of, and bad input."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
from tiny import Result, assert_one_line, contents, render_clips, run_script, shell
from video_files import write_video

from lipnet.grid import sentence_of
from lipnet.video.decode import iter_frames, read_video

SEED = 7002  # of speakers whom the weights have not seen


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three sentences of one synthetic speaker, with their alignments beside them."""
    return render_clips(tmp_path_factory.mktemp("synthetic"), 1, 3, SEED)


@pytest.fixture(scope="module")
def joined(videos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three clips as one video of nine seconds."""
    frames = [frame for video in videos for frame in iter_frames(video)]
    return write_video(tmp_path_factory.mktemp("joined") / "joined.mp4", frames)


def test_every_format_at_once(videos: list[Path], tmp_path: Path) -> None:
    every = "txt,json,csv,srt,vtt"
    result = run_script("predict", *videos, "--decoder", "grammar", "--format", every, "--out", tmp_path)
    assert result.code == 0, result.err
    assert "3 of 3 videos read" in result.err
    rows = {row["video"]: row for row in csv.DictReader((tmp_path / "predictions.csv").open())}
    assert list(rows) == list(map(str, videos))
    for video in videos:
        said = json.loads((tmp_path / f"{video.stem}.json").read_text())
        assert said["text"] == rows[str(video)]["text"] and len(said["text"].split()) == 6
        assert len(said["sentences"][0]["n_best"]) == 5
        table = list(csv.DictReader((tmp_path / f"{video.stem}.csv").open()))
        assert [row["word"] for row in table] == said["text"].split()
        for suffix in ("srt", "vtt", "txt"):
            assert said["text"] in (tmp_path / f"{video.stem}.{suffix}").read_text()
    assert len(list(tmp_path.iterdir())) == 3 * 5 + 1


def test_references_give_error_rates(videos: list[Path], tmp_path: Path) -> None:
    said = {video: sentence_of(video.stem) for video in videos}
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / f"{videos[0].stem}.txt").write_text(said[videos[0]] or "")
    (tmp_path / f"{videos[1].stem}.txt").write_text(said[videos[1]] or "")
    result = run_script("predict", *videos, "--decoder", "grammar", "--references", tmp_path)
    assert result.code == 0, result.err
    assert re.search(
        r"^WER \d+\.\d % \(\d+/12 words\) .* 2 clips, grammar, 1 without", result.out, re.MULTILINE
    )
    parsed = run_script("predict", videos[0], "--format", "json", "--references", tmp_path)
    assert json.loads(parsed.out)["text"] and "WER" in parsed.err


def test_a_longer_video_gives_a_line_a_sentence(joined: Path, videos: list[Path], tmp_path: Path) -> None:
    result = run_script("predict", joined, "--decoder", "grammar", "--format", "json")
    said = json.loads(result.out)
    assert len(said["sentences"]) == 3 and said["frames"] == 225
    apart = [
        json.loads(run_script("predict", v, "--decoder", "grammar", "--format", "json").out) for v in videos
    ]
    # Other frames' landmarks are interpolated, so that single words may be read otherwise, but not worse.
    truth = " ".join(sentence_of(video.stem) or "" for video in videos).split()
    texts = (said["text"], " ".join(one["text"] for one in apart))
    together, alone = (sum(a != b for a, b in zip(text.split(), truth, strict=True)) for text in texts)
    assert together <= alone + 2
    for i, (sentence, one) in enumerate(zip(said["sentences"], apart, strict=True)):
        assert sentence["start"] == pytest.approx(3 * i + one["sentences"][0]["start"], abs=0.4)


def test_saving_the_video(videos: list[Path], tmp_path: Path) -> None:
    source, saved = videos[0], tmp_path / "gelesen ä.mp4"
    result = run_script("predict", source, "--decoder", "grammar", "--save", saved, "--debug")
    assert result.code == 0, result.err
    before, after = read_video(source), read_video(saved)
    assert before.shape == after.shape
    assert np.abs(before.astype(int) - after).max() > 100  # something was drawn
    with av.open(str(source)) as a, av.open(str(saved)) as b:
        assert abs(a.duration - b.duration) <= 40_000  # us
    many = run_script("predict", *videos, "--save", tmp_path / "all", "--out", tmp_path / "texts")
    assert many.code == 0, many.err
    assert {path.name for path in (tmp_path / "all").iterdir()} == {f"{v.stem}.mp4" for v in videos}


def test_the_input_is_never_overwritten(videos: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "v.mp4"
    copy.write_bytes(videos[0].read_bytes())
    for target in (copy, tmp_path):
        result = run_script("predict", copy, "--save", target)
        assert result.code == 2 and "v.mp4: is the video itself" in result.err
    assert copy.read_bytes() == videos[0].read_bytes() and len(list(tmp_path.iterdir())) == 1


def test_a_video_that_holds_still_is_doubted(videos: list[Path], tmp_path: Path) -> None:
    first = next(iter_frames(videos[0]))
    still = write_video(tmp_path / "still.mp4", [first] * 75)
    result = run_script("predict", still, "--decoder", "grammar", "--format", "json")
    assert result.code == 0
    warnings = json.loads(result.out)["warnings"]
    assert "the mouth hardly moves" in warnings
    assert [f"warning: {still}: {warning}" for warning in warnings] == result.err.splitlines()


def test_a_video_of_few_pictures_is_doubted(videos: list[Path], tmp_path: Path) -> None:
    pictures = list(iter_frames(videos[0]))[::15]
    slow = write_video(tmp_path / "slow.mkv", pictures, times_ms=[1000 * index for index in range(5)])
    result = run_script("predict", slow, "--decoder", "greedy", "--format", "json")
    assert json.loads(result.out)["warnings"][0].startswith("has 5 pictures for 101 frames: more than half")


def test_a_replayed_file_is_read_live(videos: list[Path]) -> None:
    result = run_script("predict", "--camera", videos[0], "--decoder", "grammar")
    assert result.code == 0, result.err
    *tentative, final = result.out.splitlines()
    assert tentative and all(line.startswith("... ") for line in tentative)
    assert re.fullmatch(r" +\d\.\d\d - +\d\.\d\d s  (\w+ ){6} ?\(\d\.\d\d(, low confidence)?\)", final)


def test_patterns_that_the_shell_left_alone(videos: list[Path], tmp_path: Path) -> None:
    result = run_script("predict", str(videos[0].parent / "*.mp4"), "--out", tmp_path)
    assert result.code == 0, result.err
    assert {path.stem for path in tmp_path.glob("*.txt")} == {video.stem for video in videos}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "give videos, or --camera"),
        (["v.mp4", "--camera", "0"], "give videos, or --camera"),
        (["v.mp4", "--debug"], "--debug draws on the video of --save"),
        (["v.mp4", "--format", "txt,doc"], "unknown format 'doc': choose from txt, json"),
    ],
)
def test_bad_settings(given: list[str], message: str) -> None:
    result = run_script("predict", *given)
    assert result.code == 2 and message in result.err


def test_bad_paths(tmp_path: Path) -> None:
    for given, message in (
        (["x/*.mp4"], "x/*.mp4: no file matches"),
        (["v.mp4", "--references", str(tmp_path / "none")], "no such folder; give the one with"),
        (["v.mp4", "--references", str(tmp_path)], "no ID.align or ID.txt in it"),
        (["--camera", str(tmp_path / "gone.mp4")], "no such file"),
    ):
        result = run_script("predict", *given)
        assert result.code == 2 and message in result.err and result.err.count("\n") == 1, result.err


# With weights of another network, and bad input


def test_predicting_as_text(synthetic_corpus: Path, untrained_weights: Path) -> None:
    videos = sorted(synthetic_corpus.glob("s3/*.mp4"))
    result = run_script("predict", *videos, "--weights", untrained_weights)
    assert result.code == 0, result.err
    for video in videos:
        assert re.search(rf"^{video}: \w.*  \(confidence 0\.\d\d\)$", result.out, re.MULTILINE)
    assert re.search(r"^    \d\.\d\d -  \d\.\d\d s  \w+  \(0\.\d\d\)$", result.out, re.MULTILINE)


def test_a_missing_video_from_the_shell(untrained_weights: Path, tmp_path: Path) -> None:
    result = shell(
        "predict", tmp_path / "gone.mp4", "--weights", untrained_weights, "--out", tmp_path / "out"
    )
    assert_one_line(result, "gone.mp4: no such file")
    assert contents(tmp_path) == {}


def test_predicting_bad_videos(
    untrained_weights: Path, grey_video: Path, text_file: Path, tmp_path: Path
) -> None:
    for video, complaint in (
        (tmp_path / "gone.mp4", "no such file"),
        (tmp_path, "no videos in this folder"),
        (text_file, ""),
        (grey_video, "face"),
    ):
        result = run_script("predict", video, "--weights", untrained_weights, "--out", tmp_path / "out")
        assert_one_line(result, video, complaint)
    assert contents(tmp_path) == {}


def test_of_many_videos_the_bad_ones_are_skipped_and_listed(
    synthetic_clip: Path, untrained_weights: Path, grey_video: Path, text_file: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.mp4"
    videos = (text_file, synthetic_clip, grey_video, gone)
    result = run_script("predict", *videos, "--weights", untrained_weights, "--out", tmp_path / "out")
    assert result.code == 1
    lines = result.err.splitlines()
    start = lines.index("3 of 4 videos could not be read:")
    assert [line.startswith("  ") for line in lines[start + 1 :]] == [True] * 3
    for line, path in zip(lines[start + 1 :], (text_file, grey_video, gone), strict=True):
        assert str(path) in line
    assert set(contents(tmp_path / "out")) == {f"{synthetic_clip.stem}.txt", "predictions.csv"}


def test_transcripts_never_overwrite_each_other(
    synthetic_clip: Path, untrained_weights: Path, tmp_path: Path
) -> None:
    def predict(*given: object) -> Result:
        return run_script("predict", "--weights", untrained_weights, *given)

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.mp4").write_bytes(synthetic_clip.read_bytes())
    both = (tmp_path / "a" / "x.mp4", tmp_path / "b" / "x.mp4")
    assert_one_line(predict(*both, "--out", tmp_path / "out"), "x.mp4")
    assert predict(*both).code == 0
    assert predict(tmp_path, "--out", tmp_path / "out").code == 0
    assert sorted(contents(tmp_path / "out")) == ["a/x.txt", "b/x.txt", "predictions.csv"]


def test_predicting_with_bad_settings(
    synthetic_clip: Path, untrained_weights: Path, text_file: Path, tmp_path: Path
) -> None:
    def predict(*more: object, weights: Path = untrained_weights) -> Result:
        return run_script("predict", synthetic_clip, "--weights", weights, *more)

    assert_one_line(predict(weights=tmp_path / "w"), tmp_path / "w", "no such weights")
    assert_one_line(predict(weights=text_file), text_file, "not lipnet weights")
    assert_one_line(predict("--decoder", "best"), "'best'", "beam")
    assert_one_line(predict("--device", "tpu"), "'tpu'", "use cpu")
    for option in ("lm", "grammar"):
        given = (f"--{option}", tmp_path / "none")
        assert_one_line(predict(*given, "--decoder", "greedy"), f"add --decoder {option}")
        assert_one_line(predict(*given), tmp_path / "none")
        assert_one_line(predict(*given, "--decoder", option), tmp_path / "none")
