"""Writing a crop store. Crops of a clip are appended; the index is replaced atomically."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from io import FileIO
from pathlib import Path

import numpy as np

from lipnet.config import CropConfig
from lipnet.data.corpus import Clip, Corpus
from lipnet.data.crop_store.index import (
    LANDMARK_BYTES,
    LANDMARK_SHAPE,
    CropIndex,
    CropStoreError,
    StoredClip,
    VideoState,
    frame_bytes,
    read_index,
    read_indexes,
    store_paths,
    video_state,
)
from lipnet.utils.files import errors_of, write_atomically

WRITE_BYTES = 16 * 2**20  # written at once
SAVE_SECONDS = 5.0  # between two saves of the index: a killed run loses at most this much work


class CropStoreWriter:
    """Appends clips to one speaker's array. A context manager: its exit saves the index."""

    def __init__(self, root: Path, speaker: str, crop: CropConfig) -> None:
        """Raises CropStoreError if ``root`` has crops of this speaker with other crop settings."""
        self.array_path, self.landmarks_path, self.index_path = store_paths(root, speaker)
        self.crop = crop
        self.speaker = speaker
        self.clips: dict[str, StoredClip] = {}
        self._states: dict[str, VideoState | None] = {}  # of the videos, by clip id, before they are cropped
        stored: dict[str, StoredClip] = {}
        if self.index_path.exists():
            index = read_index(self.index_path, speaker)
            check_same_crop(self.index_path, index.crop, crop)
            stored = index.clips
            # Clips that are missing in a truncated array are cropped again.
            held = _size(self.array_path) // frame_bytes(crop)
            with_landmarks = _size(self.landmarks_path) // LANDMARK_BYTES
            self.clips = {
                id_: clip
                for id_, clip in stored.items()
                if clip.start + clip.frames <= (min(held, with_landmarks) if clip.landmarks else held)
            }
        self._lacks_clips = len(self.clips) < len(stored)
        self.frames = max((clip.start + clip.frames for clip in self.clips.values()), default=0)

    def __enter__(self) -> CropStoreWriter:
        self.array_path.parent.mkdir(parents=True, exist_ok=True)
        self._array, self._landmarks = (
            path.open("r+b" if path.exists() else "w+b", buffering=0)
            for path in (self.array_path, self.landmarks_path)
        )
        if self._lacks_clips:  # before their frames are overwritten by those of other clips
            self._save_index()
        self._truncate()
        self._saved = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush()
        finally:
            self._array.close()
            self._landmarks.close()
        if not any(clip.landmarks for clip in self.clips.values()):
            self.landmarks_path.unlink()
        if not self.clips:
            self.array_path.unlink()

    def _truncate(self) -> None:
        """Cut off what is behind the last clip."""
        self._array.truncate(self.frames * frame_bytes(self.crop))
        self._landmarks.truncate(self.frames * LANDMARK_BYTES)

    def is_current(self, clip: Clip) -> bool:
        """Whether the clip is in the store, cropped from its video as the video is now.

        An index of an earlier version does not have the video's state: it is added to it.
        """
        state = self._states[clip.id] = video_state(clip.video)
        stored = self.clips.get(clip.id)
        if stored is None:
            return False
        if stored.video is not None and (state is None or not state.is_same_content(stored.video)):
            return False
        self.clips[clip.id] = replace(stored, video=state)
        return True

    def remove(self, clip_id: str) -> None:
        """Remove a clip from the index, if it is there. Its frames stay in the array, unused."""
        self.clips.pop(clip_id, None)

    def add(self, clip: Clip, crops: np.ndarray, faces: int, landmarks: np.ndarray | None = None) -> None:
        """Append the crops of a clip. They replace those that the store has of it.

        Args:
            crops: (T, H, W, 3) uint8 RGB.
            faces: number of frames in which a face was detected.
            landmarks: (T, 68, 2) float16, as `FaceTrack.on_face`; None: not known.
        """
        assert crops.dtype == np.uint8 and crops.shape[1:] == (self.crop.height, self.crop.width, 3)
        frames = len(crops)
        try:
            _write(self._array, self.frames * frame_bytes(self.crop), crops)
            if landmarks is not None:
                assert landmarks.dtype == np.float16 and landmarks.shape == (frames, *LANDMARK_SHAPE)
                # beyond the end: zeros for clips without
                _write(self._landmarks, self.frames * LANDMARK_BYTES, landmarks)
        except OSError:  # the disk is full: there is room again for the index of the clips before this one
            self._truncate()
            raise
        state = self._states[clip.id] if clip.id in self._states else video_state(clip.video)
        self.clips[clip.id] = StoredClip(
            self.speaker,
            clip.id,
            self.frames,
            frames,
            faces,
            clip.sentence,
            clip.words,
            state,
            landmarks is not None,
        )
        self.frames += frames
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.flush()

    def relabel(self, clip: Clip) -> bool:
        """Give a stored clip the sentence and words of ``clip``. Returns whether they have changed."""
        old = self.clips[clip.id]
        self.clips[clip.id] = replace(old, sentence=clip.sentence, words=clip.words)
        return self.clips[clip.id] != old

    def flush(self) -> None:
        """Save all clips so far: the arrays, then the index."""
        for array in (self._array, self._landmarks):
            with errors_of(Path(array.name)):
                os.fsync(array.fileno())
        self._save_index()
        self._saved = time.monotonic()

    def _save_index(self) -> None:
        if self.clips:
            write_atomically(self.index_path, CropIndex(self.speaker, self.crop, self.clips).to_json())
        else:
            self.index_path.unlink(missing_ok=True)


