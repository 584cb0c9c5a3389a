"""One video of the page: read, and shown with all that was found in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, Template

from lipnet.app.files import SessionFiles
from lipnet.app.result_files import (
    CROPS_ACROSS,
    CROPS_DOWN,
    write_crops,
    write_posteriorgram,
    write_track,
)
from lipnet.errors import problems_of
from lipnet.grid import FRAME_RATE
from lipnet.inference.reader import LipReader
from lipnet.inference.transcript import Sentence, Transcript
from lipnet.output.captioned_video import burn_in
from lipnet.output.formats import FORMATS
from lipnet.utils.files import as_bytes
from lipnet.video.decode import declared_seconds, iter_frames

CAPTIONED = "captioned.mp4"
# The parts of the work, by where they begin and end in the whole.
READING, CAPTIONING, DRAWING = (0.0, 0.65), (0.65, 0.9), (0.9, 1.0)
REPORT_EVERY = 1.0  # seconds of the video
Progress = Callable[[float | None, str], None]  # a fraction, None where it is not known, and what is done


class Work:
    """How far the work on one video is. It ends by a SessionEndedError when its session has ended."""

    def __init__(self, files: SessionFiles, folder: Path, seconds: float | None, progress: Progress) -> None:
        """``seconds``: how long the video is, None if that is not known."""
        self._files, self._folder, self._seconds, self._progress = files, folder, seconds, progress
        self._next = 0.0

    def begin(self, part: tuple[float, float], what: str) -> Callable[[float], None]:
        """Begin a part of the work. Returns a function that is told how many seconds of video are done."""
        self._next = 0.0
        first, last = part

        def report(done: float) -> None:
            if done < self._next:
                return
            self._next = done + REPORT_EVERY
            self._files.check_result(self._folder)
            known = first + (last - first) * min(done / self._seconds, 1) if self._seconds else None
            self._progress(known, f"{what}, {done:.0f} s")

        report(0.0)
        return report


def read_video(
    reader: LipReader, video: Path, name: str, files: SessionFiles, session: str, progress: Progress
) -> str:
    """Read a video, write the files that show the transcript, and return the HTML that does.

    Args:
        reader: of the weights and the decoder that were chosen.
        video: the upload.
        name: of the video, as its user knows it.
        files, session: whose the result is.
        progress: is told how far the work is.

    Raises:
        LipnetError: the video cannot be read, has no face, or the session has ended meanwhile.
    """
    folder = files.new_result(session)
    work = Work(files, folder, declared_seconds(video), progress)
    report = work.begin(READING, "reading")
    transcript = reader.read(video, name=name, progress=lambda frames: report(frames / FRAME_RATE))
    with problems_of(name):
        burn_in(video, folder / CAPTIONED, transcript, progress=work.begin(CAPTIONING, "writing captions"))
        return _show(transcript, reader, video, folder, work.begin(DRAWING, "drawing"))


def _show(
    transcript: Transcript, reader: LipReader, video: Path, folder: Path, report: Callable[[float], None]
) -> str:
    """Write the other files of a result into its folder. Returns the HTML that shows all of them."""
    stem = Path(transcript.video).stem or "video"
    downloads = [(CAPTIONED, f"{stem}_read.mp4", "MP4")]
    for suffix, write in FORMATS.items():
        (folder / f"transcript.{suffix}").write_bytes(as_bytes(write(transcript)))
        downloads.append((f"transcript.{suffix}", f"{stem}.{suffix}", suffix.upper()))
    frames = _reported(iter_frames(video, transcript.fps), transcript.fps, report)
    data = _player_data(transcript, reader.backend.metadata.model.alphabet, frames, folder)
    return template("result").render(
        transcript=transcript,
        downloads=downloads,
        base=f"result/{folder.name}/",
        video=CAPTIONED,
        data=json.dumps(data),
    )


def _reported(
    frames: Iterable[np.ndarray], fps: float, report: Callable[[float], None]
) -> Iterator[np.ndarray]:
    for number, frame in enumerate(frames):
        report(number / fps)
        yield frame


def _player_data(
    transcript: Transcript, alphabet: str, frames: Iterable[np.ndarray], folder: Path
) -> dict[str, Any]:
    """What static/player.html needs; the files that it loads are written."""
    track = transcript.track
    assert track is not None  # only a live transcription keeps none
    return {
        "fps": transcript.fps,
        "frames": transcript.frames,
        "crop": {"width": track.crop_size[0], "height": track.crop_size[1]},
        "sheet": {"across": CROPS_ACROSS, "down": CROPS_DOWN, "count": write_crops(frames, track, folder)},
        "row": write_track(track, folder / "track.bin"),
        "posteriorgrams": [
            drawn
            for number, sentence in enumerate(transcript.sentences)
            if (drawn := _draw(sentence, alphabet, transcript.fps, folder, number)) is not None
        ],
    }


def _draw(sentence: Sentence, alphabet: str, fps: float, folder: Path, number: int) -> dict[str, Any] | None:
    """A posteriorgram: its file, the seconds that it shows, and where in the picture, as fractions."""
    name = f"posteriorgram_{number}.png"
    drawn = write_posteriorgram(sentence, alphabet, fps, folder / name)
    if drawn is None or sentence.emissions is None:
        return None
    height, width = drawn.picture.shape[:2]
    start = sentence.first_frame / fps
    return {
        "file": name,
        "start": start,
        "end": start + sentence.emissions.frames / fps,
        "left": drawn.left / width,
        "width": drawn.width / width,
        "top": drawn.top / height,
        "height": drawn.height / height,
    }


def show_problem(message: str) -> str:
    """The HTML of an error that the user can fix."""
    return template("problem").render(message=message)


@cache
def template(name: str) -> Template:
    """A file of templates/; values are escaped."""
    loader = PackageLoader("lipnet.app", "templates")
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        f"{name}.html.j2"
    )
