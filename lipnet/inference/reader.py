"""A video file in, what was said in it out: the very cropper, network and decoder of evaluation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

import numpy as np

from lipnet.cropping.factory import make_cropper
from lipnet.decoding.base import Hypothesis
from lipnet.decoding.factory import DecoderOptions, make_decoder
from lipnet.errors import LipnetError
from lipnet.grid import FRAME_RATE
from lipnet.inference.confidence import confidences, word_features
from lipnet.inference.emissions import Backend, Emissions
from lipnet.inference.quality import path_score_gap, quality_warnings
from lipnet.inference.streaming import Reading, Utterance
from lipnet.inference.timestamps import word_timestamps
from lipnet.inference.transcript import Alternative, Sentence, TranscribedWord, Transcript
from lipnet.tokenizer import Tokenizer
from lipnet.video.decode import iter_frames
from lipnet.weights import WEIGHTS

N_BEST = 5  # readings of a sentence in a transcript, at most
BATCH = 4  # videos that are read at once, each with its window in memory


class LipReader:
    """Reads videos with one network: ``LipReader.load().read("clip.mpg").text``."""

    def __init__(
        self, backend: Backend, decoder: str = "greedy", options: DecoderOptions | None = None
    ) -> None:
        """Raises LipnetError on a decoder that cannot be used."""
        self.backend, self.decoder_name = backend, decoder
        self.tokenizer = Tokenizer(backend.metadata.model.alphabet)
        options = options or DecoderOptions(n_best=N_BEST)
        known = backend.metadata.calibration if options.file is None else {}
        self.calibration = known.get(decoder)
        self.decoder = make_decoder(decoder, self.tokenizer, options)
        self.is_grid = options.file is None and backend.metadata.grid and backend.metadata.model.word_heads
        self.cropper = make_cropper(backend.metadata.crop)

    @classmethod
    def load(
        cls,
        weights: str | Path = WEIGHTS,
        decoder: str = "greedy",
        device: str = "auto",
        options: DecoderOptions | None = None,
    ) -> LipReader:
        """A reader with the shipped weights, or with others: a run's, or an exported ``.onnx`` file.

        Raises LipnetError on weights, a decoder or a device that cannot be used.
        """
        return cls(load_backend(weights, device), decoder, options)

    def read(self, path: str | Path) -> Transcript:
        """Read one video of any length. Raises VideoError or NoFaceError, naming the file."""
        [(_, result)] = self.read_all([path])
        if isinstance(result, LipnetError):
            raise result
        return result

    def read_all(self, paths: Iterable[str | Path]) -> Iterator[tuple[Path, Transcript | LipnetError]]:
        """Read videos, several in one batch of the network, while the next ones are being decoded.

        Yields each video with its transcript, or the error it met, in the order of ``paths``.
        """
        waiting = iter(paths)
        jobs: deque[_Job] = deque()
        thread = ThreadPoolExecutor(1)  # one: dlib holds Python's lock while it looks
        try:
            while True:
                room = BATCH - sum(job.result is None for job in jobs)
                for path in islice(waiting, room):
                    jobs.append(_Job(self, path))
                    jobs[-1].go_on(thread, None)
                if not jobs:
                    return
                self._answer([job for job in jobs if job.result is None], thread)
                while jobs and jobs[0].result is not None:
                    job = jobs.popleft()
                    assert job.result is not None
                    yield job.path, job.result
        finally:
            thread.shutdown(cancel_futures=True)  # the caller may have stopped early

    def _answer(self, jobs: Sequence[_Job], thread: ThreadPoolExecutor) -> None:
        """Wait for a job, and read as one batch what jobs are waiting with by then."""
        wait([job.crops for job in jobs], return_when=FIRST_COMPLETED)
        done = [(job, job.crops.result()) for job in jobs if job.crops.done()]
        asking = [(job, crops) for job, crops in done if crops is not None]
        if asking:
            answers = self.backend([crops for _, crops in asking])
            for (job, _), emissions in zip(asking, answers, strict=True):
                job.go_on(thread, emissions)

    def transcript(self, reading: Reading, said: Sequence[tuple[Sentence, float]]) -> Transcript:
        """What a video comes to whose frames are all read; ``said``: sentences and their path_score_gaps."""
        sentences = [sentence for sentence, _ in said]
        track = reading.track
        return Transcript(
            video=reading.name,
            sentences=sentences,
            frames=reading.frames,
            fps=FRAME_RATE,
            decoder=self.decoder_name,
            calibrated=self.calibration is not None,
            warnings=quality_warnings(
                sentences, [path_score_gap for _, path_score_gap in said] if self.is_grid else None, track
            ),
            track=track,
        )

    def sentences(self, reading: Reading) -> list[tuple[Sentence, float]]:
        """Decode what a reading has finished since it was last asked, each with its path_score_gap."""
        said, reading.finished = reading.finished, []
        return [result for result in map(self.sentence, said) if result is not None]

    def sentence(self, utterance: Utterance) -> tuple[Sentence, float] | None:
        """Decode an utterance; the number is its path-score gap (``quality.py``). None without a word."""
        emissions = utterance.emissions
        hypotheses = self.hypotheses(emissions)
        best = hypotheses[0]
        times = word_timestamps(best, emissions)
        if not times:
            return None
        features = word_features(best, times, emissions, self.tokenizer)
        sure = confidences(features, self.calibration)
        words = [
            TranscribedWord(
                span.word,
                round((utterance.first + start) / FRAME_RATE, 3),
                round((utterance.first + end) / FRAME_RATE, 3),
                round(float(confidence), 4),
            )
            for span, (start, end), confidence in zip(best.words, times, sure, strict=True)
        ]
        sentence = Sentence(
            text=best.text,
            start=words[0].start,
            end=words[-1].end,
            confidence=round(float(sure.mean()), 4),
            words=words,
            n_best=[Alternative(h.text, round(h.score, 4)) for h in hypotheses],
        )
        return sentence, path_score_gap(best, times, emissions)

    def hypotheses(self, emissions: Emissions) -> list[Hypothesis]:
        """What the decoder makes of one clip, best first."""
        words = emissions.word_log_probs
        steps = emissions.log_probs
        return self.decoder(steps[None], [len(steps)], None if words is None else words[None])[0]


class _Job:
    """One of the videos that are read at once."""

    def __init__(self, reader: LipReader, path: str | Path) -> None:
        self.path = Path(path)
        self.result: Transcript | LipnetError | None = None
        self.crops: Future[np.ndarray | None]  # what the network is asked for next; None at the end
        self._reader = reader
        self._reading = Reading(reader.cropper, str(path))
        self._requests = self._reading.run(iter_frames(path, FRAME_RATE))
        self._said: list[tuple[Sentence, float]] = []

    def go_on(self, thread: ThreadPoolExecutor, emissions: Emissions | None) -> None:
        """Take the answer to the last crops, None at first, and work towards the next."""
        self.crops = thread.submit(self._advance, emissions)

    def _advance(self, emissions: Emissions | None) -> np.ndarray | None:
        crops = None
        try:
            crops = self._requests.send(emissions)  # type: ignore[arg-type]  # None begins it
        except StopIteration:
            pass
        except LipnetError as error:
            self.result = error
            return None
        self._said += self._reader.sentences(self._reading)
        if crops is None:
            self.result = self._reader.transcript(self._reading, self._said)
        return crops


def load_backend(weights: str | Path, device: str = "auto") -> Backend:
    """The network in a weights file, computed by ONNX Runtime if it is an ``.onnx``, else by PyTorch."""
    if Path(weights).suffix == ".onnx":
        from lipnet.inference.onnx_backend import OnnxBackend

        if device not in ("auto", "cpu"):
            raise LipnetError(f"device {device!r}: an .onnx file is computed on the CPU; leave --device out")
        return OnnxBackend.load(weights)
    from lipnet.inference.torch_backend import TorchBackend

    return TorchBackend.load(weights, device)