def remove_problems(corpus: Corpus, root: Path) -> list[str]:
    """Remove the clips that are problems of a corpus from the crop store ``root``. Returns their names."""
    names = corpus.problems.keys() - {clip.name for clip in corpus.clips}
    removed = []
    for index in read_indexes(root):
        clips = [clip for clip in index.clips.values() if clip.name in names]
        if clips:
            removed += [clip.name for clip in clips]
            with CropStoreWriter(root, index.speaker, index.crop) as writer:
                for clip in clips:
                    writer.remove(clip.id)
    return removed


def note_deleted(corpus: Corpus, root: Path, speakers: Iterable[str] | None = None) -> None:
    """Add to the problems of a corpus the clips in the crop store ``root`` whose videos have been deleted.

    Call it before `select_clips`, which then selects these problems as it does others.

    Args:
        root: a crop store; clips that were cropped from other folders than ``corpus.root`` do not count.
        speakers: those that the corpus is limited to; None: all.
    """
    known = {clip.name for clip in corpus.clips} | corpus.problems.keys()
    folders = (os.path.abspath(corpus.root), os.path.realpath(corpus.root))
    wanted = None if speakers is None else set(speakers)
    for index in read_indexes(root):
        for clip in index.clips.values() if wanted is None or index.speaker in wanted else ():
            if clip.name not in known and clip.video is not None:
                path = clip.video.path
                if path.startswith(tuple(f"{folder}{os.sep}" for folder in folders)) and not os.path.exists(
                    path
                ):
                    corpus.problems[clip.name] = f"{path}: the video has been deleted"


def _write(file: FileIO, position: int, array: np.ndarray) -> None:
    """Write an array into an open file. Raises OSError with the file's name.

    Of a memory-mapped array, what has been written does not stay in memory.
    """
    left = memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    mapped = array.base if isinstance(array.base, mmap.mmap) else None
    with errors_of(Path(file.name)):
        file.seek(position)
        while left:
            left = left[file.write(left[:WRITE_BYTES]) :]
            if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
                mapped.madvise(mmap.MADV_DONTNEED)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def check_same_crop(path: Path, there: CropConfig, now: CropConfig) -> None:
    """Raises CropStoreError if crops at ``path`` have crop settings other than those of this run."""
    differences = [
        f"{key} {getattr(there, key)!r} there, {value!r} now"
        for key, value in asdict(now).items()
        if getattr(there, key) != value
    ]
    if differences:
        raise CropStoreError(
            f"{path}: cropped with other settings ({', '.join(differences)}); give another --out, or "
            "delete this crop store"
        )
