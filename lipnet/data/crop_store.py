"""Crops on disk: for each speaker one flat uint8 array (``SPEAKER.u8``) and one JSON index beside it
(``SPEAKER.index.json``).

The array holds the frames of all clips end to end, each (H, W, 3) RGB; the index says which frames are
whose, and what is said in them. Crops are appended first and the index is replaced atomically after, so a
killed run leaves at worst some frames at the array's end that no index names; the next run overwrites them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lipnet.config import CropConfig
from lipnet.data.alignments import Word
from lipnet.data.corpus import Clip
from lipnet.data.splits import read_split
from lipnet.errors import LipnetError
from lipnet.grid import natural_key
from lipnet.utils.files import write_atomically

FORMAT = 1
SAVE_SECONDS = 5.0  # a killed run loses at most this much work


class CropStoreError(LipnetError):
    """Packed crops that cannot be read or written."""


@dataclass(frozen=True)
class StoredClip:
    """One clip of a packed corpus: frames ``start`` ... ``start + frames`` of its speaker's array."""

    speaker: str
    id: str
    start: int
    frames: int
    faces: int  # frames in which a face was really found; all, where none was looked for
    sentence: str
    words: tuple[Word, ...]  # without timings: empty

    @property
    def name(self) -> str:
        return f"{self.speaker}/{self.id}"


class CropStoreWriter:
    """Appends clips to one speaker's array. Use as a context manager; leaving it saves the index."""

    def __init__(self, root: Path, speaker: str, crop: CropConfig) -> None:
        """Raises CropStoreError where crops of another geometry are there already."""
        self.array_path, self.index_path = _paths(root, speaker)
        self.crop = crop
        self.speaker = speaker
        self.clips: dict[str, StoredClip] = {}
        if self.index_path.exists():
            index = _read_index(self.index_path)
            if index["crop"] != crop:
                raise CropStoreError(
                    f"{self.index_path}: cropped with other settings ({_differences(index['crop'], crop)}); "
                    "give another --out, or delete this one"
                )
            held = self.array_path.stat().st_size if self.array_path.exists() else 0
            held //= _frame_bytes(crop)  # clips that a truncated array has lost are cropped again
            self.clips = {clip.id: clip for clip in _clips(index) if clip.start + clip.frames <= held}
        self.frames = max((clip.start + clip.frames for clip in self.clips.values()), default=0)

    def __enter__(self) -> CropStoreWriter:
        self.array_path.parent.mkdir(parents=True, exist_ok=True)
        self._array = self.array_path.open("r+b" if self.array_path.exists() else "w+b")
        self._array.seek(self.frames * _frame_bytes(self.crop))
        self._array.truncate()
        self._saved = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self.clips:
            self._save()
        self._array.close()
        if not self.clips:
            self.array_path.unlink()

    def add(self, clip: Clip, crops: np.ndarray, faces: int) -> None:
        """Append ``crops`` (T, H, W, 3) uint8 RGB of ``clip``, in ``faces`` of which a face was found."""
        assert crops.dtype == np.uint8 and crops.shape[1:] == (self.crop.height, self.crop.width, 3)
        self._array.write(np.ascontiguousarray(crops).data)
        frames = len(crops)
        self.clips[clip.id] = StoredClip(
            self.speaker, clip.id, self.frames, frames, faces, clip.sentence, clip.words
        )
        self.frames += frames
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self._save()

    def relabel(self, clip: Clip) -> bool:
        """Take over a packed clip's sentence and words, as they are now; whether they have changed."""
        old = self.clips[clip.id]
        self.clips[clip.id] = replace(old, sentence=clip.sentence, words=clip.words)
        return self.clips[clip.id] != old

    def _save(self) -> None:
        self._array.flush()
        clips = {
            clip.id: {
                "start": clip.start,
                "frames": clip.frames,
                "faces": clip.faces,
                "sentence": clip.sentence,
                "words": [[word.text, word.start, word.end] for word in clip.words],
            }
            for clip in self.clips.values()
        }
        index = {"format": FORMAT, "speaker": self.speaker, "crop": asdict(self.crop), "clips": clips}
        write_atomically(self.index_path, json.dumps(index, indent=1).encode())
        self._saved = time.monotonic()


