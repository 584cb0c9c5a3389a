"""Cropping on one core: from a video file to the crops of its mouth, as preprocessing does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from lipnet.benchmark.inputs import Bench
from lipnet.benchmark.timing import Result, measure
from lipnet.cropping.crop_file import crop_file
from lipnet.cropping.cropper import Cropper, precise_landmarks
from lipnet.cropping.factory import make_cropper
from lipnet.video.decode import MAX_PIXELS, read_video

Landmarks = tuple[list[np.ndarray | None], list[np.ndarray | None]]  # of each frame: tracked, and not rounded


def crop(bench: Bench) -> Iterator[Result]:
    """Decoding, landmarks, and smoothing with warping; then all of it, as preprocessing does it."""
    videos, repeats = bench.videos, bench.sizes.repeats
    cropper = make_cropper(bench.config.crop)
    frames = [read_video(video) for video in videos]
    tracks = [find_landmarks(cropper, of_clip) for of_clip in frames]

    def decode() -> None:
        for video in videos:
            read_video(video)

    def locate() -> None:
        for of_clip in frames:
            find_landmarks(cropper, of_clip)

    def cut() -> None:
        for of_clip, (points, precise) in zip(frames, tracks, strict=True):
            track = cropper.build_track(points).with_measured(precise)
            cropper.crop(of_clip, track.to_crop)

    def everything() -> None:
        for video in videos:
            crop_file(video, bench.folder / "crops.u8", bench.config.crop, MAX_PIXELS)

    with one_core():
        yield Result.rate("crop", "decode", measure(decode, repeats), len(videos))
        yield Result.rate("crop", "landmarks", measure(locate, repeats), len(videos))
        yield Result.rate("crop", "smooth and warp", measure(cut, repeats), len(videos))
        yield Result.rate("crop", "video file to crops", measure(everything, repeats), len(videos))


def find_landmarks(cropper: Cropper, frames: np.ndarray) -> Landmarks:
    """The landmarks of each of the frames, (T, H, W, 3) uint8 RGB, of one video."""
    tracker = cropper.start()
    points, precise = [], []
    for frame in frames:
        points.append(tracker(frame))
        precise.append(precise_landmarks(tracker))
    return points, precise


@contextmanager
def one_core() -> Iterator[None]:
    """OpenCV with one thread, as in the worker processes of preprocessing."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
