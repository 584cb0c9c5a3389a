"""Example videos: two synthetic speakers, rendered when they are needed."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from lipnet.errors import LipnetError
from lipnet.grid import sentence_of
from lipnet.synthetic.corpus import render_frames
from lipnet.synthetic.head import HEIGHT, WIDTH
from lipnet.video.encode import write_video

SEED = 27
CLIPS = ((1, "pwbk4a"), (2, "lrav5s"))  # speaker and id


class Examples:
    """The videos, by the sentence that is said."""

    def __init__(self, folder: Path) -> None:
        """``folder`` exists and is empty."""
        self._folder = folder
        self._lock = Lock()
        self._clips = {str(sentence_of(clip)): (speaker, clip) for speaker, clip in CLIPS}

    @property
    def sentences(self) -> list[str]:
        """What is said in the examples."""
        return list(self._clips)

    def video(self, sentence: str) -> Path:
        """The video in which ``sentence`` is said, rendered in half a second if it does not exist yet.

        Raises LipnetError if there is none.
        """
        if sentence not in self._clips:
            raise LipnetError(f"{sentence}: not an example; load the page again")
        speaker, clip = self._clips[sentence]
        path = self._folder / f"example_{speaker}.mp4"
        with self._lock:
            if not path.exists():
                write_video(path, render_frames(SEED, speaker, clip), WIDTH, HEIGHT)
        return path
