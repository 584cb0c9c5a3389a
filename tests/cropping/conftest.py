"""A short clip that the tests of croppers share."""

from __future__ import annotations

import numpy as np
import pytest

from lipnet.synthetic.corpus import render_frames


@pytest.fixture(scope="session")
def clip() -> np.ndarray:
    """Half a second of a synthetic speaker, (12, 288, 360, 3)."""
    return np.stack(list(render_frames(seed=0, speaker=1, clip_id="bbaf2n")))[10:22]
