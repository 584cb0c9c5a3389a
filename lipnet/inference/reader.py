"""End-to-end transcription: a video in, its transcript out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from lipnet.config import CropConfig
from lipnet.cropping.cropper import Cropper
from lipnet.cropping.factory import make_cropper
from lipnet.cropping.landmarks import IBUG_68
from lipnet.cropping.patch import Patch
from lipnet.decoding.factory import AUTO, DecoderOptions, add_decoder_arguments, decoder_options
from lipnet.errors import LipnetError, problems_of
from lipnet.grid import FRAME_RATE
from lipnet.inference.emissions import Backend
from lipnet.inference.sentences import N_BEST, SentenceDecoder
from lipnet.inference.streaming import WINDOW, StreamingTranscriber
from lipnet.inference.transcript import Sentence, Transcript
from lipnet.utils.prefetch import prefetch
from lipnet.video.decode import Url, VideoError, VideoSource, iter_frames, source_name
from lipnet.video.resample import Picture, resample
from lipnet.video.video_frames import in_blocks
from lipnet.weights import WEIGHTS

Opened = Path | Url | BinaryIO  # a video as `LipReader.read_all` yields it
PREFETCHED = WINDOW  # frames whose landmarks are found ahead of the network


class LiveText(NamedTuple):
    """What a live transcription has at a moment."""

    text: str  # of an utterance that has not ended, by greedy search; or of ``sentence``
    sentence: Sentence | None  # that has just ended, by the reader's decoder


class LipReader:
    """Reads lips in videos with one network: ``LipReader.load().read("clip.mpg").text``."""

    def __init__(
        self, backend: Backend, decoder: str = "greedy", options: DecoderOptions | None = None
    ) -> None:
        """Raises LipnetError on a decoder, or a cropping method, that cannot be used."""
        self.backend = backend
        self.decoder = SentenceDecoder(backend.metadata, decoder, options)
        self.cropper = self._make_cropper(backend.metadata.crop)

    def use_face(self, face: str) -> None:
        """Of several faces, read this one, as ``crop.face`` has it; none: all videos show only a mouth.

        Raises ConfigError on an unknown face, LipnetError on none if the network reads landmarks only.
        """
        crop = self.backend.metadata.crop
        self.cropper = self._make_cropper(
            replace(crop, method=face) if face == "none" else replace(crop, face=face)
        )

    def _make_cropper(self, crop: CropConfig) -> Cropper:
        """Raises LipnetError if the network reads landmarks only, and the method does not find them."""
        cropper = make_cropper(crop)
        if self.backend.metadata.model.streams == ["landmarks"] and cropper.layout is not IBUG_68:
            raise LipnetError(
                f"crop.method {crop.method}: the weights read landmarks only, and it does not find the 68 of "
                "a face; use dlib and videos that show the whole face, or weights that read pixels"
            )
        return cropper

    @classmethod
    def load(
        cls,
        weights: str | Path = WEIGHTS,
        decoder: str = AUTO,
        device: str = "auto",
        options: DecoderOptions | None = None,
    ) -> LipReader:
        """A reader with the weights that ship with the package, those of a run, or an exported ``.onnx``
        file.

        Args:
            decoder: auto (the one that suits the weights), greedy, beam, lm, grammar or dictionary.
            device: auto, cpu, cuda or cuda:N.

        Raises:
            LipnetError: weights, a decoder or a device that cannot be used.
        """
        return cls(load_backend(weights, device), decoder, options)

    def read(
        self,
        video: VideoSource | np.ndarray,
        fps: float | None = None,
        name: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Transcript:
        """Transcribe one video of any length.

        Args:
            video: a path, an open binary file, or frames as an array (T, H, W, 3) uint8 RGB.
            fps: frames a second of an array; files have their own.
            name: in the transcript and in messages, instead of the path.
            progress: called after each frame with the number of frames that were read; a LipnetError
                that it raises ends the reading.

        Raises:
            VideoError: the video cannot be read.
            NoFaceError: no frame shows a face.
        """
        frames, path = _open(video, fps)
        name = path if name is None else name
        stream = self.stream(name)
        with (
            problems_of(name),
            closing(prefetch(map(stream.track, in_blocks(frames)), PREFETCHED)) as patches,
        ):
            for patch in patches:
                stream.add(patch)
                if progress is not None:
                    progress(stream.frames)
            return stream.finish()

    def read_all(self, videos: Iterable[VideoSource]) -> Iterator[tuple[Opened, Transcript | LipnetError]]:
        """Transcribe videos one by one; a thread finds the landmarks of the next frames and videos meanwhile.

        Yields each video with its transcript, or the error that it met, in the order of ``videos``. An
        unexpected exception, which some damaged files raise in FFmpeg or OpenCV, is that video's error.
        """
        failed: StreamingTranscriber | None = None
        with closing(prefetch(self._track_all(videos), PREFETCHED)) as tracked:
            for video, stream, patch in tracked:
                if stream is failed:
                    continue
                try:
                    if isinstance(patch, LipnetError):
                        raise patch
                    with problems_of(stream.name):
                        if patch is not None:
                            stream.add(patch)
                            continue
                        result: Transcript | LipnetError = stream.finish()
                except LipnetError as error:
                    result, failed = error, stream
                yield video, result

    def _track_all(
        self, videos: Iterable[VideoSource]
    ) -> Iterator[tuple[Opened, StreamingTranscriber, Patch | LipnetError | None]]:
        """The patches of the videos' frames; after a video's last one None, or the error that ended it."""
        for source in videos:
            stream = self.stream(_name_of(source))
            is_path = isinstance(source, str | PathLike) and not isinstance(source, Url)
            video: Opened = Path(source) if is_path else source  # type: ignore[arg-type, assignment]
            try:
                with problems_of(stream.name):
                    for frame in in_blocks(iter_frames(video, FRAME_RATE)):
                        yield video, stream, stream.track(frame)
                yield video, stream, None
            except LipnetError as error:
                yield video, stream, error

    def stream(self, name: str = "video", live: bool = False) -> StreamingTranscriber:
        """A transcriber for the frames of one video; see `StreamingTranscriber`."""
        return StreamingTranscriber(self.cropper, self.backend, self.decoder, name, live)

    def listen(self, frames: Iterable[np.ndarray], name: str = "camera") -> Iterator[LiveText]:
        """Transcribe frames, (H, W, 3) uint8 RGB at 25 a second, as they come.

        Yields each sentence when it has ended, and every second the text so far of one that has not. Raises
        NoFaceError at the end if no frame has shown a face.
        """
        stream = self.stream(name, live=True)
        ended = 0
        partial = ""
        for frame in frames:
            for sentence in stream.push(frame):
                ended += 1
                yield LiveText(sentence.text, sentence)
            if stream.partial and stream.partial != partial:
                yield LiveText(stream.partial, None)
            partial = stream.partial
        for sentence in stream.finish().sentences[ended:]:
            yield LiveText(sentence.text, sentence)


def _name_of(source: VideoSource) -> str:
    """A path as it was given, or `source_name`."""
    return str(source) if isinstance(source, str | PathLike) else source_name(source)


def _open(video: VideoSource | np.ndarray, fps: float | None) -> tuple[Iterator[np.ndarray], str]:
    """A video's frames at FRAME_RATE, and its name."""
    if not isinstance(video, np.ndarray):
        if fps is not None:
            raise VideoError(f"{source_name(video)}: fps is for arrays of frames; a file has its own")
        name = _name_of(video)
        return iter_frames(video, FRAME_RATE), name
    if video.dtype != np.uint8 or video.ndim != 4 or video.shape[3] != 3 or not video.size:
        raise VideoError(f"array of {video.dtype} {video.shape}: give frames, (T, H, W, 3) uint8 RGB")
    if fps is None or not fps > 0:
        raise VideoError(f"fps {fps}: give the frames a second of the array")
    return resample((Picture(frame, None, False) for frame in video), fps, FRAME_RATE), "video"


