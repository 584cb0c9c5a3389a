"""What the benchmark works on: synthetic speakers, their crops, and a corpus of full size made of these."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from lipnet.benchmark.corpus import GRID_CLIPS, SPEAKERS, repeated, write_speakers
from lipnet.benchmark.timing import matmul_peak
from lipnet.config import Config, CropConfig, ModelConfig
from lipnet.cropping.cropper import Crops
from lipnet.cropping.factory import make_cropper
from lipnet.data.crop_store import CropStore
from lipnet.data.dataset import ClipDataset
from lipnet.device import Device
from lipnet.models.flops import count_flops
from lipnet.synthetic.corpus import ClipJob, plan_corpus, write_corpus
from lipnet.tokenizer import Tokenizer
from lipnet.video.decode import iter_frames, read_video
from lipnet.video.encode import write_video

SEED = 27  # of the synthetic speakers
HD = (1920, 1080)  # px
PEAK_REPEATS = 4  # times those of other measurements: the fastest counts, and one takes milliseconds


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    repeats: int = 5  # of each measurement, after one that warms up
    videos: int = 3  # synthetic clips that are cropped, and read one after the other by prediction
    corpus: int = GRID_CLIPS  # clips of the corpus
    gathered: int = 256  # clips in each repeat of gathering and loading
    batches: int = 2  # in each repeat of augmentation, forward passes and steps
    read: int = 16  # clips in each repeat of evaluation and decoding
    matrix: int = 1024  # rows of the matrices whose product is the device's peak


GPU_SIZES = Sizes(gathered=2048, batches=8, read=512, matrix=8192)


@dataclass
class Bench:
    """The inputs of all parts, each made when it is first used."""

    config: Config  # the recipe whose training is measured
    device: Device
    folder: Path  # for temporary files
    weights: Path  # of the network that reads: evaluation, decoding, prediction
    batch_sizes: list[int]  # clips
    sizes: Sizes = field(default_factory=Sizes)
    _corpora: dict[str, Path] = field(default_factory=dict)  # by their crop settings

    @cached_property
    def peak(self) -> float:
        """Floating-point operations a second of the device's matrix product."""
        return matmul_peak(self.device, self.sizes.matrix, PEAK_REPEATS * self.sizes.repeats)

    @cached_property
    def clip_flops(self) -> int:
        """Floating-point operations of the recipe's network that reads one clip of CLIP_FRAMES frames."""
        return count_flops(self.config.model)

    @cached_property
    def jobs(self) -> list[ClipJob]:
        """One synthetic clip of each of several speakers, as videos of 360x288 px."""
        jobs = plan_corpus(self.folder / "videos", self.sizes.videos, 1, SEED)
        write_corpus(jobs)
        return jobs

    @cached_property
    def videos(self) -> list[Path]:
        return [job.video for job in self.jobs]

    @cached_property
    def sentences(self) -> Path:
        """All synthetic clips one after the other in one video."""
        path = self.folder / "sentences.mp4"
        frames = [frame for video in self.videos for frame in iter_frames(video)]
        write_video(path, frames, frames[0].shape[1], frames[0].shape[0])
        return path

    @cached_property
    def hd(self) -> Path:
        """The same in 1080p, with grey margins on the left and on the right."""
        path = self.folder / "sentences_hd.mp4"
        write_video(path, map(_enlarge, iter_frames(self.sentences)), *HD)
        return path

    def crops(self, crop: CropConfig) -> list[tuple[ClipJob, Crops]]:
        """The synthetic clips' mouth crops."""
        cropper = make_cropper(crop)
        return [(job, cropper(read_video(job.video), str(job.video))) for job in self.jobs]

    def corpus(self, crop: CropConfig) -> CropStore:
        """A corpus of ``sizes.corpus`` clips; each setting's is made once."""
        root = self._corpora.setdefault(repr(crop), self.folder / f"corpus{len(self._corpora)}")
        if not root.exists():
            write_speakers(root, self.crops(crop), min(SPEAKERS, self.sizes.corpus), crop)
        return repeated(CropStore(root), self.sizes.corpus)

    @cached_property
    def train_set(self) -> ClipDataset:
        """The corpus as training data of the recipe."""
        config = self.config
        store = self.corpus(config.crop)
        streams, kind = config.model.streams, config.model.landmark_input
        tokenizer, seed = Tokenizer(config.model.alphabet), config.run.seed
        return ClipDataset(
            store, list(store.clips.values()), tokenizer, config.augment, seed, None, streams, kind
        )

    def read_set(self, model: ModelConfig, crop: CropConfig) -> ClipDataset:
        """The first ``sizes.read`` clips of the corpus, for a network that is evaluated."""
        store = self.corpus(crop)
        clips = list(store.clips.values())[: self.sizes.read]
        streams, kind = model.streams, model.landmark_input
        return ClipDataset(store, clips, Tokenizer(model.alphabet), None, 0, None, streams, kind)


def _enlarge(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> the size HD."""
    width, height = HD
    scaled = round(frame.shape[1] * height / frame.shape[0])
    left = (width - scaled) // 2
    picture = np.full((height, width, 3), 128, np.uint8)
    picture[:, left : left + scaled] = cv2.resize(frame, (scaled, height), interpolation=cv2.INTER_CUBIC)
    return picture
