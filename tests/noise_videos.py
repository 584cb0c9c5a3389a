"""Videos of noise, without faces, and the settings that crop them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lipnet.video.encode import write_video

FIXED = ("--workers", 1, "crop.method=fixed", "crop.box=[10,26,8,32]", "crop.width=24", "crop.height=16")


def noise(seed: int) -> Iterator[np.ndarray]:
    yield from np.random.default_rng(seed).integers(0, 256, (5, 288, 360, 3), dtype=np.uint8)


def write_noise_videos(root: Path) -> Path:
    """Three videos of s1 and one of s2 below ``root``, which is returned."""
    for seed, name in enumerate(("s1/bbaf2n", "s1/lgbm5p", "s1/prwazs", "s2/swiq9a")):
        path = root / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_video(path, noise(seed), 360, 288)
    return root
