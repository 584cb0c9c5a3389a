"""Reading a crop store. Arrays are memory-mapped."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipnet.config import CropConfig
from lipnet.data.clip_lists import read_split
from lipnet.data.crop_store.index import (
    LANDMARK_BYTES,
    LANDMARK_SHAPE,
    CropStoreError,
    StoredClip,
    frame_bytes,
    read_indexes,
    store_paths,
)


class CropStore:
    """All crops that ``preprocess.py`` has written below ``root``. Arrays are memory-mapped at first use."""

    def __init__(self, root: str | Path) -> None:
        """Raises CropStoreError if ``root`` has no crops, crops with different crop settings, or arrays with
        fewer frames than the indexes say: who reads these may rely on the numbers of frames.
        """
        self.root = Path(root)
        indexes = read_indexes(self.root)
        if not indexes:
            raise CropStoreError(f"{self.root}: not a crop store; make one with scripts/preprocess.py")
        self.crop: CropConfig = indexes[0].crop
        if any(index.crop != self.crop for index in indexes):
            raise CropStoreError(
                f"{self.root}: its speakers have different crop settings; give each its own --out"
            )
        self.clips = {clip.name: clip for index in indexes for clip in index.clips.values()}
        self._arrays: dict[str, np.ndarray] = {}
        self._landmarks: dict[str, np.ndarray] = {}
        for index in indexes:
            path, landmarks_path, _ = store_paths(self.root, index.speaker)
            with_landmarks = [clip for clip in index.clips.values() if clip.landmarks]
            _held(path, frame_bytes(self.crop), list(index.clips.values()))
            _held(landmarks_path, LANDMARK_BYTES, with_landmarks)

    def check_crop(self, crop: CropConfig, needs: str) -> None:
        """Compare the settings that decide what crops look like.

        Args:
            crop: the required settings.
            needs: what requires them, for the message, such as "the weights need".

        Raises:
            CropStoreError: the crops have other settings; the message names the first of them.
        """
        # All methods but fixed and none crop by the face, so that their crops look alike.
        is_fixed = not {"fixed", "none"}.isdisjoint((crop.method, self.crop.method))
        by_method = ("method", "box", "frame") if is_fixed else ("eye_distance", "center_offset")
        for key in ("width", "height", *by_method):
            needed, stored = getattr(crop, key), getattr(self.crop, key)
            if needed != stored:
                raise CropStoreError(
                    f"{self.root} was cropped with crop.{key}={_shown(stored)}, {needs} {_shown(needed)}: "
                    "preprocess into another folder"
                )

    def array(self, speaker: str) -> np.ndarray:
        """The crops of all clips of a speaker, memory-mapped: (frames, H, W, 3) uint8 RGB.

        Raises CropStoreError if the array is missing or truncated.
        """
        if speaker not in self._arrays:
            clips = [clip for clip in self.clips.values() if clip.speaker == speaker]
            shape = (self.crop.height, self.crop.width, 3)
            self._arrays[speaker] = _mapped(
                store_paths(self.root, speaker)[0], np.dtype(np.uint8), shape, clips
            )
        return self._arrays[speaker]

    def crops(self, clip: StoredClip) -> np.ndarray:
        """The crops of a clip, memory-mapped: (T, H, W, 3) uint8 RGB."""
        return self.array(clip.speaker)[clip.start : clip.start + clip.frames]

    def landmarks(self, clip: StoredClip) -> np.ndarray | None:
        """The landmarks of a clip, memory-mapped: (T, 68, 2) float16 as `FaceTrack.on_face`; None without.

        Raises CropStoreError as `array`.
        """
        if not clip.landmarks:
            return None
        if clip.speaker not in self._landmarks:
            clips = [c for c in self.clips.values() if c.speaker == clip.speaker and c.landmarks]
            path = store_paths(self.root, clip.speaker)[1]
            self._landmarks[clip.speaker] = _mapped(path, np.dtype(np.float16), LANDMARK_SHAPE, clips)
        return self._landmarks[clip.speaker][clip.start : clip.start + clip.frames]

    def __getstate__(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "_arrays": {},
            "_landmarks": {},
        }  # every process of a data loader maps the files itself

    def split(self, name: str) -> list[StoredClip]:
        """The clips of a split: ``all``, the name of a list in ROOT/splits, or the path of a list file.

        Raises CropStoreError if the list does not exist, is empty or has clips that are not in the store.
        """
        if name == "all":
            return list(self.clips.values())
        path = self.root / "splits" / f"{name}.txt"
        if not os.path.isfile(
            path
        ):  # False for a name that no file can have, for which Path.is_file may raise
            path = Path(name)
        if not os.path.isfile(path):
            known = ", ".join(sorted(file.stem for file in (self.root / "splits").glob("*.txt")))
            raise CropStoreError(f"no split {name!r}: give a list file, or one of: all, {known}")
        names = read_split(path)
        if not names:
            raise CropStoreError(f"{path}: the list is empty; give one SPEAKER/ID per line")
        absent = [clip for clip in names if clip not in self.clips]
        if absent:
            raise CropStoreError(
                f"{path}: {len(absent)} of {len(names)} clips are not in {self.root}, such as {absent[0]}; "
                "preprocess them, or remove them from the list"
            )
        return [self.clips[clip] for clip in names]


def _mapped(path: Path, dtype: np.dtype, shape: tuple[int, ...], clips: Sequence[StoredClip]) -> np.ndarray:
    """An array of frames of ``shape``, memory-mapped; it must have those of ``clips``."""
    count = _held(path, dtype.itemsize * math.prod(shape), clips)
    return np.memmap(path, dtype, "r", shape=(count, *shape))


def _held(path: Path, size: int, clips: Sequence[StoredClip]) -> int:
    """The number of frames of ``size`` bytes in a file; CropStoreError if it lacks those of ``clips``."""
    needed = max((clip.start + clip.frames for clip in clips), default=0)
    if not needed:
        return 0
    if not path.exists():
        raise CropStoreError(f"{path}: missing; run scripts/preprocess.py again")
    count = path.stat().st_size // size
    if count < needed:
        raise CropStoreError(f"{path}: holds {count} of {needed} frames; run scripts/preprocess.py again")
    return count


def check_landmarks(clips: Sequence[tuple[CropStore, StoredClip]], streams: Sequence[str]) -> None:
    """Raise CropStoreError if a network with these ``model.streams`` cannot read the clips of these stores.

    One that reads landmarks only needs them of each clip. One that also reads pixels falls back to these.
    """
    if "pixels" in streams:
        return
    without = [(store, clip) for store, clip in clips if not clip.landmarks]
    if not without:
        return
    store, clip = without[0]
    cause = "its crops were made without landmarks"
    if store.crop.method != "dlib":
        cause = f"crop.method {store.crop.method} finds none"
    raise CropStoreError(
        f"{store.root}: {len(without)} of {len(clips)} clips have no landmarks ({cause}), such as "
        f"{clip.name}, but model.streams is [{','.join(streams)}]; preprocess into another folder with "
        "crop.method=dlib, or use a network that reads pixels"
    )


def without_speakers(clips: Sequence[StoredClip], speakers: Sequence[str]) -> list[StoredClip]:
    """The clips but for those of ``speakers``.

    Raises CropStoreError if a speaker has none of the clips, or all clips are theirs.
    """
    kept = [clip for clip in clips if clip.speaker not in speakers]
    known = {clip.speaker for clip in clips}
    for speaker in speakers:
        if speaker not in known:
            raise CropStoreError(f"data.leave_out: {speaker} has no training clip; leave the name out")
    if not kept:
        raise CropStoreError(f"data.leave_out {', '.join(speakers)}: no training clip is left; name fewer")
    return kept


def _shown(setting: Any) -> str:
    return f"{setting:g}" if isinstance(setting, float) else str(setting)
