"""Output formats of a transcript: text, JSON, CSV and subtitles."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from html import escape

from lipnet.inference.transcript import Sentence, Transcript
from lipnet.utils.terminal import one_line

CONTROLS = re.compile("[\x7f-\x9f]")  # that json.dumps leaves as they are
TIMES = re.compile(r"(?<=\d)\s*-->\s*(?=\d)")  # in SubRip the mark of a line of times
CSV_COLUMNS = ("video", "sentence", "start", "end", "word", "confidence")


def as_text(transcript: Transcript) -> str:
    """Plain text: the sentences with their confidence, then a line with times for each word."""
    text = transcript.text or "(nothing)"
    lines = [one_line(f"{transcript.video}: {text}  (confidence {transcript.confidence:.2f})")]
    for sentence in transcript.sentences:
        if len(transcript.sentences) > 1:
            lines.append(f"  {_line_of(sentence)}")
        lines += [
            f"  {word.start:6.2f} - {word.end:5.2f} s  {one_line(word.word)}  ({word.confidence:.2f})"
            for word in sentence.words
        ]
    return "\n".join(lines) + "\n"


def as_json(transcript: Transcript) -> str:
    """One JSON object on one line; times in seconds. Control characters are escaped."""
    text = json.dumps(transcript.as_json(), ensure_ascii=False)
    return CONTROLS.sub(lambda control: f"\\u{ord(control[0]):04x}", text) + "\n"


def as_csv(transcript: Transcript) -> str:
    """CSV with one row per word; times in seconds, sentences numbered from 1."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for number, sentence in enumerate(transcript.sentences, start=1):
        for word in sentence.words:
            times = f"{word.start:.3f}", f"{word.end:.3f}"
            writer.writerow([transcript.video, number, *times, word.word, f"{word.confidence:.4f}"])
    return table.getvalue()


def as_srt(transcript: Transcript) -> str:
    """SubRip subtitles, one per sentence. The format has no escapes: only times in the text are changed."""
    cues = [
        f"{number}\n{_span(start, end, ',')}\n{TIMES.sub('->', _line_of(sentence))}\n"
        for number, (sentence, start, end) in enumerate(_cues(transcript.sentences), start=1)
    ]
    return "\n".join(cues)


def as_vtt(transcript: Transcript) -> str:
    """WebVTT subtitles, one per sentence; ``&``, ``<`` and ``>`` are escaped."""
    cues = [
        f"{_span(start, end, '.')}\n{escape(_line_of(sentence), quote=False)}\n"
        for sentence, start, end in _cues(transcript.sentences)
    ]
    return "\n".join(["WEBVTT\n", *cues])


# Writers by the name of their format, which is also the suffix of its files.
FORMATS: dict[str, Callable[[Transcript], str]] = {
    "txt": as_text,
    "json": as_json,
    "csv": as_csv,
    "srt": as_srt,
    "vtt": as_vtt,
}


def summary_table(transcripts: Sequence[Transcript]) -> str:
    """CSV with one row per video."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["video", "text", "confidence", "frames", "warnings"])
    for transcript in transcripts:
        confidence, warnings = f"{transcript.confidence:.4f}", "; ".join(transcript.warnings)
        writer.writerow([transcript.video, transcript.text, confidence, transcript.frames, warnings])
    return table.getvalue()


def _line_of(sentence: Sentence) -> str:
    """The text as one line: an empty line would end the cue."""
    return " ".join(one_line(sentence.text).split())


def _cues(sentences: Sequence[Sentence]) -> list[tuple[Sentence, int, int]]:
    """Sentences with their start and end in whole milliseconds, at least 1 ms apart."""
    times = [(round(1000 * sentence.start), round(1000 * sentence.end)) for sentence in sentences]
    return [
        (sentence, start, max(end, start + 1))
        for sentence, (start, end) in zip(sentences, times, strict=True)
    ]


def _span(start: int, end: int, point: str) -> str:
    return f"{_timestamp(start, point)} --> {_timestamp(end, point)}"


def _timestamp(milliseconds: int, point: str) -> str:
    """A time as in subtitles, such as 01:02:03,456."""
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{thousandths:03}"
