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
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lipnet.config import AugmentConfig
from lipnet.data.crop_store import PackedClip, PackedCorpus
from lipnet.grid import WORD_CLASS, is_grid_sentence
from lipnet.tokenizer import Alphabet

IGNORE = -100  # word class of a frame of which no word is known: left out of the cross-entropy
# What is spliced together, by slot. The preposition and the letter are one unit: both are so short (1 to
# 6 frames) that a cut between them damages them.
SPLICE_UNITS = ((0,), (1,), (2, 3), (4,), (5,))
SPLICE_LEAD = 2  # frames by which cuts come before a word's sound, as its first mouth shape does
MIN_WORD_FRAMES = 3  # of a single-word clip, as in the paper


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
        corpus: PackedCorpus,
        clips: Sequence[PackedClip],
        alphabet: Alphabet,
        augment: AugmentConfig | None = None,
        seed: int = 0,
        mixed_in: tuple[PackedCorpus, Sequence[PackedClip]] | None = None,
    ) -> None:
        """Raises TextError where a sentence has a character that the alphabet lacks."""
        self.corpus, self.clips, self.alphabet = corpus, list(clips), alphabet
        self.augment, self.seed = augment, seed
        self.main = len(self.clips)  # how many clips are not mixed in
        self._mixed_corpus = corpus
        if mixed_in is not None:
            self._mixed_corpus = mixed_in[0]
            self.clips += mixed_in[1]
        self._words = [_frame_words(clip) for clip in self.clips]
        self._donors: dict[tuple[bool, str], list[int]] = {}
        for index, clip in enumerate(self.clips):
            alphabet.encode(clip.sentence)
            if _is_spliceable(clip):
                self._donors.setdefault(self._speaker(index), []).append(index)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: SampleKey) -> Sample:
        clip = self.clips[key.clip]
        rng = np.random.default_rng((self.seed, key.epoch, key.clip, key.single_word, key.copy))
        piece = _Piece(np.arange(clip.frames) + clip.start, self._words[key.clip], clip.sentence)
        if self.augment is not None:
            piece = self._changed(piece, clip, key, self.augment, rng)
        targets = self.alphabet.encode(piece.text)
        corpus = self.corpus if key.clip < self.main else self._mixed_corpus
        array = corpus.array(clip.speaker)
        return Sample(array, piece.indices, piece.words, piece.text, targets, clip.name)

    def _speaker(self, index: int) -> tuple[bool, str]:
        """Who speaks in a clip; two corpora may use one name for two people."""
        return index >= self.main, self.clips[index].speaker

    def length_without_silence(self, index: int, part: float) -> float:
        """Frames of a clip less ``part`` of the silence at its ends."""
        return self.clips[index].frames - part * sum(_silence(self._words[index]))

    def _changed(
        self,
        piece: _Piece,
        clip: PackedClip,
        key: SampleKey,
        augment: AugmentConfig,
        rng: np.random.Generator,
    ) -> _Piece:
        if key.single_word:
            piece = self._single_word(piece, clip, rng)
        else:
            if augment.splice and _is_spliceable(clip):
                piece = self._spliced(key.clip, augment.splice, rng)
            piece = _trimmed(piece, key.trim, rng)
        return _resampled(_sped(piece, augment.speed, rng), augment.resample, augment.keep_length, rng)

    def _spliced(self, index: int, probability: float, rng: np.random.Generator) -> _Piece:
        """Each unit with the given probability from a random clip of the same speaker."""
        donors = self._donors[self._speaker(index)]
        pieces = self._units(index)
        for unit in range(len(SPLICE_UNITS)):
            if rng.random() < probability:
                donor = donors[rng.integers(len(donors))]
                pieces[unit + 1] = self._units(donor)[unit + 1]
        return _joined(_with_own_leads(pieces))

    def _units(self, index: int) -> list[_Piece]:
        """A GRID clip in pieces: the silence before, the units of SPLICE_UNITS, the silence after."""
        clip = self.clips[index]
        spans = [_span(word.start, word.end, clip.frames) for word in clip.words]
        starts = np.array([spans[unit[0]][0] for unit in SPLICE_UNITS])
        words_before = np.array([0, *(spans[unit[-1]][0] for unit in SPLICE_UNITS[:-1])])
        room = (starts - words_before) // 2  # a short word must not lose more than half of itself
        cuts = [0, *(starts - np.minimum(SPLICE_LEAD, room)), spans[-1][1], clip.frames]
        texts = ["", *(" ".join(clip.words[i].text for i in unit) for unit in SPLICE_UNITS), ""]
        words = self._words[index]
        return [
            _Piece(np.arange(first, last) + clip.start, words[first:last], text)
            for first, last, text in zip(cuts[:-1], cuts[1:], texts, strict=True)
        ]

    def _single_word(self, piece: _Piece, clip: PackedClip, rng: np.random.Generator) -> _Piece:
        """One of the clip's words, if any is long enough."""
        spans = [(word.text, *_span(word.start, word.end, clip.frames)) for word in clip.words]
        spans = [span for span in spans if span[2] - span[1] >= MIN_WORD_FRAMES]
        if not spans:
            return piece
        text, first, last = spans[rng.integers(len(spans))]
        return _Piece(piece.indices[first:last], piece.words[first:last], text)


