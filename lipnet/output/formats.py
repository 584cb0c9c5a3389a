"""A transcript in the formats that people use: text, JSON, tables and subtitles."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from lipnet.inference.transcript import Sentence, Transcript

CSV_COLUMNS = ("video", "sentence", "start", "end", "word", "confidence")


def as_text(transcript: Transcript) -> str:
    """The text and its confidence, and a line with times for each word."""
    lines = [
        f"{transcript.video}: {transcript.text or '(nothing)'}  (confidence {transcript.confidence:.2f})"
    ]
    for sentence in transcript.sentences:
        if len(transcript.sentences) > 1:
            lines.append(f"  {sentence.text}")
        lines += [
            f"  {word.start:6.2f} - {word.end:5.2f} s  {word.word}  ({word.confidence:.2f})"
            for word in sentence.words
        ]
    return "\n".join(lines) + "\n"


def as_json(transcript: Transcript) -> str:
    """One object in one line; times in seconds."""
    return json.dumps(transcript.as_json(), ensure_ascii=False) + "\n"


def as_csv(transcript: Transcript) -> str:
    """A row a word; times in seconds, sentences counted from 1."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for number, sentence in enumerate(transcript.sentences, start=1):
        for word in sentence.words:
            times = f"{word.start:.3f}", f"{word.end:.3f}"
            writer.writerow([transcript.video, number, *times, word.word, f"{word.confidence:.4f}"])
    return table.getvalue()


def as_srt(transcript: Transcript) -> str:
    """SubRip subtitles, one a sentence."""
    cues = [
        f"{number}\n{_span(start, end, ',')}\n{sentence.text}\n"
        for number, (sentence, start, end) in enumerate(_cues(transcript.sentences), start=1)
    ]
    return "\n".join(cues)


def as_vtt(transcript: Transcript) -> str:
    """WebVTT subtitles, one a sentence."""
    cues = [
        f"{_span(start, end, '.')}\n{sentence.text}\n" for sentence, start, end in _cues(transcript.sentences)
    ]
    return "\n".join(["WEBVTT\n", *cues])


FORMATS: dict[str, Callable[[Transcript], str]] = {
    "txt": as_text,
    "json": as_json,
    "csv": as_csv,
    "srt": as_srt,
    "vtt": as_vtt,
}


def summary_table(transcripts: Sequence[Transcript]) -> str:
    """A CSV of several videos, a row each."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["video", "text", "confidence", "frames", "warnings"])
    for one in transcripts:
        row = [one.video, one.text, f"{one.confidence:.4f}", one.frames, "; ".join(one.warnings)]
        writer.writerow(row)
    return table.getvalue()


def _cues(sentences: Sequence[Sentence]) -> list[tuple[Sentence, int, int]]:
    """Sentences with start and end in whole milliseconds, each lasting at least one."""
    times = [(round(1000 * sentence.start), round(1000 * sentence.end)) for sentence in sentences]
    return [(s, start, max(end, start + 1)) for s, (start, end) in zip(sentences, times, strict=True)]


def _span(start: int, end: int, point: str) -> str:
    return f"{_clock(start, point)} --> {_clock(end, point)}"


def _clock(milliseconds: int, point: str) -> str:
    """01:02:03,456"""
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{thousandths:03}"
