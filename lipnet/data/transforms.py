"""Changes to the pixels of whole clips, as batched tensor operations on the batch's own device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from lipnet.config import LUMA, AugmentConfig
from lipnet.data.crop_store import StoredClip
from lipnet.grid import WORD_CLASS, is_grid_sentence


def augment_pixels(frames: Tensor, config: AugmentConfig) -> Tensor:
    """Mirror, turn, resize and shift each clip, turn some grey, then change brightness and contrast.

    ``frames`` are (B, T, H, W, 3) uint8 RGB on any device, and so is the result; torch's CPU generator
    draws the changes. What a shift uncovers repeats the border. A clip's changes do not depend on its
    length or on the padding after it.
    """
    draws = 2 * torch.rand(8, len(frames)) - 1  # -1 ... 1
    frames = _warped(frames, _transforms(draws[:5], config))
    greyed = (draws[7] + 1) / 2 < config.grey
    if greyed.any():
        frames = frames.clone()
        luma = frames[greyed].float() @ torch.tensor(LUMA, device=frames.device)  # (N, T, H, W)
        frames[greyed] = luma.round().to(torch.uint8)[..., None]
    if config.brightness or config.contrast:
        offset, factor = draws[5:7, :, None, None, None, None].to(frames.device)
        x = frames.float()
        grey = x[:, :1].mean((1, 2, 3, 4), keepdim=True)  # of the first frame, which is never padding
        x = (x - grey) * (1 + config.contrast * factor) + grey + 255 * config.brightness * offset
        frames = x.round().clamp(0, 255).to(torch.uint8)
    return frames


def _transforms(draws: Tensor, config: AugmentConfig) -> Tensor:
    """(5, B) numbers in -1 ... 1 -> (B, 2, 3) from a pixel's place after the change to its place before.

    Places are in pixels from the centre of the image, x and then y.
    """
    mirror = torch.where((draws[0] + 1) / 2 < config.flip, -1.0, 1.0)
    shift = (draws[1:3] * config.shift).round()
    size = 1 + draws[3] * config.scale
    angle = draws[4] * math.radians(config.rotation)
    cos, sin = angle.cos() / size, angle.sin() / size
    linear = torch.stack([torch.stack([mirror * cos, mirror * sin]), torch.stack([-sin, cos])])  # (2, 2, B)
    moved = -(linear * shift).sum(1)
    return torch.cat([linear, moved[:, None]], dim=1).movedim(-1, 0)


def _warped(frames: Tensor, transforms: Tensor) -> Tensor:
    """Each clip under its own (2, 3) transform, bilinear, as (B, T, H, W, 3) uint8."""
    unchanged = torch.eye(2, 3).expand_as(transforms)
    if torch.equal(transforms, unchanged):
        return frames
    batch, time, height, width, _ = frames.shape
    half = torch.tensor([width, height]) / 2
    scaled = transforms * torch.cat([half, torch.ones(1)])  # grid_sample's places go from -1 to 1
    grid = F.affine_grid(scaled / half[:, None], [batch, 1, height, width], align_corners=False)
    # Frames are channels of one image, so that a clip's grid is made and read once.
    images = frames.permute(0, 1, 4, 2, 3).flatten(1, 2).float()  # (B, T * 3, H, W)
    images = F.grid_sample(images, grid.to(frames.device), padding_mode="border", align_corners=False)
    return images.round().to(torch.uint8).unflatten(1, (time, 3)).permute(0, 1, 3, 4, 2).contiguous()


IGNORE = -100  # word class of a frame of which no word is known: left out of the cross-entropy


# What is spliced together, by slot. The preposition and the letter are one unit: both are so short (1 to
# 6 frames) that a cut between them damages them.
SPLICE_UNITS = ((0,), (1,), (2, 3), (4,), (5,))


SPLICE_LEAD = 2  # frames by which cuts come before a word's sound, as its first mouth shape does


MIN_WORD_FRAMES = 3  # of a single-word clip, as in the paper


class Excerpt(NamedTuple):
    """A stretch of frames while it is being edited."""

    indices: np.ndarray  # (T,) int64
    words: np.ndarray  # (T,) int64 word classes
    text: str


def with_own_leads(pieces: list[Excerpt]) -> list[Excerpt]:
    """Name the word before a unit in the frames that lead into it, in place of its donor's word there."""
    labelled = pieces[:1]
    for piece in pieces[1:]:
        first = WORD_CLASS[piece.text.split()[0]] if piece.text else 0
        lead = np.arange(len(piece.words)) < np.flatnonzero(piece.words == first)[:1].sum()
        before = WORD_CLASS[labelled[-1].text.split()[-1]] if labelled[-1].text else 0
        words = np.where(lead & (piece.words != 0), before, piece.words)
        labelled.append(piece._replace(words=words))
    return labelled


def join(pieces: Sequence[Excerpt]) -> Excerpt:
    return Excerpt(
        np.concatenate([piece.indices for piece in pieces]),
        np.concatenate([piece.words for piece in pieces]),
        " ".join(piece.text for piece in pieces if piece.text),
    )


def trim_silence(piece: Excerpt, part: float, rng: np.random.Generator) -> Excerpt:
    """Cut up to ``part`` of the silence off both ends; the exact place varies by a few frames."""
    before, after = silence_at_ends(piece.words)
    first = min(round(before * part * rng.uniform(0.85, 1)), before)
    last = len(piece.words) - min(round(after * part * rng.uniform(0.85, 1)), after)
    return Excerpt(piece.indices[first:last], piece.words[first:last], piece.text)


def silence_at_ends(words: np.ndarray) -> tuple[int, int]:
    """Frames of silence at both ends of (T,) word classes; none in a clip without speech or timings."""
    spoken = np.flatnonzero(words)  # IGNORE is speech too, of a word that has no class
    return (int(spoken[0]), len(words) - 1 - int(spoken[-1])) if len(spoken) else (0, 0)


def change_speed(piece: Excerpt, most: float, rng: np.random.Generator) -> Excerpt:
    """Make the piece longer or shorter by up to ``most`` of its length, evenly."""
    if not most:
        return piece
    frames = len(piece.indices)
    length = max(round(frames * (1 + rng.uniform(-most, most))), 1)
    kept = (np.arange(length) + 0.5) * frames // length
    kept = kept.astype(np.int64)
    return Excerpt(piece.indices[kept], piece.words[kept], piece.text)


def resample_frames(
    piece: Excerpt, probability: float, keep_length: bool, rng: np.random.Generator
) -> Excerpt:
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
    return Excerpt(np.repeat(piece.indices, repeats), np.repeat(piece.words, repeats), piece.text)


def is_spliceable(clip: StoredClip) -> bool:
    """Whether a clip says a GRID sentence whose words are known, and all inside it."""
    return is_grid_sentence([word.text for word in clip.words]) and clip.words[-1].end < clip.frames + 1


def word_span(start: float, end: float, frames: int) -> tuple[int, int]:
    """First and last + 1 whole frame of a word; at least one frame, inside the clip."""
    first = min(round(start), frames - 1)
    return first, min(max(round(end), first + 1), frames)


def frame_words(clip: StoredClip) -> np.ndarray:
    """(T,) int64: the word class of each frame; all IGNORE where the clip has no timings."""
    words = np.full(clip.frames, 0 if clip.words else IGNORE, np.int64)
    for word in clip.words:
        first, last = word_span(word.start, word.end, clip.frames)
        words[first:last] = WORD_CLASS.get(word.text, IGNORE)
    return words
