"""One video of the page: its files, its HTML, its progress, its errors."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest
from noise_videos import noise

from lipnet.app.examples import CLIPS, Examples
from lipnet.app.files import SessionEndedError, SessionFiles
from lipnet.app.readers import DECODER_NAMES, SHIPPED, Readers
from lipnet.app.reading import read_video, show_problem
from lipnet.errors import LipnetError
from lipnet.inference.reader import LipReader
from lipnet.output.formats import FORMATS
from lipnet.video.decode import read_video as frames_of
from lipnet.video.encode import write_video
from lipnet.weights import WEIGHTS


@pytest.fixture(scope="module")
def reader() -> LipReader:
    return Readers([WEIGHTS], "cpu").get(SHIPPED, "auto")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    rendered = Examples(tmp_path_factory.mktemp("examples"))
    return {sentence: rendered.video(sentence) for sentence in rendered.sentences}


def nothing(part: float | None, what: str) -> None:
    pass


def test_both_examples_are_read_right(reader: LipReader, examples: dict[str, Path]) -> None:
    assert len(examples) == len(CLIPS)
    for sentence, path in examples.items():
        assert reader.read(path).text == sentence


def test_the_result_has_all_its_files(reader: LipReader, examples: dict[str, Path], tmp_path: Path) -> None:
    files, parts = SessionFiles(tmp_path), []
    sentence, video = next(iter(examples.items()))
    html = read_video(reader, video, "my <b>clip.mp4", files, "a", lambda part, what: parts.append(part))
    assert sentence in html and "my &lt;b&gt;clip.mp4" in html and "<b>clip" not in html
    assert parts == sorted(parts) and len(set(parts)) == 9 and parts[0] == 0 and parts[-1] > 0.95
    [base] = re.findall(r'data-base="result/([\w-]+)/"', html)
    [data] = [json.loads(unescape(text)) for text in re.findall(r'data-result="([^"]+)"', html)]
    names = {"captioned.mp4", "track.bin", *(f"transcript.{suffix}" for suffix in FORMATS)}
    names |= {f"crops_{number}.jpg" for number in range(data["sheet"]["count"])}
    names |= {drawn["file"] for drawn in data["posteriorgrams"]}
    assert {path.name for path in (tmp_path / "results" / base).iterdir()} == names
    assert set(re.findall(rf'(?:src|href)="result/{base}/([\w.]+)"', html)) <= names
    track = files.find(base, "track.bin")
    assert track is not None and track.stat().st_size == 2 * data["frames"] * data["row"]
    captioned = files.find(base, "captioned.mp4")
    assert captioned is not None and len(frames_of(captioned)) == data["frames"] == 75
    subtitles = files.find(base, "transcript.srt")
    assert subtitles is not None and sentence in subtitles.read_text()
    assert 'download="my &lt;b&gt;clip.srt"' in html


def test_a_session_that_ends_ends_its_reading(
    reader: LipReader, examples: dict[str, Path], tmp_path: Path
) -> None:
    files = SessionFiles(tmp_path)

    def leave(part: float | None, what: str) -> None:
        files.end("a")

    with pytest.raises(SessionEndedError):
        read_video(reader, next(iter(examples.values())), "clip.mp4", files, "a", leave)


def test_a_video_without_a_face_is_named_as_the_user_knows_it(reader: LipReader, tmp_path: Path) -> None:
    files = SessionFiles(tmp_path)
    video = tmp_path / "noise.mp4"
    write_video(video, noise(0), 360, 288)
    with pytest.raises(LipnetError, match=r"^clip\.mp4: no face in its \d+ frames"):
        read_video(reader, video, "clip.mp4", files, "a", nothing)
    assert show_problem("<script>") == '<p class="lipnet-problem" role="alert">&lt;script&gt;</p>'


def test_readers_by_weights_and_decoder(untrained_weights: Path) -> None:
    readers = Readers([WEIGHTS, untrained_weights], "cpu")
    assert readers.names == [SHIPPED, str(untrained_weights)]
    assert readers.get(SHIPPED, "greedy") is readers.get(SHIPPED, "greedy")
    assert {readers.get(SHIPPED, name).decoder.name for name in DECODER_NAMES} == set(DECODER_NAMES) - {
        "auto"
    }
    for weights, decoder in (("other", "greedy"), (SHIPPED, "other")):
        with pytest.raises(LipnetError, match="not on the page"):
            readers.get(weights, decoder)
