"""Reading a split with one network: its emissions once, its texts by several decoders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from lipnet.data.dataset import Batch
from lipnet.decoding.base import Decoder
from lipnet.decoding.factory import DecoderOptions
from lipnet.inference.emissions import Backend, Emissions
from lipnet.training.evaluation import Emitted, Evaluation, read_clips

NO_FRAMES = torch.empty(0, dtype=torch.uint8)  # in place of those of a batch that was read


def emissions_of(network: Backend) -> Callable[[Batch], list[Emitted]]:
    """A network, whatever library computes it, as `read_clips` needs it."""

    def emissions(batch: Batch) -> list[Emitted]:
        clips = [frames[:n].numpy() for frames, n in zip(batch.frames, batch.lengths, strict=True)]
        landmarks: list[np.ndarray | None] = [None] * len(clips)
        if batch.landmarks is not None:
            landmarks = [
                of_clip[:n].numpy() for of_clip, n in zip(batch.landmarks, batch.lengths, strict=True)
            ]
        return [Emitted(log_probs, words) for log_probs, words, _ in network(clips, landmarks)]

    return emissions


@dataclass
class SplitEmissions:
    """The emissions of all clips of a split, in the batches that they were computed in."""

    batches: list[tuple[Batch, list[Emitted]]]  # without frames and landmarks
    steps_per_frame: int

    @classmethod
    def of(cls, network: Backend, batches: Iterable[Batch]) -> SplitEmissions:
        """Read all batches."""
        compute = emissions_of(network)
        read = [(batch._replace(frames=NO_FRAMES, landmarks=None), compute(batch)) for batch in batches]
        return cls(read, network.metadata.model.outputs_per_frame)

    def decoded(self, decoder: Decoder, workers: int = 0) -> Evaluation:
        """The texts and errors of all clips, in the order of the split; ``workers`` as of `read_clips`."""
        emitted = iter([clips for _, clips in self.batches])
        return read_clips((batch for batch, _ in self.batches), lambda _: next(emitted), decoder, workers)

    def by_name(self) -> dict[str, Emissions]:
        """The emissions of each clip."""
        return {
            name: Emissions(clip.log_probs, clip.words, self.steps_per_frame)
            for batch, clips in self.batches
            for name, clip in zip(batch.names, clips, strict=True)
        }


@dataclass
class Reading:
    """What one network reads in the clips of a split."""

    name: str  # of the weights
    network: Backend
    emissions: dict[str, Emissions]  # of each clip, by its name
    evaluations: dict[str, Evaluation]  # by decoder; the first one is the one that the report is about
    files: DecoderOptions  # of that decoder

    def options(self, n_best: int) -> DecoderOptions:
        """The options of that decoder for several hypotheses a clip."""
        return replace(self.files, n_best=n_best)

    @property
    def decoder(self) -> str:
        """The decoder that the report is about."""
        return next(iter(self.evaluations))

    @property
    def main(self) -> Evaluation:
        """The evaluation by that decoder."""
        return self.evaluations[self.decoder]


def texts_of(evaluation: Evaluation) -> list[str]:
    """The predicted text of each clip."""
    return [prediction.text for prediction in evaluation.predictions]


def speakers_of(names: Sequence[str]) -> list[str]:
    """The speaker of each clip, by its name, SPEAKER/ID."""
    return [name.rpartition("/")[0] for name in names]
