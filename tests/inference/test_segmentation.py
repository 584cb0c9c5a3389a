"""Utterance segmentation, and where speech is cut."""

from __future__ import annotations

import numpy as np
import pytest

from lipnet.inference.emissions import Emissions
from lipnet.inference.segmentation import MIN_PAUSE, MIN_SPEECH, best_cut, find_utterances, is_speech
from lipnet.tokenizer import BLANK


def test_utterances_by_hand() -> None:
    speech = np.zeros(120, dtype=bool)
    speech[10:30] = speech[30 + MIN_PAUSE - 1 : 50] = True  # too short a pause
    speech[50 + MIN_PAUSE : 50 + MIN_PAUSE + MIN_SPEECH] = True
    speech[100 : 100 + MIN_SPEECH - 1] = True  # too short to be speech
    assert find_utterances(speech) == [(10, 50), (50 + MIN_PAUSE, 50 + MIN_PAUSE + MIN_SPEECH)]
    assert find_utterances(np.zeros(5, dtype=bool)) == [] and find_utterances(np.ones(9, dtype=bool)) == [
        (0, 9)
    ]
    assert find_utterances(np.ones(0, dtype=bool)) == []


def test_speech_without_word_heads_is_what_is_near_to_characters() -> None:
    log_probs = np.full((200, 28), -9.0, np.float32)  # 100 frames of two steps
    log_probs[:, BLANK] = -0.01
    log_probs[101, BLANK], log_probs[101, 3] = -5, -0.01
    speech = is_speech(Emissions(log_probs, None, 2))
    assert np.flatnonzero(speech).tolist() == list(range(50 - 8, 50 + 9))


def test_a_cut_goes_between_words_or_through_blanks() -> None:
    words = np.full((60, 52), 1e-4)
    words[:33, 7], words[33:, 9] = 1, 1
    emissions = Emissions(np.zeros((60, 28), np.float32), np.log(words / words.sum(1, keepdims=True)), 1)
    assert best_cut(emissions, 20, 50) == 33
    log_probs = np.full((60, 28), -1.0, np.float32)
    log_probs[38:43, BLANK] = -0.01
    assert best_cut(Emissions(log_probs, None, 1), 20, 50) == 40


@pytest.mark.parametrize("frames", [1, 5, 16, 17])
def test_speech_of_short_clips_without_word_heads(frames: int) -> None:
    log_probs = np.zeros((2 * frames, 28), np.float32)
    log_probs[:, BLANK] = -5
    assert is_speech(Emissions(log_probs, None, 2)).tolist() == [True] * frames
