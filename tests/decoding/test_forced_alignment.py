"""Forced alignment, by hand."""

from __future__ import annotations

import numpy as np

from lipnet.decoding.forced_alignment import align_spans


def test_spans_of_labels_by_hand() -> None:
    best = [0, 1, 1, 0, 0, 2, 3, 3, 0, 3]
    log_probs = np.log(np.eye(4)[best] * 0.9 + 0.025)
    assert align_spans(log_probs, [1, 2, 3, 3]) == [(1, 2), (5, 5), (6, 7), (9, 9)]
