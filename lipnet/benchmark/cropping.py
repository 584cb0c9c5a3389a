"""Cropping on one core: from a video file to the crops of its mouth, as preprocessing does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from lipnet.benchmark.inputs import Bench
from lipnet.benchmark.timing import Result, measure
from lipnet.cropping.crop_file import crop_file
from lipnet.cropping.factory import make_cropper
from lipnet.video.decode import MAX_PIXELS, read_video


def crop(bench: Bench) -> Iterator[Result]:
    """Decoding, the face's track, and warping by themselves; then all of it, as preprocessing does it."""
    videos, repeats = bench.videos, bench.sizes.repeats
    cropper = make_cropper(bench.config.crop)
    frames = [read_video(video) for video in videos]
    tracks = [cropper.track(of_clip) for of_clip in frames]

    def decode() -> None:
        for video in videos:
            read_video(video)

    def track() -> None:
        for of_clip in frames:
            cropper.track(of_clip)

    def warp() -> None:
        for of_clip, tracked in zip(frames, tracks, strict=True):
            cropper.crop(of_clip, tracked.to_crop)

    def everything() -> None:
        for video in videos:
            crop_file(video, bench.folder / "crops.u8", bench.config.crop, MAX_PIXELS)

    with one_core():
        yield Result.rate("crop", "decode", measure(decode, repeats), len(videos))
        yield Result.rate("crop", "landmarks, smoothed", measure(track, repeats), len(videos))
        yield Result.rate("crop", "warp", measure(warp, repeats), len(videos))
        yield Result.rate("crop", "video file to crops", measure(everything, repeats), len(videos))


@contextmanager
def one_core() -> Iterator[None]:
    """OpenCV with one thread, as in the worker processes of preprocessing."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
