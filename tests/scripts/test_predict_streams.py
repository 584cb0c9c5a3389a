"""predict.py where videos come from, and output goes to, other places than files; names of any characters."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny import SCRIPTS, Result, assert_one_line, contents, run_script
from video_files import write_video

from lipnet.video.decode import read_video


@pytest.fixture
def predict(untrained_weights: Path) -> partial[Result]:
    return partial(run_script, "predict", "--weights", untrained_weights)


def piped(video: Path, *given: object, stdout: object = subprocess.PIPE, **environment: str) -> Result:
    """Run predict.py with a video on its standard input."""
    command = [sys.executable, str(SCRIPTS / "predict.py"), *map(str, given)]
    with video.open("rb") as stdin:
        done = subprocess.run(
            command,
            stdin=stdin,
            stdout=stdout,  # type: ignore[call-overload]
            stderr=subprocess.PIPE,
            env=os.environ | environment,
            timeout=120,
        )
    return Result(done.returncode, (done.stdout or b"").decode("latin-1"), done.stderr.decode())


@pytest.mark.slow
def test_standard_input(
    synthetic_clip: Path, untrained_weights: Path, text_file: Path, tmp_path: Path
) -> None:
    given = ("-", "--weights", untrained_weights, "--format", "json")
    result = piped(synthetic_clip, *given, "--save", tmp_path / "saved.mp4")
    assert result.code == 0, result.err
    said = json.loads(result.out)
    path = run_script("predict", synthetic_clip, *given[1:])
    assert said["text"] == json.loads(path.out)["text"] and said["video"] == "standard input"
    assert len(read_video(tmp_path / "saved.mp4")) == said["frames"]
    assert piped(synthetic_clip, *given, "--out", tmp_path / "out").code == 0
    assert set(contents(tmp_path / "out")) == {"stdin.json"}
    assert_one_line(piped(text_file, *given), "standard input: cannot be read")


@pytest.fixture
def matroska(synthetic_clip: Path, tmp_path: Path) -> Path:
    """The clip in a format that is read from start to end: this server has no ranges of bytes."""
    (tmp_path / "served").mkdir()
    return write_video(tmp_path / "served" / "clip.mkv", list(read_video(synthetic_clip)))


@pytest.fixture
def server(matroska: Path) -> Iterator[str]:
    """The address at which a server has the folder of the clip."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(matroska.parent))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_urls(server: str, matroska: Path, predict: partial[Result], tmp_path: Path) -> None:
    url = f"{server}/{matroska.name}?token=1"
    result = predict("--url", url, "--format", "json", "--save", tmp_path / "saved")
    assert result.code == 0, result.err
    said = json.loads(result.out)
    assert said["text"] == json.loads(predict(matroska, "--format", "json").out)["text"]
    assert said["video"] == url and set(contents(tmp_path / "saved")) == {f"{matroska.stem}.mp4"}
    assert_one_line(predict("--url", f"{server}/gone.mp4"), f"{server}/gone.mp4", "cannot be read")
    assert_one_line(predict(url), "give the address of a video with --url")


def test_no_reference_is_an_error(synthetic_clip: Path, predict: partial[Result], tmp_path: Path) -> None:
    (tmp_path / "another.txt").write_text("bin blue at f two now\n")
    assert_one_line(predict(synthetic_clip, "--references", tmp_path), tmp_path, "no reference found")


def test_the_summary_does_not_overwrite_a_video_s_table(
    synthetic_clip: Path, predict: partial[Result], tmp_path: Path
) -> None:
    videos = [tmp_path / name for name in ("predictions.mp4", "Predictions.mkv", "other.mp4")]
    for video in videos:
        video.write_bytes(synthetic_clip.read_bytes())
    out = tmp_path / "out"
    assert predict(*videos, "--format", "csv", "--out", out).code == 0
    assert set(contents(out)) == {
        "predictions.csv", "predictions.mp4.csv", "Predictions.mkv.csv", "other.csv",
    }  # fmt: skip
    assert len(list(csv.DictReader((out / "predictions.csv").open()))) == 3
    assert "word" in (out / "predictions.mp4.csv").read_text().splitlines()[0]
    assert predict(videos[0], "--format", "csv", "--out", tmp_path / "one").code == 0
    assert set(contents(tmp_path / "one")) == {"predictions.csv"}


def test_of_many_problems_the_first_are_printed(
    synthetic_clip: Path, text_file: Path, predict: partial[Result], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "left_out.mp4").write_bytes(synthetic_clip.read_bytes())
    for index in range(25):
        (tmp_path / "in" / f"{index}.mp4").write_bytes(text_file.read_bytes())
    for given in ((), ("--format", "json"), ("--out", tmp_path / "out")):
        result = predict(tmp_path / "in", *given)
        lines = result.err.splitlines()
        listed = lines[lines.index("25 of 26 videos could not be read:") + 1 :]
        assert result.code == 1 and len(listed) == 21 and listed[-1].startswith("  and 5 more"), listed
    assert listed[-1] == f"  and 5 more, all of them in {tmp_path / 'out' / 'left_out.txt'}"
    assert len((tmp_path / "out" / "left_out.txt").read_text().splitlines()) == 25
    assert set(contents(tmp_path / "out")) == {"left_out.mp4.txt", "left_out.txt", "predictions.csv"}


def test_names_cannot_control_the_terminal(
    synthetic_clip: Path, grey_video: Path, predict: partial[Result], tmp_path: Path
) -> None:
    name = "a\x1b]0;title\x07\x1b[2J\x9b31m\x85b\r\n.mp4"
    good, bad = tmp_path / name, tmp_path / f"grey{name}"
    good.write_bytes(synthetic_clip.read_bytes())
    bad.write_bytes(grey_video.read_bytes())
    for form in ("txt", "json", "csv", "srt", "vtt"):
        result = predict(good, bad, good.parent / "gone\x1bc.mp4", "--format", form)
        assert result.code == 1
        shown = result.out + result.err
        assert not [sign for sign in shown if sign != "\n" and (sign < " " or "\x7f" <= sign <= "\x9f")]
        assert "title" not in shown or form == "json"
        assert sum("/greyab .mp4: no face" in line for line in result.err.splitlines()) == 1
    said = predict(good, "--format", "json").out
    assert json.loads(said)["video"] == str(good)
    assert_one_line(predict(bad), "greyab .mp4: no face")


@pytest.mark.slow
def test_standard_output_of_another_encoding(
    synthetic_clip: Path, untrained_weights: Path, tmp_path: Path
) -> None:
    video = tmp_path / "gelesen-ä-\u65e5.mp4"
    video.write_bytes(synthetic_clip.read_bytes())
    given = (video, "--weights", untrained_weights)
    result = piped(video, *given, PYTHONIOENCODING="ascii")
    assert result.code == 0 and r"gelesen-\xe4-\u65e5.mp4" in result.out, result.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.slow
def test_standard_output_that_is_full(synthetic_clip: Path, untrained_weights: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        result = piped(synthetic_clip, "-", "--weights", untrained_weights, stdout=full)
    assert result.code == 2 and "Traceback" not in result.err, result.err
    *warnings, last = result.err.splitlines()
    assert last.startswith("error: cannot write (no space left on device)") and "standard output" in last
    assert all(line.startswith("warning: ") for line in warnings)
