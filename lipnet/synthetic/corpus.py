"""A corpus of synthetic speakers who say GRID sentences, in the folder layout of GRID.

It takes minutes to generate and may be redistributed, so that all parts of lipnet can be tried and tested
without GRID. A speaker depends on (seed, speaker) alone and a clip on (seed, speaker, id) alone, whatever the
number, order and processes of the clips that are generated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lipnet.data.alignments import Word
from lipnet.data.clip_lists import list_content
from lipnet.errors import LipnetError
from lipnet.grid import FRAME_RATE, GRAMMAR, natural_key, sentence_of
from lipnet.synthetic.appearance import random_appearance
from lipnet.synthetic.articulation import FRAME_MS, FRAMES, coarticulate, time_sentence
from lipnet.synthetic.face import NOISE_MARGIN, Mouth, Pose, SyntheticFace
from lipnet.synthetic.head import HEIGHT, WIDTH
from lipnet.utils.files import write_atomically
from lipnet.utils.workers import WorkerPool, check_workers
from lipnet.video.encode import write_video

APPEARANCE, TEXTURES, TAKES, SENTENCES = range(4)  # independent streams of random numbers


def sample_head_motion(rng: np.random.Generator) -> list[Pose]:
    """The pose of each frame of a clip: slow sway, one or two blinks, position and brightness."""
    seconds = np.arange(FRAMES) / FRAME_RATE

    def sway(offset: float, size: float) -> np.ndarray:
        rate, phase = rng.uniform(0.15, 0.7, 2), rng.uniform(0, 2 * np.pi, 2)
        waves = np.sin(2 * np.pi * rate * seconds[:, None] + phase)
        return rng.normal(0, offset) + waves @ rng.uniform(0, size, 2)

    dx, dy, tilt, size = sway(4, 1.6), sway(3, 1.2), sway(1.2, 0.8), 1 + sway(0.015, 0.005)
    blink = np.zeros(FRAMES)
    for _ in range(rng.integers(1, 3)):
        closing = np.abs(np.arange(FRAMES) - rng.uniform(5, FRAMES - 5))
        blink = np.maximum(blink, np.clip(1.6 - closing / 2, 0, 1))
    gain = rng.uniform(0.9, 1.1) * (1 + 0.006 * rng.normal(size=FRAMES))
    noise = rng.integers(0, NOISE_MARGIN + 1, (FRAMES, 2)).tolist()
    rows = np.stack([dx, dy, tilt, size, blink, gain], axis=1).tolist()
    return [Pose(*row)._replace(noise=(top, left)) for row, (top, left) in zip(rows, noise, strict=True)]


@lru_cache(maxsize=2)
def speaker_face(seed: int, speaker: int) -> SyntheticFace:
    """The face of speaker ``s{speaker}``."""
    appearance = random_appearance(np.random.default_rng([seed, APPEARANCE, speaker]))
    return SyntheticFace(appearance, np.random.default_rng([seed, TEXTURES, speaker]))


@dataclass(frozen=True)
class Take:
    """One utterance of a sentence: everything about a clip except its pixels."""

    words: list[Word]
    mouths: list[Mouth]  # one per frame
    poses: list[Pose]  # one per frame


def sample_take(seed: int, speaker: int, clip_id: str) -> Take:
    """Sample how a speaker says the sentence of ``clip_id``.

    Raises:
        LipnetError: ``clip_id`` is not the id of a GRID sentence.
    """
    rng = np.random.default_rng([seed, TAKES, speaker, *clip_id.encode()])
    sentence = sentence_of(clip_id)
    if sentence is None:
        raise LipnetError(f"{clip_id!r} is not the id of a GRID sentence; give one like bbaf2n")
    words, segments = time_sentence(sentence.split(), rng)
    channels = coarticulate(segments, (np.arange(FRAMES) + 0.5) * FRAME_MS)
    return Take(words, [Mouth(*row) for row in channels.tolist()], sample_head_motion(rng))


def render_frames(seed: int, speaker: int, clip_id: str) -> Iterator[np.ndarray]:
    """Render the 75 frames of a clip, (288, 360, 3) uint8 RGB."""
    face, take = speaker_face(seed, speaker), sample_take(seed, speaker, clip_id)
    return (face.render(mouth, pose) for mouth, pose in zip(take.mouths, take.poses, strict=True))


def alignment(words: Sequence[Word]) -> str:
    """The text of an .align file: ``start end word``, in 1/1000 of a frame, with silences at both ends."""
    rows = [
        (0.0, words[0].start, "sil"),
        *((w.start, w.end, w.text) for w in words),
        (words[-1].end, FRAMES, "sil"),
    ]
    return "".join(f"{round(start * 1000)} {round(end * 1000)} {text}\n" for start, end, text in rows)


@dataclass(frozen=True)
class ClipJob:
    """A clip to generate in the corpus at ``folder``."""

    folder: Path
    seed: int
    speaker: int
    clip_id: str

    @property
    def video(self) -> Path:
        return self.folder / f"s{self.speaker}" / f"{self.clip_id}.mp4"

    @property
    def align(self) -> Path:
        return self.folder / "align" / f"s{self.speaker}" / f"{self.clip_id}.align"

    def done(self) -> bool:
        return self.video.exists() and self.align.exists()

    def run(self) -> None:
        """Write the alignment, then the video, both atomically."""
        take = sample_take(self.seed, self.speaker, self.clip_id)
        write_atomically(self.align, alignment(take.words).encode())
        unfinished = self.video.with_suffix(".part")
        write_video(unfinished, render_frames(self.seed, self.speaker, self.clip_id), WIDTH, HEIGHT)
        os.replace(unfinished, self.video)


def plan_corpus(
    folder: Path, speakers: int, sentences: int, seed: int, first_speaker: int = 1
) -> list[ClipJob]:
    """Choose ``sentences`` random sentences of the grammar for each speaker, none of them twice.

    Args:
        folder: of the corpus; it need not exist.
        speakers, sentences: number of speakers, and of clips for each.
        seed: the same seed gives the same corpus.
        first_speaker: number of the first speaker.

    Returns:
        The jobs of all clips, including those that exist already.

    Raises:
        LipnetError: impossible numbers, or ``folder`` is a file or contains another corpus.
    """
    ids = ["".join(characters) for characters in product(*(slot.words for slot in GRAMMAR))]
    last = first_speaker + speakers - 1
    _check_numbers(speakers, sentences, seed, first_speaker, available=len(ids))
    if folder.exists() and not folder.is_dir():
        raise LipnetError(f"{folder} is a file; give --out a folder")
    order = np.random.default_rng([seed, SENTENCES]).permutation(len(ids))
    jobs = []
    for speaker in range(first_speaker, last + 1):
        own = order[(speaker - 1) * sentences : speaker * sentences]
        others = {path.stem for path in folder.glob(f"s{speaker}/*.mp4")} - {ids[i] for i in own}
        if others:
            raise LipnetError(
                f"{folder}/s{speaker} contains clips of another corpus ({min(others)}); "
                "give the --seed and --sentences of that corpus, or another --out"
            )
        jobs += [ClipJob(folder, seed, speaker, ids[i]) for i in own]
    return jobs


def _check_numbers(speakers: int, sentences: int, seed: int, first_speaker: int, available: int) -> None:
    """Raise LipnetError for impossible arguments of `plan_corpus`; ``available`` sentences exist."""
    for name, value in (("speakers", speakers), ("sentences", sentences), ("first-speaker", first_speaker)):
        if value < 1:
            raise LipnetError(f"--{name} {value}: give 1 or more")
    if seed < 0:
        raise LipnetError(f"--seed {seed}: give 0 or more")
    last = first_speaker + speakers - 1
    if last * sentences > available:
        raise LipnetError(
            f"speakers up to s{last} with {sentences} sentences each need {last * sentences} sentences, "
            f"and there are {available}; lower --speakers, --sentences or --first-speaker"
        )


def write_corpus(jobs: Sequence[ClipJob], workers: int = 1) -> int:
    """Generate the clips that do not exist yet, in ``workers`` processes, then write the split lists.

    Returns:
        The number of clips generated.

    Raises:
        LipnetError: ``workers`` is below 1, or a folder cannot be created.
    """
    check_workers(workers)
    missing = [job for job in jobs if not job.done()]
    try:
        for parent in {path.parent for job in missing for path in (job.video, job.align)}:
            parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LipnetError(f"{error.filename}: {error.strerror}; give --out a writable folder") from error
    bar = {"total": len(missing), "unit": "clip", "disable": None if missing else True}
    if workers > 1 and missing:
        with WorkerPool(workers, ClipJob.run) as pool:
            for job, result in zip(missing, tqdm(pool.map(missing), **bar), strict=True):
                if isinstance(result, LipnetError):
                    raise LipnetError(f"{job.video}: {result}")
    else:
        for job in tqdm(missing, **bar):
            job.run()
    if jobs:
        write_splits(jobs[0].folder)
    return len(missing)


def write_splits(folder: Path) -> None:
    """Write the lists train, dev_seen and dev_unseen of all clips in ``folder``, one ``sN/ID`` per line.

    With three speakers or more, dev_unseen is the last of them. A tenth of each other speaker's clips, at
    least one, is dev_seen. A list that would not change is not written.
    """
    speakers = sorted({path.parent.name for path in folder.glob("s[0-9]*/*.mp4")}, key=natural_key)
    clips = {
        name: sorted(f"{name}/{path.stem}" for path in (folder / name).glob("*.mp4")) for name in speakers
    }
    unseen = clips.pop(speakers[-1]) if len(speakers) >= 3 else []
    # Sorted ids are in order of command and colour, so every tenth is a balanced sample.
    seen = [name for own in clips.values() for name in own[5 % len(own) :: 10] or own[:1]]
    train = sorted({name for own in clips.values() for name in own} - set(seen), key=natural_key)
    splits = folder / "splits"
    splits.mkdir(parents=True, exist_ok=True)
    for name, names in (("train", train), ("dev_seen", seen), ("dev_unseen", unseen)):
        path, content = splits / f"{name}.txt", list_content(names)
        if not path.exists() or path.read_bytes() != content:
            write_atomically(path, content)
