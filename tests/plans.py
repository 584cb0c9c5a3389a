"""Training samples, and the origin of each of their frames."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, product
from pathlib import Path

from tiny import dataset

from lipnet.config import AugmentConfig
from lipnet.data.crop_store import CropStore, StoredClip
from lipnet.data.dataset import Sample, SampleKey
from lipnet.data.transforms import IGNORE
from lipnet.grid import WORD_CLASS

CLASS_WORD = {index: word for word, index in WORD_CLASS.items()}
# Origin of each frame, from the alignments: (speaker, index in its array) -> (clip, word class).
Sources = dict[tuple[str, int], tuple[StoredClip, int]]


def samples(root: Path, augment: AugmentConfig, epochs: int = 20, trim: float = 0.0) -> Iterator[Sample]:
    """Every clip of a store, in each of some epochs."""
    data = dataset(root, augment=augment)
    for epoch, clip in product(range(epochs), range(len(data))):
        yield data[SampleKey(clip, epoch, trim)]


def sources(root: Path) -> Sources:
    """The origin of every frame of a store."""
    found: Sources = {}
    for clip in CropStore(root).clips.values():
        for frame in range(clip.frames):
            spoken = [word.text for word in clip.words if round(word.start) <= frame < round(word.end)]
            known = WORD_CLASS[spoken[0]] if spoken else 0
            found[clip.speaker, clip.start + frame] = (clip, known if clip.words else IGNORE)
    return found


def spoken(sample: Sample) -> list[str]:
    """The words that the word classes of the frames spell."""
    return [CLASS_WORD[int(word)] for word, _ in groupby(sample.words) if word > 0]
