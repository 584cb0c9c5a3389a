"""A corpus as large as GRID that takes 98 MB of disk, so that whole epochs can be measured without GRID."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lipnet.config import CropConfig
from lipnet.cropping.cropper import Crops
from lipnet.data.alignments import Word
from lipnet.data.corpus import Clip
from lipnet.data.crop_store import CropStore, CropStoreWriter
from lipnet.grid import sentence_of
from lipnet.synthetic.corpus import ClipJob, sample_take

SPEAKERS = 29  # as many as the paper trains on
GRID_CLIPS = 28_775  # those that the paper trains on, without its unseen speakers


def write_speakers(
    root: Path, cropped: Sequence[tuple[ClipJob, Crops]], speakers: int, crop: CropConfig
) -> None:
    """Write a crop store in which each of ``speakers`` speakers says the cropped clips."""
    for number in range(1, speakers + 1):
        with CropStoreWriter(root, f"s{number}", crop) as writer:
            for job, crops in cropped:
                sentence, words = sentence_of(job.clip_id), _words(job)
                assert sentence is not None
                on_face = crops.track.on_face
                landmarks = None if on_face is None else on_face.astype(np.float16)
                clip = Clip(f"s{number}", job.clip_id, job.video, sentence, words)
                writer.add(clip, crops.frames, int(crops.track.found.sum()), landmarks)


def repeated(store: CropStore, count: int) -> CropStore:
    """The store with ``count`` clips, which share the frames of those that it holds.

    The frames that training reads are then those of a few clips a speaker (98 MB in all), as if a whole
    corpus (32 GB) was in the page cache.
    """
    by_speaker: dict[str, list[str]] = {}
    for name, clip in store.clips.items():
        by_speaker.setdefault(clip.speaker, []).append(name)
    speakers = list(by_speaker.values())
    clips = {}
    for number in range(count):
        own = speakers[number % len(speakers)]
        take = number // len(speakers)
        clip = store.clips[own[take % len(own)]]
        clip = replace(clip, id=f"{clip.id}-{take}")
        clips[clip.name] = clip
    store.clips = clips
    return store


def _words(job: ClipJob) -> tuple[Word, ...]:
    return tuple(sample_take(job.seed, job.speaker, job.clip_id).words)
