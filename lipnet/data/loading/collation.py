"""How samples become a padded batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lipnet.data.dataset import Batch, Sample, ctc_steps
from lipnet.data.loading.shared_memory import Empty
from lipnet.data.transforms import IGNORE


def collate(samples: Sequence[Sample], empty: Empty = np.empty) -> Batch:
    """Copy the frames of a batch out of the memory maps, padded at the end with zeros.

    Args:
        empty: makes the arrays of the batch, such as in page-locked memory.
    """
    lengths = [len(sample.indices) for sample in samples]
    shape = (len(samples), max(lengths))
    frames = empty((*shape, *samples[0].array.shape[1:]), np.uint8)
    words = empty(shape, np.int64)
    landmarks = None
    if samples[0].landmarks is not None:
        landmarks = empty((*shape, samples[0].landmarks.shape[1]), np.float32)
    for i, (sample, length) in enumerate(zip(samples, lengths, strict=True)):
        if sample.array.size:
            np.take(sample.array, sample.indices, axis=0, out=frames[i, :length], mode="clip")
        frames[i, length:] = 0
        words[i, :length], words[i, length:] = sample.words, IGNORE
        if landmarks is not None:
            landmarks[i, :length], landmarks[i, length:] = sample.landmarks, 0

    def tensor(values: Sequence[int | bool], dtype: type) -> torch.Tensor:
        array = empty((len(values),), dtype)
        array[:] = values
        return torch.from_numpy(array)

    return Batch(
        torch.from_numpy(frames),
        tensor(lengths, np.int64),
        tensor([symbol for sample in samples for symbol in sample.targets], np.int64),
        tensor([len(sample.targets) for sample in samples], np.int64),
        tensor([ctc_steps(sample.targets) for sample in samples], np.int64),
        torch.from_numpy(words),
        [sample.name for sample in samples],
        [sample.sentence for sample in samples],
        None if landmarks is None else torch.from_numpy(landmarks),
        tensor([sample.mirror for sample in samples], np.bool_),
        [sample.position for sample in samples],
    )
