"""Merging the parts of a crop store: in the loop of preprocessing, they stand where else workers crop clips.

So the merged crop store is the one that a single process writes, and a merge that was killed is continued as
any run is.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from lipnet.config import CropConfig
from lipnet.cropping.crop_file import CropFile
from lipnet.data.corpus import Clip, Corpus
from lipnet.data.crop_store import CropStore, StoredClip, check_same_crop
from lipnet.data.crop_store.index import (
    LANDMARK_BYTES,
    LANDMARK_SHAPE,
    SUFFIX,
    read_indexes,
    store_paths,
    video_state,
)
from lipnet.data.preprocessing.shards import PARTS, Shard, find_parts, read_left_out, shard_of
from lipnet.errors import LipnetError
from lipnet.utils.files import UNFINISHED

SHOWN_SHARDS = 10  # of those that are missing, in a message


class Parts:
    """The parts of the crop store ``root``, in which all clips of a corpus are cropped or left out."""

    def __init__(self, root: Path, corpus: Corpus, crop: CropConfig) -> None:
        """Raises LipnetError if parts are missing or not finished or have other crop settings, or if they and
        the crop store lack a clip of the corpus.
        """
        self.root = root
        self._left_out: dict[str, str] = {}
        self._clips: dict[str, StoredClip] = {}
        shards = find_parts(root)
        self._count = shards[0].count if shards else 0
        missing = [
            shard
            for shard in (Shard(self._count, number + 1) for number in range(self._count))
            if not self._add(shard, crop)
        ]
        if missing:
            shown = [*map(str, missing[:SHOWN_SHARDS]), *(["..."] if len(missing) > SHOWN_SHARDS else [])]
            raise LipnetError(
                f"{root / PARTS}: {len(missing)} of {self._count} parts are missing or not finished; run "
                f"--shard {', '.join(shown)}, and then --merge"
            )
        self._check_clips(corpus)

    def _add(self, shard: Shard, crop: CropConfig) -> bool:
        """Add the clips of a part. Returns False if it is not finished."""
        folder = shard.folder(self.root)
        left_out = read_left_out(folder)
        if left_out is None:
            return False
        self._left_out.update(left_out)
        if any(folder.rglob(f"*{SUFFIX}")):  # else the shard has no clips, or all were left out
            try:
                store = CropStore(folder)
            except LipnetError as error:
                raise LipnetError(f"{error}: delete {folder} and run --shard {shard} again") from error
            check_same_crop(folder, store.crop, crop)
            self._clips.update(store.clips)
        return True

    def _check_clips(self, corpus: Corpus) -> None:
        """Raises LipnetError if there are clips that neither parts nor the crop store have, or that parts
        have and the corpus lacks: they would be removed with the parts.
        """
        selected = {clip.name for clip in corpus.clips} | corpus.problems.keys()
        if others := [name for name in self._clips if name not in selected]:
            raise LipnetError(
                f"{self.root / PARTS}: {len(others)} clips are not in the corpus as --merge has it, such as "
                f"{others[0]}; give --merge the arguments of --shard, or run --shard "
                f"{shard_of(others[0], self._count)} again"
            )
        known = self._clips.keys() | self._left_out.keys()
        known |= {clip.name for index in read_indexes(self.root) for clip in index.clips.values()}
        lacking = [clip for clip in corpus.clips if clip.name not in known]
        if not lacking:
            return
        if not self._count:
            raise LipnetError(f"{self.root}: has no parts to merge; run --shard 1/N to N/N first")
        shard = shard_of(lacking[0].name, self._count)
        raise LipnetError(
            f"{self.root / PARTS}: {len(lacking)} clips of the corpus are in no part, such as "
            f"{lacking[0].name}; run --shard {shard} again with the arguments of --merge"
        )

    def map(self, tasks: Iterable[Clip]) -> Iterator[CropFile | LipnetError]:
        """Yield the crops that the parts have of each clip, or the error for which it was left out.

        Raises LipnetError if a clip is in no part, or its video has changed since it was cropped.
        """
        for clip in tasks:
            reason = self._left_out.get(clip.name)
            yield self._crops(clip) if reason is None else LipnetError(reason)

    def _crops(self, clip: Clip) -> CropFile:
        stored, state = self._clips.get(clip.name), video_state(clip.video)
        if stored is None or stored.video is None or state is None or not state.is_same_content(stored.video):
            again = (
                f"run --shard {shard_of(clip.name, self._count)} again"
                if self._count
                else "leave --merge out"
            )
            raise LipnetError(f"{clip.video}: has changed since it was cropped; {again}")
        paths = store_paths(shard_of(clip.name, self._count).folder(self.root), clip.speaker)
        landmarks = None
        if stored.landmarks:
            start, count = stored.start * LANDMARK_BYTES, stored.frames * LANDMARK_BYTES // 2
            landmarks = np.fromfile(paths[1], np.float16, count, offset=start)
            landmarks = landmarks.reshape(stored.frames, *LANDMARK_SHAPE)
        return CropFile(
            paths[0], stored.frames, stored.faces, 1, landmarks, start=stored.start, is_temporary=False
        )

    def remove(self) -> None:
        """Remove all parts at once. If the process is killed, the next run removes what is left of them."""
        if self._count:
            parts = (self.root / PARTS).rename(self.root / f"{UNFINISHED}{uuid.uuid4().hex}")
            shutil.rmtree(parts, ignore_errors=True)
