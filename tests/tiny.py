"""Corpora, models and configs so small that a test takes milliseconds."""

from __future__ import annotations

import contextlib
import io
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lipnet.config import AugmentConfig, CropConfig, ModelConfig
from lipnet.cropping.landmarks import IBUG_68
from lipnet.data.alignments import Word
from lipnet.data.corpus import Clip
from lipnet.data.crop_store import CropStore, CropStoreWriter
from lipnet.data.dataset import ClipDataset
from lipnet.grid import sentence_of
from lipnet.synthetic.corpus import plan_corpus, write_corpus
from lipnet.tokenizer import DEFAULT_TOKENIZER

SCRIPTS = Path(__file__).parent.parent / "scripts"
OFF = AugmentConfig(resample=0.0, flip=0.0)
CROP = CropConfig(width=24, height=16)
# The settings of a tiny model and run, as on a command line.
OVERRIDES = (
    "model.height=16",
    "model.width=24",
    "model.channels=[4,4,4]",
    "model.hidden=8",
    "model.norm=batch",
    "model.word_heads=true",
    "data.batch_size=3",
    "data.dev_splits=[dev]",
    "augment.splice=0.5",
    "augment.shift=2",
    "run.device=cpu",
)


def tiny_model(**changes: object) -> ModelConfig:
    sizes: dict[str, object] = {"height": 16, "width": 24, "channels": [4, 4, 4], "hidden": 8}
    return ModelConfig(**{**sizes, **changes})  # type: ignore[arg-type]


def make_clip(speaker: str, clip_id: str, frames: int = 75, timed: bool = True) -> Clip:
    """A GRID clip whose six words fill its middle; the boundaries between them depend on its id."""
    sentence = sentence_of(clip_id)
    assert sentence is not None
    cuts = np.linspace(0.2, 0.8, 7) * frames
    cuts = np.floor(cuts + np.random.default_rng(list(clip_id.encode())).uniform(-1, 1, 7)) + 0.25
    cuts = np.sort(np.maximum(cuts, 0.25))
    spans = zip(sentence.split(), cuts[:-1], cuts[1:], strict=True)
    words = tuple(Word(text, float(start), float(end)) for text, start, end in spans) if timed else ()
    return Clip(speaker, clip_id, Path(f"{clip_id}.mp4"), sentence, words)


def random_crops(frames: int, crop: CropConfig = CROP, seed: int = 0) -> np.ndarray:
    shape = (frames, crop.height, crop.width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def random_landmarks(frames: int, seed: int = 0) -> np.ndarray:
    """(T, 68, 2) float16 in face units: a still face with a moving mouth."""
    random = np.random.default_rng(seed)
    face = random.normal(0, 0.5, (68, 2))
    face[IBUG_68.stable] = IBUG_68.stable_face
    face[IBUG_68.mouth] += (0.0, 1.2)
    points = np.repeat(face[None], frames, axis=0)
    points[:, IBUG_68.mouth] += random.normal(0, 0.1, (frames, 20, 2))
    return points.astype(np.float16)


def random_frames(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (*shape, 3), dtype=torch.uint8, generator=generator)


def pack(
    root: Path,
    clips: Sequence[Clip],
    lengths: Sequence[int],
    crop: CropConfig = CROP,
    landmarks: bool = False,
) -> None:
    """Write clips with random crops, as preprocess.py does, and random landmarks if these are wanted."""
    for speaker in dict.fromkeys(clip.speaker for clip in clips):
        with CropStoreWriter(root, speaker, crop) as writer:
            for seed, (clip, frames) in enumerate(zip(clips, lengths, strict=True)):
                if clip.speaker == speaker:
                    points = random_landmarks(frames, seed) if landmarks else None
                    writer.add(clip, random_crops(frames, crop, seed), frames, points)


def render_clips(root: Path, speakers: int, sentences: int, seed: int) -> list[Path]:
    """Videos of synthetic speakers, with their alignments beside them."""
    write_corpus(plan_corpus(root, speakers, sentences, seed, 1), workers=1)
    return sorted(root.glob("s*/*.mp4"))


def write_list(path: Path, names: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))
    return path


@dataclass(frozen=True)
class Result:
    """The exit code and the output of a script."""

    code: int
    out: str
    err: str


Train = Callable[..., Result]  # (run directory, settings) -> the result of train.py


def run_script(name: str, *arguments: object) -> Result:
    """Run a script in this process as ``python scripts/NAME.py`` does; uncaught exceptions are raised."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as exit_,
        ):
            runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    assert isinstance(exit_.value.code, int)
    return Result(exit_.value.code, out.getvalue(), err.getvalue())


def shell(name: str, *arguments: object) -> Result:
    """Run a script in another process, as a user does."""
    command = [sys.executable, str(SCRIPTS / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, cwd=SCRIPTS.parent, capture_output=True, text=True, timeout=300)
    return Result(done.returncode, done.stdout, done.stderr)


def assert_one_line(result: Result, *parts: object) -> None:
    """Bad input: one line that names the thing and the remedy, exit code 2."""
    assert result.code == 2, result
    assert result.out == ""
    assert result.err.startswith("error: ") and result.err.count("\n") == 1, result.err
    for part in parts:
        assert str(part) in result.err


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def dataset(
    root: Path, split: str = "all", augment: AugmentConfig | None = OFF, seed: int = 0
) -> ClipDataset:
    corpus = CropStore(root)
    return ClipDataset(corpus, corpus.split(split), DEFAULT_TOKENIZER, augment, seed)
