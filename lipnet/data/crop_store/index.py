"""The index of a speaker's crops: what is in it, and reading it with all checks.

A clip's entry also has the state of the video that it was cropped from. Indexes of earlier versions do not.
"""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from lipnet.config import CropConfig
from lipnet.data.alignments import Word, fits
from lipnet.errors import LipnetError
from lipnet.grid import natural_key
from lipnet.tokenizer import shortened

FORMAT = 2  # 1 had no landmarks
READABLE = (1, 2)
SUFFIX = ".index.json"
LANDMARK_SHAPE = (68, 2)
LANDMARK_BYTES = 2 * 68 * 2  # a frame, float16
SAMPLE_BYTES = 16384  # hashed at the beginning, in the middle and at the end of a video
MAX_COUNT = 2**53  # of frames, bytes or nanoseconds: larger numbers are no counts
KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}
POSITIVE = {"width", "height", "eye_distance", "detect_every", "landmarks_every"}  # crop settings


class CropStoreError(LipnetError):
    """A crop store, or a list of its clips, that cannot be used."""


@dataclass(frozen=True)
class VideoState:
    """What tells whether a video, or another source of crops, is still the same."""

    path: str
    size: int  # bytes
    mtime_ns: int  # time of the last change, ns since 1970
    sha256: str  # of SAMPLE_BYTES at the beginning, in the middle and at the end

    def is_same_content(self, other: VideoState) -> bool:
        return (self.size, self.sha256) == (other.size, other.sha256)


