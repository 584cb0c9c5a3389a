"""One video of any length, frame by frame: a window of it is in memory, and what is said leaves it.

A window is cropped and looked at as if it were a clip. Where it shows a pause, what was said before it is
cut out with some silence around it, as clips are that networks are trained on, and read by itself; then the
window moves on. Speech without a pause is cut where that harms least and read together with frames on both
sides of the cut, whose output is left away: no word is cut off or said twice.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import pairwise
from threading import Lock
from typing import NamedTuple

import numpy as np

from lipnet.cropping.cropper import Cropper, FaceTrack, no_face_error
from lipnet.cropping.patch import Patch, cut_patch
from lipnet.inference.emissions import Emissions
from lipnet.inference.segmentation import best_cut, is_speech, utterances
from lipnet.utils.prefetch import one_at_a_time, prefetch

# In frames, at 25 a second.
WINDOW = 100  # before the first look: a GRID clip and a little more
LONGEST = 150  # before the next, where no sentence has ended by then: one without a pause is then cut
STRIDE = 25  # between the looks of a live reading
MARGIN = 12  # of silence kept around a sentence
SETTLED = 15  # behind a sentence's end until that counts: the last frames of a window are unreliable
CONTEXT = 25  # read along on both sides of a cut through speech
ABSENT = 25  # without a face: nothing is read there, however the gap is filled

_FINDING = Lock()  # detectors are not made for several threads
Requests = Generator[np.ndarray | None, Emissions, None]


class Utterance(NamedTuple):
    """What is said between two pauses, or cuts: emissions that begins at frame ``first`` of the video."""

    first: int
    emissions: Emissions


class Reading:
    """A video that is being read. ``finished`` fills with utterances, for the caller to take out."""

    def __init__(self, cropper: Cropper, name: str = "video", live: bool = False) -> None:
        """``live``: look after every stride, for ``current``, rather than when a window is full."""
        self.cropper, self.name, self.live = cropper, name, live
        self.frames = 0  # that have come in
        self.finished: list[Utterance] = []
        self.current: Utterance | None = None  # what the last look saw of one that has not ended
        self._tracks: list[FaceTrack] = []
        self._window: list[Patch] = []
        self._first = 0  # number of the window's first frame
        self._read = 0  # so many of the window's frames are read already, and stay as context
        self._cut_through = False  # whether they end within speech
        self._face_seen = False

    @property
    def track(self) -> FaceTrack:
        """The face in the frames that have left the window; none of a live reading, which may never end."""
        return FaceTrack.joined(self._tracks)

    def run(self, frames: Iterable[np.ndarray]) -> Requests:
        """Read frames, (H, W, 3) uint8 RGB at 25 a second: yields crops and is sent their emissions.

        Crops are (T, height, width, 3) uint8 RGB. A live reading also yields None when it has looked, so
        that its caller may look at the outcome at once. Raises NoFaceError where no frame shows a face.
        """
        due = STRIDE if self.live else WINDOW
        patches = one_at_a_time(self._patches(frames), _FINDING)
        if not self.live:  # the face of the next frames is looked for while the network reads
            patches = prefetch(patches, WINDOW)
        for patch in patches:
            self._window.append(patch)
            self.frames += 1
            if len(self._window) >= due:
                yield from self._look(final=False)
                due = self._due(len(self._window))
                if self.live:
                    yield None
        if self._window:
            yield from self._look(final=True)
        if not self._face_seen:
            raise no_face_error(self.frames, self.name)

    def _due(self, length: int) -> int:
        """The next look's length of the window, which has ``length`` frames after this one."""
        if self.live:
            return length + STRIDE
        return LONGEST if length >= WINDOW or self._cut_through else WINDOW

    def _patches(self, frames: Iterable[np.ndarray]) -> Iterator[Patch]:
        held: list[np.ndarray] = []

        def passing() -> Iterator[np.ndarray]:
            for frame in frames:
                held.append(frame)
                yield frame

        for points in self.cropper.follow(passing(), self.name):
            yield cut_patch(held.pop(), points)

    def _look(self, final: bool) -> Requests:
        """Read what has ended, and at the video's end all; then move the window on."""
        length = len(self._window)
        self.current = None
        points = [patch.points for patch in self._window]
        if all(landmarks is None for landmarks in points):
            self._cut_through = False
            self._move_on(
                FaceTrack.none(length, self.cropper.landmarks), length if final else length - MARGIN
            )
            return
        track = self.cropper.complete(points, self.name)
        crops = self.cropper.crop(
            [patch.image for patch in self._window],
            track.to_crop @ np.stack([patch.to_frame for patch in self._window]),
        )
        emissions = yield crops
        speech = is_speech(emissions) & ~_absent(track.found)
        speech[: self._read] = False
        spans = utterances(speech)
        if final and self._first == 0 and len(spans) <= 1 and not self._read:
            self.finished.append(Utterance(0, emissions))  # a clip of one sentence is read as it is
            spans = []
        if not spans or spans[0][0] - self._read > MARGIN:
            self._cut_through = False  # nothing goes on behind the last cut
        bounds = self._with_margins(spans, length)
        ended = sum(final or end + SETTLED <= length for _, end in spans)
        for first, last in bounds[:ended]:
            yield from self._read_part(crops, first, last)
        if not ended and spans and length >= LONGEST and spans[0][0] < length - 2 * CONTEXT:
            cut = best_cut(emissions, length - 2 * CONTEXT, length - CONTEXT)
            yield from self._read_part(crops, bounds[0][0], cut, goes_on=True)
        if spans[ended:]:
            start = max(bounds[ended][0], self._read)
            self.current = Utterance(self._first + start, emissions.part(start, length))
        self._move_on(track, length if final else self._kept_from(bounds[ended:], length))

    def _read_part(self, crops: np.ndarray, first: int, last: int, goes_on: bool = False) -> Requests:
        """Read the window's frames from ``first`` to before ``last``, along with some beyond a cut."""
        before = min(first, CONTEXT) if self._cut_through and first == self._read else 0
        after = CONTEXT if goes_on else 0
        emissions = yield crops[first - before : last + after]
        self.finished.append(Utterance(self._first + first, emissions.part(before, before + last - first)))
        self._read, self._cut_through = last, goes_on

    def _with_margins(self, spans: list[tuple[int, int]], length: int) -> list[tuple[int, int]]:
        """Utterances with silence around them, none reaching into what is read or into another's."""
        between = [(before[1] + after[0]) // 2 for before, after in pairwise(spans)]
        return [
            (max(start - MARGIN, low), min(end + MARGIN, high))
            for (start, end), low, high in zip(
                spans, [self._read, *between], [*between, length], strict=False
            )
        ]

    def _kept_from(self, going_on: list[tuple[int, int]], length: int) -> int:
        """The first frame of the window that is still needed."""
        if self._cut_through:
            return max(self._read - CONTEXT, 0)
        return max(self._read, going_on[0][0] if going_on else length - SETTLED - MARGIN)

    def _move_on(self, track: FaceTrack, frames: int) -> None:
        """Let the window's first ``frames`` go."""
        frames = max(frames, 0)
        self._face_seen |= bool(track.found.any())
        if not self.live:
            self._tracks.append(track.until(frames))
        del self._window[:frames]
        self._first += frames
        self._read = max(self._read - frames, 0)


def _absent(found: np.ndarray) -> np.ndarray:
    """(T,) bool: frames in a run of ``ABSENT`` or more without a face."""
    padded = np.concatenate([[True], found, [True]]).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(padded) == -1), np.flatnonzero(np.diff(padded) == 1)
    absent = np.zeros(len(found), dtype=bool)
    for start, end in zip(starts, ends, strict=True):
        absent[start:end] = end - start >= ABSENT
    return absent
