"""The memory through which loader processes hand over batches; containers often have little of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import Tensor

from lipnet.data.dataset import Batch, ClipDataset
from lipnet.errors import TrainingError

SHARED_MEMORY = Path("/dev/shm")  # on Linux
REMEDY = "lower data.workers (0 needs none) or data.batch_size, or enlarge it, in Docker by --shm-size=2g"
PREFETCHED = 2  # batches of each loader process, the default of DataLoader
LENGTHENED = 1.25  # by duplicated frames and longer words of other clips, at most in general


def check_shared_memory(dataset: ClipDataset, batch_size: int, workers: int) -> None:
    """Raises TrainingError if the batches of ``workers`` loader processes may not fit into shared memory.

    Without this check a run could end hours after its start, at the first batches that do not fit.
    """
    if not workers or not SHARED_MEMORY.is_dir():
        return
    lengths = sorted((clip.frames for clip in dataset.clips), reverse=True)
    batches = PREFETCHED * workers + 2  # one in use, one on its way to the device
    frames = batch_size * sum(lengths[::batch_size][:batches])  # padded to the longest clip of each batch
    speed = 0.0 if dataset.augment is None else dataset.augment.speed
    needed = LENGTHENED * (1 + speed) * frames * dataset.corpus.crop.height * dataset.corpus.crop.width * 3
    free = shutil.disk_usage(SHARED_MEMORY).free
    if needed > free:
        raise TrainingError(
            f"{SHARED_MEMORY}: {free / 1e6:.0f} MB free, but the batches of {workers} loader processes need "
            f"up to {needed / 1e6:.0f} MB; {REMEDY}"
        )


def in_shared_memory(batch: Batch) -> Batch:
    """Move a batch to where the main process reads it.

    If this were left to the loader's queue, an error would be lost, and the main process would wait for the
    batch until the loader times out.
    """
    try:
        for value in batch:
            if isinstance(value, Tensor):
                value.share_memory_()
    except RuntimeError as error:
        raise TrainingError(f"{SHARED_MEMORY}: full; {REMEDY}") from error
    return batch
