"""Captioned videos for tests: transcripts to show, and what a player gets from the file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from video_files import numbered

from lipnet.cropping.cropper import FaceTrack
from lipnet.inference.transcript import Sentence, TranscribedWord, Transcript
from lipnet.output.captioned_video import burn_in

CLIP = [numbered(index) for index in range(25)]


def sentence(text: str, start: float = 0.4, each: float = 0.2) -> Sentence:
    """A sentence of words that follow each other from ``start`` seconds on, ``each`` seconds long."""
    times = [start + each * index for index in range(len(text.split()) + 1)]
    words = [
        TranscribedWord(word, round(times[index], 3), round(times[index + 1], 3), 0.9)
        for index, word in enumerate(text.split())
    ]
    return Sentence(text, words[0].start, words[-1].end, 0.9, words, [])


def transcript(*sentences: Sentence, track: FaceTrack | None = None) -> Transcript:
    """A transcript of 50 frames at 25 fps."""
    return Transcript("a.mp4", list(sentences), 50, 25.0, "greedy", False, [], track)


NO_WORDS = transcript()


def with_captions(source: Path, what: Transcript = NO_WORDS, debug: bool = False) -> Path:
    """Write captioned.mp4 beside the video and return its path."""
    target = source.with_name("captioned.mp4")
    burn_in(source, target, what, debug)
    return target


class Played(NamedTuple):
    """What a player gets from a file."""

    pictures: list[np.ndarray]
    times: np.ndarray  # s
    end: float  # s, when the last picture ends


def played(path: Path) -> Played:
    """Decode a file as a player does."""
    with av.open(f"file:{path}") as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
        end = float((stream.start_time + stream.duration) * stream.time_base) if stream.duration else 0.0
        return Played(pictures, np.array([frame.time for frame in frames]), end)


def audio_codec(path: Path) -> str:
    """The name of the codec of the first audio stream."""
    with av.open(str(path)) as container:
        return container.streams.audio[0].codec_context.codec.canonical_name
