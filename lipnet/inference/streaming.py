"""Streaming transcription: one video of any length, frame by frame, with a window of it in memory.

A window is cropped, and the network reads it as if it were a clip. An utterance that is followed by a pause
is cut out with a margin of silence, as training clips are, and transcribed by itself; then the window moves
on. Speech without a pause is cut where that does the least damage and read together with context frames on
both sides of the cut, whose emissions are dropped: no word is cut off or transcribed twice.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from lipnet.cropping.cropper import Cropper, FaceTrack, NoFaceError, faces_seen, is_held
from lipnet.cropping.landmarks import clip_features
from lipnet.cropping.patch import Patch, cut_patch
from lipnet.cropping.smoothing import interpolate_held
from lipnet.grid import FRAME_RATE
from lipnet.inference.emissions import Backend, Emissions
from lipnet.inference.quality import quality_warnings
from lipnet.inference.segmentation import best_cut, find_utterances, is_speech
from lipnet.inference.sentences import SentenceDecoder
from lipnet.inference.transcript import Sentence, Transcript
from lipnet.video.resample import PictureCount

# In frames, at 25 a second.
WINDOW = 100  # length at which a window is read: a GRID clip and a little more
MAX_WINDOW = 150  # length at which it is read again, and speech without a pause is cut
STRIDE = 25  # from one reading to the next in a live transcription
MARGIN = 12  # silence kept around an utterance
SETTLED = 15  # after an utterance's end until it counts: emissions of a window's last frames are unreliable
CONTEXT = 25  # read on both sides of a cut through speech
MAX_GAP = 25  # without a face: longer gaps are not transcribed, though the landmarks are filled in

Bounds = tuple[int, int]  # first frame and last + 1 of an utterance, in the window


class StreamingTranscriber:
    """Transcribes the frames of one video, which are pushed in their order, at 25 a second."""

    def __init__(
        self,
        cropper: Cropper,
        backend: Backend,
        decoder: SentenceDecoder,
        name: str = "video",
        live: bool = False,
    ) -> None:
        """
        Args:
            cropper: with the crop settings of the backend's metadata.
            name: the video's, for the transcript and error messages.
            live: read the window after every STRIDE, for ``partial``, and keep no face track or emissions.
        """
        self.cropper, self.backend, self.decoder = cropper, backend, decoder
        self.name, self.live = name, live
        self.frames = 0  # pushed so far
        self.partial = ""  # text, by greedy search, of an utterance that has not ended
        self._tracker = cropper.start(name)
        self._count = PictureCount()
        self._sentences: list[Sentence] = []
        self._tracks: list[FaceTrack] = []  # of the frames that have left the window
        self._face_found = False
        self._window: list[Patch] = []
        self._crops = np.empty((0, 0, 0, 3), np.uint8)  # of the window, as last read
        self._on_face: np.ndarray | None = None  # its landmarks, as `FaceTrack.on_face`
        self._first = 0  # the window's first frame in the video
        self._done = 0  # frames at the window's start that are transcribed and stay as context
        self._cut_through = False  # whether these end in a cut through speech
        self._next = STRIDE if live else WINDOW  # length of the window at its next reading

    def push(self, frame: np.ndarray) -> list[Sentence]:
        """Take the next frame, (H, W, 3) uint8 RGB. Returns the sentences that have ended by now."""
        return self.add(self.track(frame))

    def track(self, frame: np.ndarray) -> Patch:
        """The first half of `push`, which may run ahead in another thread:

        find the next frame's landmarks.
        """
        patch = cut_patch(frame, self._tracker(self._count.add(frame)), self.cropper.layout)
        return patch._replace(held=is_held(self._tracker))

    def add(self, patch: Patch) -> list[Sentence]:
        """The second half of `push`."""
        self._window.append(patch)
        self.frames += 1
        if len(self._window) < self._next:
            return []
        before = len(self._sentences)
        self._read_window(final=False)
        self._next = self._next_length(len(self._window))
        return self._sentences[before:]

    def finish(self) -> Transcript:
        """Transcribe what is left at the video's end. Raises NoFaceError where no frame has shown a face."""
        if self._window:
            self._read_window(final=True)
        if not self._face_found:
            raise NoFaceError.of(self.name, self.frames)
        track = None if self.live else FaceTrack.concatenate(self._tracks)
        if track is not None:
            track = replace(track, faces=faces_seen(self._tracker))
        warnings = quality_warnings(self._sentences, track, self.decoder.grid_only)
        return Transcript(
            video=self.name,
            sentences=self._sentences,
            frames=self.frames,
            fps=FRAME_RATE,
            decoder=self.decoder.name,
            calibrated=self.decoder.calibration is not None,
            warnings=[*filter(None, [self._count.problem()]), *warnings],
            track=track,
        )

    def _next_length(self, length: int) -> int:
        """The window's length at its next reading; it has ``length`` frames now."""
        if self.live:
            return length + STRIDE
        return MAX_WINDOW if length >= WINDOW or self._cut_through else WINDOW

    def _read_window(self, final: bool) -> None:
        """Transcribe the utterances that have ended, at the video's end all, and move the window on."""
        length = len(self._window)
        self.partial = ""
        held = [patch.held for patch in self._window]
        landmarks = interpolate_held([patch.points for patch in self._window], held)
        if all(points is None for points in landmarks):
            self._cut_through = False
            track = FaceTrack.missing(length, self.cropper.layout, self.cropper.size)
            self._move_on(track, length if final else length - MARGIN)
            return
        track = self.cropper.build_track(landmarks, self.name)
        to_crop = track.to_crop @ np.stack([patch.to_frame for patch in self._window])
        crops = self.cropper.crop([patch.image for patch in self._window], to_crop)
        self._crops, self._on_face = crops, track.on_face
        emissions = self._emissions(0, length)
        speech = is_speech(emissions) & ~_long_gaps(track.found)
        kept = self._transcribe(emissions, speech, final)
        self._move_on(track, length if final else kept)

    def _emissions(self, first: int, last: int) -> Emissions:
        """Of the window's frames from ``first`` to before ``last``, read as one clip."""
        on_face = None if self._on_face is None else self._on_face[first:last]
        landmarks = clip_features(on_face, self.backend.metadata.model.landmark_input)
        [emissions] = self.backend([self._crops[first:last]], [landmarks])
        return emissions

    def _transcribe(self, emissions: Emissions, speech: np.ndarray, final: bool) -> int:
        """Transcribe the window's utterances that have ended. Returns the first frame still needed."""
        length = emissions.frames
        speech[: self._done] = False
        spans = find_utterances(speech)
        if final and self._first == 0 and len(spans) <= 1 and not self._done:
            self._decode(emissions, 0)  # a clip of one sentence is read as it is
            spans = []
        if not spans or spans[0][0] - self._done > MARGIN:
            self._cut_through = False  # the utterance that was cut does not go on
        bounds = self._with_margins(spans, length)
        ended = sum(final or end + SETTLED <= length for _, end in spans)
        for first, last in bounds[:ended]:
            self._read_utterance(first, last)
        if not ended and spans and length >= MAX_WINDOW and spans[0][0] < length - 2 * CONTEXT:
            cut = best_cut(emissions, length - 2 * CONTEXT, length - CONTEXT)
            self._read_utterance(bounds[0][0], cut, goes_on=True)
        if self.live and spans[ended:]:
            start = max(bounds[ended][0], self._done)
            self.partial = self.decoder.partial_text(emissions.cut(start, length))
        return self._first_needed(bounds[ended:], length)

    def _read_utterance(self, first: int, last: int, goes_on: bool = False) -> None:
        """Transcribe the window's frames from ``first`` to before ``last``, with context beyond cuts."""
        before = min(first, CONTEXT) if self._cut_through and first == self._done else 0
        after = CONTEXT if goes_on else 0
        emissions = self._emissions(first - before, last + after)
        self._decode(emissions.cut(before, before + last - first), first)
        self._done, self._cut_through = last, goes_on

    def _decode(self, emissions: Emissions, first: int) -> None:
        """Append the sentence of an utterance that begins in the window's frame ``first``."""
        sentence = self.decoder(emissions, self._first + first)
        if sentence is not None:
            self._sentences.append(replace(sentence, emissions=None) if self.live else sentence)

    def _with_margins(self, spans: list[Bounds], length: int) -> list[Bounds]:
        """Utterances with silence around them, none reaching into what is done or into another's."""
        between = [(before[1] + after[0]) // 2 for before, after in pairwise(spans)]
        return [
            (max(start - MARGIN, low), min(end + MARGIN, high))
            for (start, end), low, high in zip(
                spans, [self._done, *between], [*between, length], strict=False
            )
        ]

    def _first_needed(self, unfinished: list[Bounds], length: int) -> int:
        """The first frame of the window that is still needed."""
        if self._cut_through:
            return max(self._done - CONTEXT, 0)
        return max(self._done, unfinished[0][0] if unfinished else length - SETTLED - MARGIN)

    def _move_on(self, track: FaceTrack, frames: int) -> None:
        """Drop the window's first ``frames``, whose face track is kept unless the transcription is live."""
        frames = max(frames, 0)
        self._face_found |= bool(track.found.any())
        if not self.live:
            self._tracks.append(track[:frames])
        del self._window[:frames]
        self._first += frames
        self._done = max(self._done - frames, 0)


def _long_gaps(found: np.ndarray) -> np.ndarray:
    """(T,) bool: frames in a run of MAX_GAP or more without a face."""
    padded = np.concatenate([[True], found, [True]]).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(padded) == -1), np.flatnonzero(np.diff(padded) == 1)
    gaps = np.zeros(len(found), dtype=bool)
    for start, end in zip(starts, ends, strict=True):
        gaps[start:end] = end - start >= MAX_GAP
    return gaps
