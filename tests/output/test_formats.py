"""Transcripts as text, JSON, tables and subtitles."""

from __future__ import annotations

import csv
import io
import json

from made_up_emissions import sentence

from lipnet.inference.transcript import Transcript
from lipnet.output.formats import FORMATS, summary_table

TRANSCRIPT = Transcript(
    video='a "b".mp4',
    sentences=[sentence("bin blue at f two now"), sentence("set red by q zero again", 0.75, start=3661.9996)],
    frames=100_000,
    fps=25.0,
    decoder="grammar",
    calibrated=True,
    warnings=["the mouth hardly moves"],
)
EMPTY = Transcript("e.mp4", [], 75, 25.0, "greedy", False, [])


def test_text() -> None:
    lines = FORMATS["txt"](TRANSCRIPT).splitlines()
    assert lines[0] == 'a "b".mp4: bin blue at f two now set red by q zero again  (confidence 0.82)'
    assert lines[1:3] == ["  bin blue at f two now", "    1.00 -  1.20 s  bin  (0.90)"]
    assert len(lines) == 1 + 2 * 7
    assert FORMATS["txt"](EMPTY) == "e.mp4: (nothing)  (confidence 0.00)\n"


def test_json_round_trip() -> None:
    said = json.loads(FORMATS["json"](TRANSCRIPT))
    assert said["text"].split() == [word["word"] for word in said["words"]]
    assert said["sentences"][0]["n_best"][1] == {"text": "bin blue at f two soon", "score": -4.25}
    assert said["warnings"] == TRANSCRIPT.warnings and said["calibrated"] is True
    assert [s["start"] for s in said["sentences"]] == [1.0, 3661.9996]
    assert "track" not in said and json.loads(FORMATS["json"](EMPTY))["sentences"] == []


def test_csv_rows() -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](TRANSCRIPT))))
    assert len(rows) == 12 and {row["video"] for row in rows} == {'a "b".mp4'}
    assert rows[7] == {
        "video": 'a "b".mp4', "sentence": "2", "start": "3662.200", "end": "3662.400", "word": "red",
        "confidence": "0.7500",
    }  # fmt: skip
    assert list(csv.DictReader(io.StringIO(FORMATS["csv"](EMPTY)))) == []
    rows = list(csv.DictReader(io.StringIO(summary_table([TRANSCRIPT, EMPTY]))))
    assert [row["confidence"] for row in rows] == ["0.8250", "0.0000"]
    assert rows[0]["warnings"] == "the mouth hardly moves"


def test_subtitles() -> None:
    assert FORMATS["srt"](TRANSCRIPT) == (
        "1\n00:00:01,000 --> 00:00:02,200\nbin blue at f two now\n\n"
        "2\n01:01:02,000 --> 01:01:03,200\nset red by q zero again\n"
    )
    assert FORMATS["vtt"](TRANSCRIPT) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.200\nbin blue at f two now\n\n"
        "01:01:02.000 --> 01:01:03.200\nset red by q zero again\n"
    )
    assert FORMATS["srt"](EMPTY) == "" and FORMATS["vtt"](EMPTY) == "WEBVTT\n"