def add_reader_arguments(parser: ArgumentParser) -> None:
    """The arguments of a program that reads videos with one network, for `load_reader`."""
    add = parser.add_argument
    add("--weights", type=Path, default=WEIGHTS, help="of a run, or an .onnx file (default: those that ship)")
    add_decoder_arguments(parser)
    add(
        "--face",
        metavar="WHICH",
        help="of several faces: largest, left, right, or a number from the left; none: only a mouth is shown",
    )
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")


def load_reader(args: Namespace) -> LipReader:
    """The reader that a program was asked for. Raises LipnetError as `LipReader.load` and `use_face` do."""
    reader = LipReader.load(args.weights, args.decoder, args.device, decoder_options(args, N_BEST))
    if args.face is not None:
        reader.use_face(args.face)
    return reader


def load_backend(weights: str | Path, device: str = "auto") -> Backend:
    """The network of a weights file, computed by ONNX Runtime if it is an ``.onnx`` file, else by PyTorch."""
    if Path(weights).suffix == ".onnx":
        from lipnet.inference.onnx_backend import OnnxBackend

        if device not in ("auto", "cpu"):
            raise LipnetError(f"device {device!r}: an .onnx file is computed on the CPU; leave --device out")
        return OnnxBackend.load(weights)
    from lipnet.inference.torch_backend import TorchBackend  # imports PyTorch, which ONNX files do not need

    return TorchBackend.load(weights, device)
