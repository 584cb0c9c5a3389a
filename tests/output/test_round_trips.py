"""Any transcript, written in each format, is read back by the libraries for these formats."""

from __future__ import annotations

import csv
import html
import io
import json

import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from lipnet.inference.transcript import Alternative, Sentence, TranscribedWord, Transcript
from lipnet.output.formats import FORMATS

MAX_S = 3 * 3600.0
words = st.one_of(
    st.text(st.characters(min_codepoint=33, max_codepoint=0x3000, exclude_categories=["C", "Z"]), min_size=1),
    st.sampled_from(
        ["-->", "<b>", "&amp;", "&", "1", "00:00:01,000", "00:00:01.000", "NOTE", "WEBVTT", "{\\an8}"]
    ),
)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Sentences in the order of their times, of words of any characters, separated by one space or more."""
    starts = sorted(draw(st.lists(st.floats(0, MAX_S), max_size=4, unique=True)))
    sentences = []
    for start in starts:
        said = draw(st.lists(words, min_size=1, max_size=5))
        length = draw(st.floats(0, 5))
        timed = [TranscribedWord(word, start, start + length, 0.5) for word in said]
        text = draw(st.sampled_from([" ", "  ", "\n\n"])).join(said)
        alternatives = [Alternative(text, -1.0)]
        sentences.append(Sentence(text, start, start + length, 0.5, timed, alternatives))
    return Transcript(draw(names), sentences, 75, 25.0, "greedy", False, [])


def spoken(transcript: Transcript) -> list[str]:
    return [" ".join(word.word for word in sentence.words) for sentence in transcript.sentences]


def starts(transcript: Transcript) -> list[int]:
    """ms"""
    return [round(1000 * sentence.start) for sentence in transcript.sentences]


@given(transcripts())
def test_webvtt(transcript: Transcript) -> None:
    text = FORMATS["vtt"](transcript)
    captions = webvtt.from_string(text).captions
    assert [html.unescape(caption.raw_text) for caption in captions] == spoken(transcript)
    assert [caption.start_time.in_milliseconds() for caption in captions] == starts(transcript)
    assert text.count("-->") == len(captions) and "<" not in text


@given(transcripts())
def test_subrip(transcript: Transcript) -> None:
    cues = list(srt.parse(FORMATS["srt"](transcript)))
    assert [cue.content.replace("-->", "->").replace(" ", "") for cue in cues] == [
        text.replace("-->", "->").replace(" ", "") for text in spoken(transcript)
    ]
    assert [round(cue.start.total_seconds() * 1000) for cue in cues] == starts(transcript)
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))


def test_subrip_keeps_what_is_no_line_of_times() -> None:
    def written(text: str) -> str:
        sentence = Sentence(text, 0.0, 1.0, 0.5, [], [])
        return FORMATS["srt"](Transcript("v", [sentence], 75, 25.0, "greedy", False, [])).splitlines()[2]

    assert written("a --> <b> & 1") == "a --> <b> & 1"
    assert "-->" not in written("00:00:01,000 --> 00:00:02,000")


@given(transcripts())
def test_json_and_csv(transcript: Transcript) -> None:
    text = FORMATS["json"](transcript)
    said = json.loads(text)
    assert text.count("\n") == 1 and said["video"] == transcript.video
    assert [word["word"] for word in said["words"]] == [word.word for word in transcript.words]
    assert not [sign for sign in text[:-1] if sign < " " or "\x7f" <= sign <= "\x9f"]
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](transcript), newline="")))
    assert [row["word"] for row in rows] == [word.word for word in transcript.words]


@given(transcripts())
def test_text_is_as_many_lines_as_it_has_words(transcript: Transcript) -> None:
    text = FORMATS["txt"](transcript)
    of_sentences = len(transcript.sentences) if len(transcript.sentences) > 1 else 0
    assert len(text.split("\n")) == 2 + len(transcript.words) + of_sentences
    assert not [sign for sign in text if sign != "\n" and (sign < " " or "\x7f" <= sign <= "\x9f")]