class CropStore:
    """Everything that ``preprocess.py`` wrote below ``root``. Arrays are memory-mapped when first used."""

    def __init__(self, root: str | Path) -> None:
        """Raises CropStoreError where there are no packed crops, or of several geometries."""
        self.root = Path(root)
        indices = [_read_index(path) for path in sorted(self.root.rglob("*.index.json"))]
        if not indices:
            raise CropStoreError(f"{self.root}: no packed crops here; make them with scripts/preprocess.py")
        self.crop: CropConfig = indices[0]["crop"]
        if any(index["crop"] != self.crop for index in indices):
            raise CropStoreError(
                f"{self.root}: crops of several geometries; preprocess them into folders apart"
            )
        indices.sort(key=lambda index: natural_key(index["speaker"]))
        self.clips = {clip.name: clip for index in indices for clip in _clips(index)}
        self._arrays: dict[str, np.ndarray] = {}

    def check_crop(self, crop: CropConfig, needs: str) -> None:
        """Raises CropStoreError where crops of the given geometry look otherwise than these.

        ``needs``: who wants that geometry, with the verb, such as "the weights need".
        """
        fixed = "fixed" in (crop.method, self.crop.method)  # a box; what the other methods cut looks alike
        for key in (
            "width",
            "height",
            *(("method", "box", "frame") if fixed else ("eye_distance", "center_offset")),
        ):
            wanted, store = getattr(crop, key), getattr(self.crop, key)
            if wanted != store:
                raise CropStoreError(
                    f"{self.root} was cropped with crop.{key}={_shown(store)}, {needs} {_shown(wanted)}: "
                    "preprocess into another folder"
                )

    def array(self, speaker: str) -> np.ndarray:
        """A speaker's frames, memory-mapped: (frames, H, W, 3) uint8 RGB."""
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

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}  # a loader process maps the files itself

    def split(self, name: str) -> list[StoredClip]:
        """The clips of a split: ``all``, the name of a list in ROOT/splits, or a list file's path.

        Raises CropStoreError where there is no such list, or where it names clips that are not packed.
        """
        if name == "all":
            return list(self.clips.values())
        path = self.root / "splits" / f"{name}.txt"
        if not path.exists():
            path = Path(name)
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in (self.root / "splits").glob("*.txt")))
            raise CropStoreError(f"no split {name!r}: give a list file, or one of: all, {known}")
        names = read_split(path)
        if not names:
            raise CropStoreError(f"{path}: the list is empty; give one with clips, sN/ID a line")
        absent = [clip for clip in names if clip not in self.clips]
        if absent:
            raise CropStoreError(
                f"{path}: {len(absent)} of {len(names)} clips are not in {self.root}, such as {absent[0]}; "
                "preprocess them, or take them off the list"
            )
        return [self.clips[clip] for clip in names]


def _paths(root: Path, speaker: str) -> tuple[Path, Path]:
    return root / f"{speaker}.u8", root / f"{speaker}.index.json"


def _frame_bytes(crop: CropConfig) -> int:
    return crop.height * crop.width * 3


def _read_index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index["format"] == FORMAT:
            return {**index, "crop": CropConfig(**index["crop"])}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise CropStoreError(
        f"{path}: no index of packed crops of format {FORMAT}; run scripts/preprocess.py anew"
    )


def _clips(index: dict[str, Any]) -> Iterator[StoredClip]:
    for clip_id, entry in index["clips"].items():
        words = tuple(Word(*word) for word in entry["words"])
        yield StoredClip(
            index["speaker"],
            clip_id,
            entry["start"],
            entry["frames"],
            entry["faces"],
            entry["sentence"],
            words,
        )


def _differences(old: CropConfig, new: CropConfig) -> str:
    return ", ".join(
        f"{key} {getattr(old, key)!r} there, {value!r} now"
        for key, value in asdict(new).items()
        if getattr(old, key) != value
    )


def _shown(setting: Any) -> str:
    return f"{setting:g}" if isinstance(setting, float) else str(setting)
