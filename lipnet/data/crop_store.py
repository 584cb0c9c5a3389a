"""Mouth crops on disk: per speaker a flat uint8 array, ``SPEAKER.u8``, and an index, ``SPEAKER.index.json``.

The array has the crops of all clips one after the other, each frame (H, W, 3) RGB. The index has the crop
settings, and each clip's frames, sentence and words. Crops are appended before the index is replaced
atomically, so a killed run leaves at worst some frames at the end of the array that are not in the index;
the next run overwrites them.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from lipnet.config import CropConfig
from lipnet.data.clip_lists import read_split
from lipnet.data.corpus import Clip, Corpus
from lipnet.data.crop_index import SUFFIX, CropIndex, VideoState, read_index, read_indexes, video_state
from lipnet.data.crop_index import CropStoreError as CropStoreError
from lipnet.data.crop_index import StoredClip as StoredClip
from lipnet.utils.files import write_atomically

SAVE_SECONDS = 5.0  # between two saves of the index: a killed run loses at most this much work


class CropStoreWriter:
    """Appends clips to one speaker's array. A context manager: its exit saves the index."""

    def __init__(self, root: Path, speaker: str, crop: CropConfig) -> None:
        """Raises CropStoreError if ``root`` has crops of this speaker with other crop settings."""
        self.array_path, self.index_path = _paths(root, speaker)
        self.crop = crop
        self.speaker = speaker
        self.clips: dict[str, StoredClip] = {}
        self._states: dict[str, VideoState | None] = {}  # of the videos, by clip id, before they are cropped
        stored: dict[str, StoredClip] = {}
        if self.index_path.exists():
            index = read_index(self.index_path, speaker)
            if index.crop != crop:
                raise CropStoreError(
                    f"{self.index_path}: cropped with other settings ({_differences(index.crop, crop)}); "
                    "give another --out, or delete this crop store"
                )
            stored = index.clips
            size = self.array_path.stat().st_size if self.array_path.exists() else 0
            held = size // _frame_bytes(crop)  # clips that are missing in a truncated array are cropped again
            self.clips = {id_: clip for id_, clip in stored.items() if clip.start + clip.frames <= held}
        self._lacks_clips = len(self.clips) < len(stored)
        self.frames = max((clip.start + clip.frames for clip in self.clips.values()), default=0)

    def __enter__(self) -> CropStoreWriter:
        self.array_path.parent.mkdir(parents=True, exist_ok=True)
        self._array = self.array_path.open("r+b" if self.array_path.exists() else "w+b")
        if self._lacks_clips:  # before their frames are overwritten by those of other clips
            self._save_index()
        self._array.seek(self.frames * _frame_bytes(self.crop))
        self._array.truncate()
        self._saved = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        self._array.close()
        if not self.clips:
            self.array_path.unlink()

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

    def add(self, clip: Clip, crops: np.ndarray, faces: int) -> None:
        """Append the crops of a clip, (T, H, W, 3) uint8 RGB; in ``faces`` of them a face was detected.

        They replace those that the store has of the clip.
        """
        assert crops.dtype == np.uint8 and crops.shape[1:] == (self.crop.height, self.crop.width, 3)
        self._array.write(np.ascontiguousarray(crops).data)
        frames = len(crops)
        state = self._states[clip.id] if clip.id in self._states else video_state(clip.video)
        self.clips[clip.id] = StoredClip(
            self.speaker, clip.id, self.frames, frames, faces, clip.sentence, clip.words, state
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
        """Save all clips so far: the array, then the index."""
        self._array.flush()
        os.fsync(self._array.fileno())
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


class CropStore:
    """All crops that ``preprocess.py`` has written below ``root``. Arrays are memory-mapped at first use."""

    def __init__(self, root: str | Path) -> None:
        """Raises CropStoreError if ``root`` has no crops, or crops with different crop settings."""
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
            path = _paths(self.root, speaker)[0]
            if not path.exists():
                raise CropStoreError(f"{path}: missing; run scripts/preprocess.py again")
            count = path.stat().st_size // _frame_bytes(self.crop)
            needed = max(c.start + c.frames for c in self.clips.values() if c.speaker == speaker)
            if count < needed:
                raise CropStoreError(
                    f"{path}: holds {count} of {needed} frames; run scripts/preprocess.py again"
                )
            shape = (count, self.crop.height, self.crop.width, 3)
            self._arrays[speaker] = np.memmap(path, np.uint8, "r", shape=shape)
        return self._arrays[speaker]

    def crops(self, clip: StoredClip) -> np.ndarray:
        """The crops of a clip, memory-mapped: (T, H, W, 3) uint8 RGB."""
        return self.array(clip.speaker)[clip.start : clip.start + clip.frames]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}  # every process of a data loader maps the files itself

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


def _paths(root: Path, speaker: str) -> tuple[Path, Path]:
    return root / f"{speaker}.u8", root / f"{speaker}{SUFFIX}"


def _frame_bytes(crop: CropConfig) -> int:
    return crop.height * crop.width * 3


def _differences(old: CropConfig, new: CropConfig) -> str:
    return ", ".join(
        f"{key} {getattr(old, key)!r} there, {value!r} now"
        for key, value in asdict(new).items()
        if getattr(old, key) != value
    )


def _shown(setting: Any) -> str:
    return f"{setting:g}" if isinstance(setting, float) else str(setting)
