"""Decoded pictures with time stamps -> frames at a constant rate.

Throughout `lipnet.video`, a *picture* is what the decoder returns, at the time that the file gives it, and a
*frame* is one of a sequence at a constant rate.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

MAX_HOLD_S = 10.0  # a longer step from one time stamp to the next is a fault of the file
# A file of a few kB can claim hours by pauses between its pictures. What is longer than PAUSE_S is a pause;
# once pauses add up to MAX_PAUSES_S, each further one is cut to CUT_PAUSE_S.
PAUSE_S = 1.0
MAX_PAUSES_S = 60.0
CUT_PAUSE_S = 0.2
MAX_SHOWN = 5  # frames, 0.2 s at 25 fps: a picture that is shown for longer shows no speech
ROUNDING_S = 1e-6  # tolerance of comparisons between times
LOG = logging.getLogger(__name__)


class Picture(NamedTuple):
    """A decoded picture."""

    rgb: np.ndarray  # (H, W, 3) uint8
    time: float | None  # time stamp in seconds, None if the file has none
    damaged: bool  # whether its data were corrupt, according to the decoder


class TimedPicture(NamedTuple):
    """A picture with the times at which it is shown, both in seconds."""

    rgb: np.ndarray  # (H, W, 3) uint8
    time: float  # on the file's clock, which the sound has in common
    elapsed: float  # since the first picture, without the gaps that damage has left and the pauses cut out


class PictureCount:
    """How many pictures the frames of a video show, and how many frames only repeat one for long.

    Attributes:
        pictures: the number of pictures.
        frames: the number of frames.
        repeated: the number of frames that show a picture which has been shown for MAX_SHOWN frames before.
    """

    def __init__(self) -> None:
        self.pictures = self.frames = self.repeated = 0
        self._run = 0  # frames in a row with one picture
        self._last: np.ndarray | None = None

    def add(self, frame: np.ndarray) -> np.ndarray:
        """Count the next frame, as `resample` yields it, and return it."""
        is_new = frame is not self._last
        self._last, self._run = frame, 1 if is_new else self._run + 1
        self.pictures += is_new
        self.frames += 1
        self.repeated += self._run > MAX_SHOWN
        return frame

    def problem(self) -> str | None:
        """Why the frames are no video of speech; None if they may be one."""
        if self.pictures == 1:
            return "has 1 picture, which is no speech"
        if 2 * self.repeated > self.frames:
            return (
                f"has {self.pictures} pictures for {self.frames} frames: more than half of these only repeat "
                f"a picture that is shown for longer than {MAX_SHOWN / 25:g} s"
            )
        return None


class Clock:
    """The time of a stream whose time stamps may be missing or faulty.

    Attributes:
        now: seconds; grows with every step.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._stamp: float | None = None

    def advance(self, stamp: float | None, step: float) -> float:
        """Go on to the next time stamp and return the seconds since the last one, 0 for the first.

        If the stamp is missing, not later than the last one, or later by MAX_HOLD_S or more, the time
        advances by ``step`` seconds instead.
        """
        if self._stamp is None:
            self._stamp = self.now = stamp or 0.0
            return 0.0
        stamp = self._stamp + step if stamp is None else stamp
        passed, self._stamp = stamp - self._stamp, stamp
        if not 0 < passed < MAX_HOLD_S:
            passed = step
        self.now += passed
        return passed


def picture_step(rate: float) -> float:
    """Seconds for which a picture is shown at ``rate`` pictures a second."""
    return min(1 / rate, MAX_HOLD_S)


def add_times(pictures: Iterable[Picture], rate: float, name: str = "video") -> Iterator[TimedPicture]:
    """Give each picture the times at which it is shown; ``rate`` is the declared number a second.

    Where damage has left a gap, ``elapsed`` advances by one picture at most, and where the video called
    ``name`` has paused for MAX_PAUSES_S, by CUT_PAUSE_S for each further pause: a message says so.
    """
    clock, step, elapsed, pauses = Clock(), picture_step(rate), 0.0, 0.0
    for rgb, stamp, damaged in pictures:
        passed = clock.advance(stamp, step)
        passed = min(passed, step) if damaged else passed
        if passed > PAUSE_S:
            if pauses <= MAX_PAUSES_S < pauses + passed:
                LOG.warning(
                    f"{name}: shows still pictures for more than {MAX_PAUSES_S:.0f} s; further pauses are cut"
                )
            pauses += passed
            passed = passed if pauses <= MAX_PAUSES_S else CUT_PAUSE_S
        elapsed += passed
        yield TimedPicture(rgb, clock.now, elapsed)


def resample(
    pictures: Iterable[Picture], rate: float, fps: float, name: str = "video"
) -> Iterator[np.ndarray]:
    """Yield, for each tick of ``fps``, the picture nearest in time (the later one in a tie).

    A stream that runs at ``fps`` passes picture for picture, even if its time stamps are rounded. Gaps that
    damage has left are cut out, not filled with copies.

    Args:
        pictures: in order of time.
        rate: declared pictures a second, for those without a usable time stamp.
        fps: frames a second.
        name: the video's, for messages.

    Yields:
        (H, W, 3) uint8 RGB; a picture that is repeated is the same array.
    """
    shown: TimedPicture | None = None
    ticks = 0
    for picture in add_times(pictures, rate, name):
        # as long as the tick is nearer to the picture that is shown than to the next one
        while shown is not None and ticks / fps < (shown.elapsed + picture.elapsed) / 2 - ROUNDING_S:
            yield shown.rgb
            ticks += 1
        shown = picture
    while shown is not None and (ticks + 0.5) / fps <= shown.elapsed + picture_step(rate) + ROUNDING_S:
        yield shown.rgb
        ticks += 1
