"""From packed crops to batches; what changes in time is edited as index lists (pixels: ``augment.py``).

A sample is a list of frame indices into its speaker's memory map. Splicing, trimming, deleting and
duplicating frames only edit that list; the frames are gathered once, when the batch is put together.
Shapes: B batch, T frames, H and W pixels, L label length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from lipnet.config import AugmentConfig
from lipnet.data.crop_store import CropStore, StoredClip
from lipnet.data.transforms import (
    MIN_WORD_FRAMES,
    SPLICE_LEAD,
    SPLICE_UNITS,
    Excerpt,
    change_speed,
    frame_words,
    is_spliceable,
    join,
    resample_frames,
    silence_at_ends,
    trim_silence,
    with_own_leads,
    word_span,
)
from lipnet.tokenizer import Tokenizer


class SampleKey(NamedTuple):
    """What to make of one clip: all that its random changes depend on, besides the seed."""

    clip: int  # its place in the dataset
    epoch: int = 0
    trim: float = 0.0  # part of the silence at both ends to cut off
    single_word: bool = False
    copy: int = 0  # counts the appearances of one clip in one epoch


class Batch(NamedTuple):
    """Clips padded to the longest of them; lengths are true."""

    frames: Tensor  # (B, T, H, W, 3) uint8 RGB
    lengths: Tensor  # (B,) int64 frames
    targets: Tensor  # (sum of L,) int64 symbols of all clips, end to end
    target_lengths: Tensor  # (B,) int64 symbols
    words: Tensor  # (B, T) int64 word class of each frame, IGNORE where unknown
    names: list[str]
    sentences: list[str]


@dataclass(frozen=True)
class Sample:
    """One clip as a plan: which frames of ``array`` in which order, and what is said in them."""

    array: np.ndarray  # (frames, H, W, 3) uint8 RGB, memory-mapped
    indices: np.ndarray  # (T,) int64
    words: np.ndarray  # (T,) int64 word classes
    sentence: str
    targets: list[int]  # (L,) symbols
    name: str


class ClipDataset(Dataset[Sample]):
    """Clips of a packed corpus, changed by ``augment`` where it is given (training).

    ``mixed_in`` holds clips of a second corpus, which come after the first one's.
    """

    def __init__(
        self,
        corpus: CropStore,
        clips: Sequence[StoredClip],
        tokenizer: Tokenizer,
        augment: AugmentConfig | None = None,
        seed: int = 0,
        mixed_in: tuple[CropStore, Sequence[StoredClip]] | None = None,
    ) -> None:
        """Raises TokenizerError where a sentence has a character that the alphabet lacks."""
        self.corpus, self.clips, self.tokenizer = corpus, list(clips), tokenizer
        self.augment, self.seed = augment, seed
        self.main = len(self.clips)  # how many clips are not mixed in
        self._mixed_corpus = corpus
        if mixed_in is not None:
            self._mixed_corpus = mixed_in[0]
            self.clips += mixed_in[1]
        self._words = [frame_words(clip) for clip in self.clips]
        self._donors: dict[tuple[bool, str], list[int]] = {}
        for index, clip in enumerate(self.clips):
            tokenizer.encode(clip.sentence)
            if is_spliceable(clip):
                self._donors.setdefault(self._speaker(index), []).append(index)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: SampleKey) -> Sample:
        clip = self.clips[key.clip]
        rng = np.random.default_rng((self.seed, key.epoch, key.clip, key.single_word, key.copy))
        piece = Excerpt(np.arange(clip.frames) + clip.start, self._words[key.clip], clip.sentence)
        if self.augment is not None:
            piece = self._changed(piece, clip, key, self.augment, rng)
        targets = self.tokenizer.encode(piece.text)
        corpus = self.corpus if key.clip < self.main else self._mixed_corpus
        array = corpus.array(clip.speaker)
        return Sample(array, piece.indices, piece.words, piece.text, targets, clip.name)

    def _speaker(self, index: int) -> tuple[bool, str]:
        """Who speaks in a clip; two corpora may use one name for two people."""
        return index >= self.main, self.clips[index].speaker

    def length_without_silence(self, index: int, part: float) -> float:
        """Frames of a clip less ``part`` of the silence at its ends."""
        return self.clips[index].frames - part * sum(silence_at_ends(self._words[index]))

    def _changed(
        self,
        piece: Excerpt,
        clip: StoredClip,
        key: SampleKey,
        augment: AugmentConfig,
        rng: np.random.Generator,
    ) -> Excerpt:
        if key.single_word:
            piece = self._single_word(piece, clip, rng)
        else:
            if augment.splice and is_spliceable(clip):
                piece = self._spliced(key.clip, augment.splice, rng)
            piece = trim_silence(piece, key.trim, rng)
        return resample_frames(
            change_speed(piece, augment.speed, rng), augment.resample, augment.keep_length, rng
        )

    def _spliced(self, index: int, probability: float, rng: np.random.Generator) -> Excerpt:
        """Each unit with the given probability from a random clip of the same speaker."""
        donors = self._donors[self._speaker(index)]
        pieces = self._units(index)
        for unit in range(len(SPLICE_UNITS)):
            if rng.random() < probability:
                donor = donors[rng.integers(len(donors))]
                pieces[unit + 1] = self._units(donor)[unit + 1]
        return join(with_own_leads(pieces))

    def _units(self, index: int) -> list[Excerpt]:
        """A GRID clip in pieces: the silence before, the units of SPLICE_UNITS, the silence after."""
        clip = self.clips[index]
        spans = [word_span(word.start, word.end, clip.frames) for word in clip.words]
        starts = np.array([spans[unit[0]][0] for unit in SPLICE_UNITS])
        words_before = np.array([0, *(spans[unit[-1]][0] for unit in SPLICE_UNITS[:-1])])
        room = (starts - words_before) // 2  # a short word must not lose more than half of itself
        cuts = [0, *(starts - np.minimum(SPLICE_LEAD, room)), spans[-1][1], clip.frames]
        texts = ["", *(" ".join(clip.words[i].text for i in unit) for unit in SPLICE_UNITS), ""]
        words = self._words[index]
        return [
            Excerpt(np.arange(first, last) + clip.start, words[first:last], text)
            for first, last, text in zip(cuts[:-1], cuts[1:], texts, strict=True)
        ]

    def _single_word(self, piece: Excerpt, clip: StoredClip, rng: np.random.Generator) -> Excerpt:
        """One of the clip's words, if any is long enough."""
        spans = [(word.text, *word_span(word.start, word.end, clip.frames)) for word in clip.words]
        spans = [span for span in spans if span[2] - span[1] >= MIN_WORD_FRAMES]
        if not spans:
            return piece
        text, first, last = spans[rng.integers(len(spans))]
        return Excerpt(piece.indices[first:last], piece.words[first:last], text)
