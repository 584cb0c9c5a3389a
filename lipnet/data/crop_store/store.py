"""Reading crop stores. Arrays are memory-mapped."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
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
from lipnet.utils.log import LOG


class CropStore:
    """All crops that ``preprocess.py`` has written below a root, or below several ones, read as one store.

    A speaker of the same name below several roots is one speaker. Arrays are memory-mapped at first use.
    """

    def __init__(self, *roots: str | Path) -> None:
        """Raises CropStoreError if a root has no crops, crops with different crop settings, a clip that
        another root has too, or arrays with fewer frames than the indexes say: who reads these may rely on
        the numbers of frames.
        """
        self.roots = [Path(root) for root in roots]
        self.clips: dict[str, StoredClip] = {}
        self._arrays: dict[tuple[Path, str], np.ndarray] = {}  # by root and speaker
        self._landmarks: dict[tuple[Path, str], np.ndarray] = {}
        for root in self.roots:
            self._add(root)

    @property
    def root(self) -> str:
        """The root, or all of them, for messages."""
        return ", ".join(map(str, self.roots))

    def _add(self, root: Path) -> None:
        indexes = read_indexes(root)
        if not indexes:
            raise CropStoreError(f"{root}: not a crop store; make one with scripts/preprocess.py")
        crop = indexes[0].crop
        if any(index.crop != crop for index in indexes):
            raise CropStoreError(
                f"{root}: its speakers have different crop settings; give each its own --out"
            )
        if self.clips:
            _check_crop(root, crop, self.crop, f"the crops in {self.roots[0]} need")
        else:
            self.crop: CropConfig = crop
        for index in indexes:
            path, landmarks_path, _ = store_paths(root, index.speaker)
            with_landmarks = [clip for clip in index.clips.values() if clip.landmarks]
            _held(path, frame_bytes(crop), list(index.clips.values()))
            _held(landmarks_path, LANDMARK_BYTES, with_landmarks)
            for clip in index.clips.values():
                if clip.name in self.clips:
                    raise CropStoreError(
                        f"{clip.name} is in {self.clips[clip.name].root} and in {root}: name one of these "
                        "only, or preprocess again without the clip in one"
                    )
                self.clips[clip.name] = replace(clip, root=root)

    def check_crop(self, crop: CropConfig, needs: str) -> None:
        """Compare the settings that decide what crops look like.

        Args:
            crop: the required settings.
            needs: what requires them, for the message, such as "the weights need".

        Raises:
            CropStoreError: the crops have other settings; the message names the first of them.
        """
        _check_crop(self.root, self.crop, crop, needs)

    def array(self, clip: StoredClip) -> np.ndarray:
        """The crops of all clips that are in one array with a clip: (frames, H, W, 3) uint8 RGB.

        It is memory-mapped. Raises CropStoreError if the array is missing or truncated.
        """
        if clip.source not in self._arrays:
            shape = (self.crop.height, self.crop.width, 3)
            path, _, _ = store_paths(*clip.source)
            self._arrays[clip.source] = _mapped(path, np.dtype(np.uint8), shape, self._beside(clip))
        return self._arrays[clip.source]

    def _beside(self, clip: StoredClip) -> list[StoredClip]:
        """The clips that are in one array with a clip, and itself."""
        return [other for other in self.clips.values() if other.source == clip.source]

    def crops(self, clip: StoredClip) -> np.ndarray:
        """The crops of a clip, memory-mapped: (T, H, W, 3) uint8 RGB."""
        return self.array(clip)[clip.start : clip.start + clip.frames]

    def landmarks(self, clip: StoredClip) -> np.ndarray | None:
        """The landmarks of a clip, memory-mapped: (T, 68, 2) float16 as `FaceTrack.on_face`; None without.

        Raises CropStoreError as `array`.
        """
        if not clip.landmarks:
            return None
        if clip.source not in self._landmarks:
            clips = [other for other in self._beside(clip) if other.landmarks]
            _, path, _ = store_paths(*clip.source)
            self._landmarks[clip.source] = _mapped(path, np.dtype(np.float16), LANDMARK_SHAPE, clips)
        return self._landmarks[clip.source][clip.start : clip.start + clip.frames]

    def __getstate__(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "_arrays": {},
            "_landmarks": {},
        }  # every process of a data loader maps the files itself

    def split(self, name: str) -> list[StoredClip]:
        """The clips of a split: ``all``, the name of a list in ROOT/splits, or the path of a list file.

        Where several roots have lists of that name, the split has the clips of all these lists. A root that
        has none is named by a warning.

        Raises CropStoreError if the list does not exist, is empty or has clips that are not in the store.
        """
        if name == "all":
            return list(self.clips.values())
        named = [root / "splits" / f"{name}.txt" for root in self.roots]
        # isfile is False for a name that no file can have, for which Path.is_file may raise
        paths = [path for path in named if os.path.isfile(path)] or [Path(name)]
        if not os.path.isfile(paths[0]):
            known = {file.stem for root in self.roots for file in (root / "splits").glob("*.txt")}
            raise CropStoreError(
                f"no split {name!r}: give a list file, or one of: all, {', '.join(sorted(known))}"
            )
        if paths[0] in named:
            for root in (path.parent.parent for path in named if path not in paths):
                LOG.warning(f"{root}: has no list {name}: the split has those of the other roots")
        lists = [self._listed(path) for path in paths]
        if len(lists) == 1:
            return lists[0]
        return list({clip.name: clip for clips in lists for clip in clips}.values())

    def _listed(self, path: Path) -> list[StoredClip]:
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


def _check_crop(root: object, stored: CropConfig, needed: CropConfig, needs: str) -> None:
    """See `CropStore.check_crop`."""
    # All methods but fixed and none crop by the face, so that their crops look alike.
    is_fixed = not {"fixed", "none"}.isdisjoint((needed.method, stored.method))
    by_method = ("method", "box", "frame") if is_fixed else ("eye_distance", "center_offset")
    for key in ("width", "height", *by_method):
        ours, theirs = getattr(stored, key), getattr(needed, key)
        if ours != theirs:
            raise CropStoreError(
                f"{root} was cropped with crop.{key}={_shown(ours)}, {needs} {_shown(theirs)}: "
                "preprocess into another folder"
            )


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