def video_state(path: Path) -> VideoState | None:
    """The state of a video, an array or a folder of images; None if it cannot be read."""
    digest, size, mtime_ns = hashlib.sha256(), 0, 0
    try:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(os.fsencode(file.name) + b"\0")
            with file.open("rb") as opened:
                stat = os.fstat(opened.fileno())
                for start in sorted({0, max(0, stat.st_size // 2), max(0, stat.st_size - SAMPLE_BYTES)}):
                    opened.seek(start)
                    digest.update(opened.read(SAMPLE_BYTES))
            size, mtime_ns = size + stat.st_size, max(mtime_ns, stat.st_mtime_ns)
    except OSError:
        return None
    return VideoState(os.path.abspath(path), size, mtime_ns, digest.hexdigest())


@dataclass(frozen=True)
class StoredClip:
    """A clip in a crop store: ``frames`` frames of its speaker's array, from the ``start``-th one on."""

    speaker: str
    id: str
    start: int
    frames: int
    faces: int  # number of frames in which a face was detected; all of them if no detector was used
    sentence: str
    words: tuple[Word, ...]  # empty if their times are unknown
    video: VideoState | None = None  # what it was cropped from, if known
    landmarks: bool = False  # whether the store has the landmarks of its frames
    root: Path | None = field(default=None, compare=False)  # of the store that it was read from

    @property
    def source(self) -> tuple[Path, str]:
        """Root and speaker: the clips with the same ones are in one array."""
        assert self.root is not None
        return self.root, self.speaker

    @property
    def name(self) -> str:
        return f"{self.speaker}/{self.id}"


@dataclass(frozen=True)
class CropIndex:
    """All clips of a speaker, by id, and how they were cropped."""

    speaker: str
    crop: CropConfig
    clips: dict[str, StoredClip]

    def to_json(self) -> bytes:
        clips = {clip.id: _entry(clip) for clip in self.clips.values()}
        index = {"format": FORMAT, "speaker": self.speaker, "crop": asdict(self.crop), "clips": clips}
        return json.dumps(index, indent=1).encode()


def _entry(clip: StoredClip) -> dict[str, Any]:
    entry: dict[str, Any] = {key: getattr(clip, key) for key in ("start", "frames", "faces", "sentence")}
    entry["landmarks"] = clip.landmarks
    entry["words"] = [[word.text, word.start, word.end] for word in clip.words]
    if clip.video is not None:
        entry["video"] = asdict(clip.video)
    return entry


def store_paths(root: Path, speaker: str) -> tuple[Path, Path, Path]:
    return root / f"{speaker}.u8", root / f"{speaker}.landmarks.f16", root / f"{speaker}{SUFFIX}"


def frame_bytes(crop: CropConfig) -> int:
    return crop.height * crop.width * 3


def read_index(path: Path, speaker: str) -> CropIndex:
    """Read and check the index of a speaker.

    Raises CropStoreError with the key and the value that cannot be used.
    """
    try:
        index = _as(dict, json.loads(path.read_text(encoding="utf-8")), "its content")
        if index.get("format") not in READABLE:
            raise ValueError(f"format is {reprlib.repr(index.get('format'))}")
        if index.get("speaker") != speaker:
            raise ValueError(
                f"speaker is {reprlib.repr(index.get('speaker'))}, by the file's name {speaker!r}"
            )
        clips = _get(dict, index, "clips").items()
        checked = CropIndex(
            speaker,
            _crop(_get(dict, index, "crop")),
            {clip_id: _clip(speaker, clip_id, _as(dict, entry, _key(clip_id))) for clip_id, entry in clips},
        )
        _check_overlaps(checked)
        return checked
    except (OSError, ValueError, RecursionError, LipnetError) as error:
        reason = "its JSON is nested too deep" if isinstance(error, RecursionError) else shortened(str(error))
        raise CropStoreError(
            f"{path}: not the index of a crop store of format {FORMAT} ({reason}); delete it and run "
            "scripts/preprocess.py"
        ) from error


def read_indexes(root: Path) -> list[CropIndex]:
    """The indexes of all speakers in a crop store, in natural order; empty if there are none.

    Hidden folders, such as that of the parts of a job array, hold none.

    Raises CropStoreError if one cannot be used.
    """
    paths = [path.relative_to(root) for path in sorted(root.rglob(f"*{SUFFIX}"))]
    indexes = [
        read_index(root / path, path.as_posix().removesuffix(SUFFIX))
        for path in paths
        if not path.name.startswith("._") and not any(part.startswith(".") for part in path.parts[:-1])
    ]
    return sorted(indexes, key=lambda index: natural_key(index.speaker))


def _crop(settings: dict[str, Any]) -> CropConfig:
    kinds = {field.name: type(getattr(CropConfig(), field.name)) for field in fields(CropConfig)}
    for key, value in settings.items():
        if key not in kinds:
            raise ValueError(f"crop has the unknown key {reprlib.repr(key)}")
        _as(kinds[key], value, f"crop.{key}")
        for number in value if isinstance(value, list) else [value] if key in POSITIVE else []:
            if not 0 <= _as(float, number, f"crop.{key}") < MAX_COUNT or (key in POSITIVE and number == 0):
                raise ValueError(f"crop.{key} is {reprlib.repr(value)}")
    return CropConfig(**{"landmarks_every": 1, **settings})  # what versions without this setting did


def _clip(speaker: str, clip_id: str, entry: dict[str, Any]) -> StoredClip:
    where = _key(clip_id)
    if clip_id in ("", ".", "..") or not {"/", "\0"}.isdisjoint(clip_id):
        raise ValueError(f"{where}: the id is not a file name")
    start, frames, faces = (_count(entry, key, where) for key in ("start", "frames", "faces"))
    if not frames:
        raise ValueError(f"{where}.frames is 0")
    if faces > frames:
        raise ValueError(f"{where}.faces is {faces} of {frames} frames")
    words = tuple(_word(word, frames, f"{where}.words") for word in _get(list, entry, "words", where))
    video = None
    if "video" in entry:
        video = _video(_get(dict, entry, "video", where), f"{where}.video")
    sentence = _get(str, entry, "sentence", where)
    landmarks = _get(bool, entry, "landmarks", where) if "landmarks" in entry else False
    return StoredClip(speaker, clip_id, start, frames, faces, sentence, words, video, landmarks)


def _word(word: Any, frames: int, where: str) -> Word:
    """A word of a clip of so many frames, after which it may end a little (see `corpus.check_words`)."""
    if len(_as(list, word, where)) != 3:
        raise ValueError(f"{where} has {reprlib.repr(word)}, not [word, start, end]")
    for time in word[1:]:
        if not 0 <= _as(float, time, where) < MAX_COUNT:
            raise ValueError(f"{where} has the time {reprlib.repr(time)}")
    checked = Word(_as(str, word[0], where), word[1], word[2])
    if not checked.start <= checked.end or not fits(checked, frames):
        times = f"{checked.start:g} to {checked.end:g}"
        raise ValueError(f"{where} has {reprlib.repr(checked.text)} at frames {times} of {frames}")
    return checked


def _video(state: dict[str, Any], where: str) -> VideoState:
    path, sha256 = _get(str, state, "path", where), _get(str, state, "sha256", where)
    return VideoState(path, _count(state, "size", where), _get(int, state, "mtime_ns", where), sha256)


def _check_overlaps(index: CropIndex) -> None:
    clips = sorted(index.clips.values(), key=lambda clip: clip.start)
    for previous, following in pairwise(clips):
        if following.start < previous.start + previous.frames:
            raise ValueError(f"{_key(following.id)}.start is {following.start}, within {previous.id!r}")


def _key(clip_id: str) -> str:
    return f"clips[{reprlib.repr(clip_id)}]"


def _get(kind: type, tree: Mapping[str, Any], key: str, where: str = "") -> Any:
    name = f"{where}.{key}" if where else key
    if key not in tree:
        raise ValueError(f"{name} is missing")
    return _as(kind, tree[key], name)


def _as(kind: type, value: Any, name: str) -> Any:
    """The value, once it is known to be of a kind; a whole number also is a number."""
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name} is {reprlib.repr(value)}, not {KINDS.get(kind, kind.__name__)}")
    return value


def _count(tree: Mapping[str, Any], key: str, where: str) -> int:
    value = _get(int, tree, key, where)
    if not 0 <= value < MAX_COUNT:
        raise ValueError(f"{where}.{key} is {reprlib.repr(value)}")
    return int(value)
