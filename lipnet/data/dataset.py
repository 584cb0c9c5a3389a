"""Training and evaluation samples from stored crops.

A sample is a list of frame indices into its speaker's memory map. Temporal augmentation only edits that
list; the frames are copied once, when the batch is collated.
Shapes: B batch, T frames, H and W pixels, L label length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lipnet.config import AugmentConfig
from lipnet.cropping.landmarks import LANDMARK_INPUTS, MOUTH_POINTS, has_landmarks
from lipnet.data.crop_store import CropStore, StoredClip, check_landmarks
from lipnet.data.landmark_transforms import augment_landmarks
from lipnet.data.transforms import (
    SPLICE_UNITS,
    Excerpt,
    change_speed,
    frame_words,
    is_spliceable,
    join_units,
    resample_frames,
    silence_at_ends,
    single_word,
    splice_units,
    trim_silence,
    word_excerpt,
)
from lipnet.tokenizer import Tokenizer

NO_PIXELS = np.empty((0, 0, 0, 3), np.uint8)  # for networks that read landmarks only


class SampleKey(NamedTuple):
    """Which sample to make. Besides the seed, its random changes depend on nothing else."""

    clip: int  # index in the dataset
    epoch: int = 0
    trim: float = 0.0  # part of the silence at both ends to cut off
    word: int | None = None  # position of the only word to keep; None: the whole clip
    copy: int = 0  # numbers the occurrences of one clip in one epoch


class Batch(NamedTuple):
    """Clips padded to the length of the longest."""

    frames: Tensor  # (B, T, H, W, 3) uint8 RGB
    lengths: Tensor  # (B,) int64 on the CPU: valid (unpadded) frames
    targets: Tensor  # (sum of L,) int64 symbols of all clips, concatenated
    target_lengths: Tensor  # (B,) int64 symbols, on the CPU
    steps: Tensor  # (B,) int64 on the CPU: steps that CTC needs at least for each text
    words: Tensor  # (B, T) int64 word class of each frame, IGNORE if unknown
    names: list[str]
    sentences: list[str]
    landmarks: Tensor | None = None  # (B, T, 64) float32 features, NaN for clips without; None: not read
    mirrored: Tensor | None = None  # (B,) bool on the CPU: clips to mirror; None: none of them
    positions: Sequence[int] = ()  # of the clips in their dataset

    def to(self, device: torch.device, non_blocking: bool = False) -> Batch:
        """The batch with its frames and labels on ``device``.

        The lengths stay on the CPU, where the CTC loss and packed sequences read them.
        """
        return self._replace(
            frames=self.frames.to(device, non_blocking=non_blocking),
            targets=self.targets.to(device, non_blocking=non_blocking),
            words=self.words.to(device, non_blocking=non_blocking),
            landmarks=None
            if self.landmarks is None
            else self.landmarks.to(device, non_blocking=non_blocking),
        )


@dataclass(frozen=True)
class Sample:
    """One clip before collation: frame indices into ``array``, and their labels."""

    array: np.ndarray  # (frames, H, W, 3) uint8 RGB, memory-mapped
    indices: np.ndarray  # (T,) int64
    words: np.ndarray  # (T,) int64 word classes
    sentence: str
    targets: list[int]  # (L,) symbols
    name: str
    landmarks: np.ndarray | None = None  # (T, F) float32; NaN without landmarks
    mirror: bool = False  # whether the clip is to be mirrored
    position: int = 0  # in the dataset


class ClipDataset(Dataset[Sample]):
    """Clips of a crop store, augmented if ``augment`` is given (training).

    Clips of a second store may be mixed in; they follow those of the first.
    """

    def __init__(
        self,
        corpus: CropStore,
        clips: Sequence[StoredClip],
        tokenizer: Tokenizer,
        augment: AugmentConfig | None = None,
        seed: int = 0,
        mixed_in: tuple[CropStore, Sequence[StoredClip]] | None = None,
        streams: Sequence[str] = ("pixels",),
        landmark_input: str = "features",
    ) -> None:
        """``streams`` and ``landmark_input`` are those of the network's `ModelConfig`.

        Raises TokenizerError if a sentence has a character that the alphabet lacks, LipnetError if the
        network needs landmarks that clips do not have.
        """
        self.streams, self.landmark_input = tuple(streams), landmark_input
        self.corpus, self.clips, self.tokenizer = corpus, list(clips), tokenizer
        self.augment, self.seed = augment, seed
        self.main = len(self.clips)  # number of clips that are not mixed in
        self._mixed_corpus = corpus
        if mixed_in is not None:
            self._mixed_corpus = mixed_in[0]
            self.clips += mixed_in[1]
        self._words = [frame_words(clip) for clip in self.clips]
        self._donors: dict[tuple[bool, Path, str], list[int]] = {}  # clips to splice from, by `_source`
        for index, clip in enumerate(self.clips):
            tokenizer.encode(clip.sentence)
            if augment is not None and augment.splice and is_spliceable(clip):
                self._donors.setdefault(self._source(index), []).append(index)
        check_landmarks([(self._corpus(i), clip) for i, clip in enumerate(self.clips)], self.streams)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: SampleKey) -> Sample:
        clip = self.clips[key.clip]
        word = 0 if key.word is None else 1 + key.word
        rng = np.random.default_rng((self.seed, key.epoch, key.clip, word, key.copy))
        if self.augment is None:
            excerpt = self._whole_clip(key.clip)
        else:
            excerpt = self._augmented(key, self.augment, rng)
        targets = self.tokenizer.encode(excerpt.text)
        array = self._corpus(key.clip).array(clip) if "pixels" in self.streams else NO_PIXELS
        mirror = self.augment is not None and rng.random() < self.augment.flip
        landmarks = None
        if "landmarks" in self.streams:
            points, rest = self._mouth(key.clip, excerpt.indices)
            if self.augment is None or np.isnan(points).any():
                landmarks = LANDMARK_INPUTS[self.landmark_input].features(points, rest)
            else:
                landmarks = augment_landmarks(points, rest, mirror, self.augment, rng, self.landmark_input)
        return Sample(
            array,
            excerpt.indices,
            excerpt.words,
            excerpt.text,
            targets,
            clip.name,
            landmarks,
            mirror,
            key.clip,
        )

    def unalignable(self, steps_per_frame: int) -> list[StoredClip]:
        """The clips whose text needs more CTC steps than their frames have."""
        return [
            clip
            for clip in self.clips
            if ctc_steps(self.tokenizer.encode(clip.sentence)) > steps_per_frame * clip.frames
        ]

    def length_without_silence(self, index: int, part: float) -> float:
        """Frames of a clip without ``part`` of the silence at its ends."""
        return self.clips[index].frames - part * sum(silence_at_ends(self._words[index]))

    def _source(self, index: int) -> tuple[bool, Path, str]:
        """The array that a clip is in, which has one speaker; two stores may use one name for two people."""
        return index >= self.main, *self.clips[index].source

    def _whole_clip(self, index: int) -> Excerpt:
        clip = self.clips[index]
        return Excerpt(np.arange(clip.frames) + clip.start, self._words[index], clip.sentence)

    def _augmented(self, key: SampleKey, augment: AugmentConfig, rng: np.random.Generator) -> Excerpt:
        clip = self.clips[key.clip]
        if key.word is not None:
            excerpt = single_word(clip, self._words[key.clip], key.word)
        else:
            if augment.splice and is_spliceable(clip):
                excerpt = self._spliced(key.clip, augment.splice, rng)
            else:
                excerpt = self._whole_clip(key.clip)
                if augment.excerpt and rng.random() < augment.excerpt:
                    excerpt = word_excerpt(clip, excerpt, rng)
            excerpt = trim_silence(excerpt, key.trim, rng)
        excerpt = change_speed(excerpt, augment.speed, rng)
        return resample_frames(excerpt, augment.resample, augment.keep_length, rng)

    def _corpus(self, index: int) -> CropStore:
        return self.corpus if index < self.main else self._mixed_corpus

    def _mouth(self, index: int, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mouth points of frames of a speaker's arrays, which may be of several clips, and their rest.

        Two (T, 29, 2) float32, NaN where a clip has no landmarks; see `LandmarkInput`.
        """
        corpus = self._corpus(index)
        points = np.full((len(frames), len(MOUTH_POINTS), 2), np.nan, np.float32)
        rest = points.copy()
        for clip in self._clips_of(index, frames):
            is_inside = (frames >= clip.start) & (frames < clip.start + clip.frames)
            landmarks = corpus.landmarks(clip)
            if landmarks is not None and has_landmarks(landmarks):
                mouth = LANDMARK_INPUTS[self.landmark_input].points(landmarks)
                points[is_inside] = mouth[frames[is_inside] - clip.start]
                rest[is_inside] = np.median(mouth, axis=0)
        return points, rest

    def _clips_of(self, index: int, frames: np.ndarray) -> list[StoredClip]:
        """The clips that frames of an excerpt come from: the one at ``index``, or several spliced ones."""
        clip = self.clips[index]
        if clip.start <= frames.min() and frames.max() < clip.start + clip.frames:
            return [clip]
        donors = [self.clips[donor] for donor in self._donors[self._source(index)]]
        donors.sort(key=lambda donor: donor.start)
        positions = np.searchsorted([donor.start for donor in donors], np.unique(frames), side="right") - 1
        return [donors[position] for position in np.unique(positions)]

    def _spliced(self, index: int, probability: float, rng: np.random.Generator) -> Excerpt:
        """Each unit replaced with a probability by that of a random clip of the same speaker and array."""
        donors = self._donors[self._source(index)]
        units = splice_units(self.clips[index], self._words[index])
        for unit in range(1, 1 + len(SPLICE_UNITS)):
            if rng.random() < probability:
                donor = donors[rng.integers(len(donors))]
                units[unit] = splice_units(self.clips[donor], self._words[donor])[unit]
        return join_units(units)


def ctc_steps(symbols: Sequence[int]) -> int:
    """Steps that CTC needs at least for a text: one a symbol, and a blank between two equal neighbours."""
    return len(symbols) + sum(a == b for a, b in pairwise(symbols))
