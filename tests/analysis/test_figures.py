"""Figures of unusual numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from lipnet.analysis import figures


def test_a_posteriorgram_without_a_probable_symbol() -> None:
    uniform = np.full((1, 28), -np.log(28.0))
    svg = figures.posteriorgram(uniform, ["-", *"abcdefghijklmnopqrstuvwxyz "], 25.0, "a<b")
    assert svg.startswith("<svg") and "currentColor" in svg


def test_a_strip_of_few_crops() -> None:
    crops = np.zeros((2, 4, 6, 3), np.uint8)
    assert figures.crop_strip(crops).startswith("data:image/png;base64,")
    assert figures.saliency_strip(crops, np.ones((2, 4, 6))).startswith("data:image/png;base64,")