class _Piece(NamedTuple):
    """A stretch of frames while it is being edited."""

    indices: np.ndarray  # (T,) int64
    words: np.ndarray  # (T,) int64 word classes
    text: str


def _with_own_leads(pieces: list[_Piece]) -> list[_Piece]:
    """Name the word before a unit in the frames that lead into it, in place of its donor's word there."""
    labelled = pieces[:1]
    for piece in pieces[1:]:
        first = WORD_CLASS[piece.text.split()[0]] if piece.text else 0
        lead = np.arange(len(piece.words)) < np.flatnonzero(piece.words == first)[:1].sum()
        before = WORD_CLASS[labelled[-1].text.split()[-1]] if labelled[-1].text else 0
        words = np.where(lead & (piece.words != 0), before, piece.words)
        labelled.append(piece._replace(words=words))
    return labelled


def _joined(pieces: Sequence[_Piece]) -> _Piece:
    return _Piece(
        np.concatenate([piece.indices for piece in pieces]),
        np.concatenate([piece.words for piece in pieces]),
        " ".join(piece.text for piece in pieces if piece.text),
    )


def _trimmed(piece: _Piece, part: float, rng: np.random.Generator) -> _Piece:
    """Cut up to ``part`` of the silence off both ends; the exact place varies by a few frames."""
    before, after = _silence(piece.words)
    first = min(round(before * part * rng.uniform(0.85, 1)), before)
    last = len(piece.words) - min(round(after * part * rng.uniform(0.85, 1)), after)
    return _Piece(piece.indices[first:last], piece.words[first:last], piece.text)


def _silence(words: np.ndarray) -> tuple[int, int]:
    """Frames of silence at both ends of (T,) word classes; none in a clip without speech or timings."""
    spoken = np.flatnonzero(words)  # IGNORE is speech too, of a word that has no class
    return (int(spoken[0]), len(words) - 1 - int(spoken[-1])) if len(spoken) else (0, 0)


def _sped(piece: _Piece, most: float, rng: np.random.Generator) -> _Piece:
    """Make the piece longer or shorter by up to ``most`` of its length, evenly."""
    if not most:
        return piece
    frames = len(piece.indices)
    length = max(round(frames * (1 + rng.uniform(-most, most))), 1)
    kept = (np.arange(length) + 0.5) * frames // length
    kept = kept.astype(np.int64)
    return _Piece(piece.indices[kept], piece.words[kept], piece.text)


def _resampled(piece: _Piece, probability: float, keep_length: bool, rng: np.random.Generator) -> _Piece:
    """Delete each frame and duplicate each frame, both with ``probability``; or as many of each."""
    frames = len(piece.indices)
    if keep_length:
        pairs = min(rng.binomial(frames, probability), frames // 2)
        repeats = np.repeat([0, 2, 1], [pairs, pairs, frames - 2 * pairs])[rng.permutation(frames)]
    else:
        chance = rng.random(frames)
        repeats = np.where(chance < probability, 0, np.where(chance > 1 - probability, 2, 1))
    if not repeats.any():
        return piece
    return _Piece(np.repeat(piece.indices, repeats), np.repeat(piece.words, repeats), piece.text)


def _is_spliceable(clip: PackedClip) -> bool:
    """Whether a clip says a GRID sentence whose words are known, and all inside it."""
    return is_grid_sentence([word.text for word in clip.words]) and clip.words[-1].end < clip.frames + 1


def _span(start: float, end: float, frames: int) -> tuple[int, int]:
    """First and last + 1 whole frame of a word; at least one frame, inside the clip."""
    first = min(round(start), frames - 1)
    return first, min(max(round(end), first + 1), frames)


def _frame_words(clip: PackedClip) -> np.ndarray:
    """(T,) int64: the word class of each frame; all IGNORE where the clip has no timings."""
    words = np.full(clip.frames, 0 if clip.words else IGNORE, np.int64)
    for word in clip.words:
        first, last = _span(word.start, word.end, clip.frames)
        words[first:last] = WORD_CLASS.get(word.text, IGNORE)
    return words


def collate(samples: Sequence[Sample]) -> Batch:
    """Gather the frames of a batch out of the memory maps, padded at the end with zeros."""
    lengths = [len(sample.indices) for sample in samples]
    frames = np.zeros((len(samples), max(lengths), *samples[0].array.shape[1:]), np.uint8)
    words = np.full(frames.shape[:2], IGNORE, np.int64)
    for i, sample in enumerate(samples):
        np.take(sample.array, sample.indices, axis=0, out=frames[i, : lengths[i]], mode="clip")
        words[i, : lengths[i]] = sample.words
    return Batch(
        torch.from_numpy(frames),
        torch.tensor(lengths),
        torch.tensor([symbol for sample in samples for symbol in sample.targets], dtype=torch.int64),
        torch.tensor([len(sample.targets) for sample in samples]),
        torch.from_numpy(words),
        [sample.name for sample in samples],
        [sample.sentence for sample in samples],
    )


def eval_loader(
    dataset: ClipDataset, batch_size: int, workers: int = 0, pin: bool = False
) -> DataLoader[Sample]:
    """Unchanged clips in the dataset's order."""
    keys = [SampleKey(index) for index in range(len(dataset))]
    return DataLoader(
        dataset,
        sampler=keys,
        batch_size=batch_size,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
    )
