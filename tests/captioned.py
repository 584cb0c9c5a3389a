"""Captioned videos for the tests: what is said in them, and what a player gets out of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from video_files import numbered

from lipnet.inference.transcript import FaceTrack, Sentence, TranscribedWord, Transcript
from lipnet.output.captioned_video import burn_in

CLIP = [numbered(index) for index in range(25)]


def sentence(text: str, start: float = 0.4, each: float = 0.2) -> Sentence:
    """Words that follow each other from ``start`` on, ``each`` second long."""
    times = [start + each * index for index in range(len(text.split()) + 1)]
    words = [
        TranscribedWord(word, round(times[index], 3), round(times[index + 1], 3), 0.9)
        for index, word in enumerate(text.split())
    ]
    return Sentence(text, words[0].start, words[-1].end, 0.9, words, [])


def transcript(*sentences: Sentence, track: FaceTrack | None = None) -> Transcript:
    return Transcript("a.mp4", list(sentences), 50, 25.0, "greedy", False, [], track)


NOTHING_SAID = transcript()


def burnt_in(source: Path, what: Transcript = NOTHING_SAID, debug: bool = False) -> Path:
    """The video with captions: captioned.mp4 beside it."""
    target = source.with_name("captioned.mp4")
    burn_in(source, target, what, debug)
    return target


class Shown(NamedTuple):
    """What a player would get out of a file."""

    pictures: list[np.ndarray]
    times: np.ndarray  # s
    end: float  # s: when the last picture goes


def shown(path: Path) -> Shown:
    with av.open(f"file:{path}") as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
        end = float((stream.start_time + stream.duration) * stream.time_base) if stream.duration else 0.0
        return Shown(pictures, np.array([frame.time for frame in frames]), end)


def sound_codec(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.audio[0].codec_context.codec.canonical_name
