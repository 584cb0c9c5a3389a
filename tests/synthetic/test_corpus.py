"""Synthetic corpus: its layout, reproducibility, faces that dlib detects, and articulation."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import dlib
import numpy as np
import pytest

from lipnet.data.alignments import read_alignment
from lipnet.errors import LipnetError
from lipnet.grid import WORDS, sentence_of
from lipnet.synthetic.articulation import (
    FRAME_MS,
    FRAMES,
    PRONUNCIATIONS,
    coarticulate,
    phonemes_of,
    time_sentence,
)
from lipnet.synthetic.corpus import plan_corpus, render_frames, sample_take, speaker_face, write_corpus
from lipnet.synthetic.face import Mouth, Pose, outline_lips
from lipnet.synthetic.head import HEIGHT, WIDTH
from lipnet.video.decode import read_video

SCRIPT = Path(__file__).parents[2] / "scripts" / "synthesize.py"
MIDDLE = np.zeros(1, np.float32)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three speakers with two sentences each."""
    folder = tmp_path_factory.mktemp("corpus")
    assert write_corpus(plan_corpus(folder, speakers=3, sentences=2, seed=0)) == 6
    return folder


def test_layout_and_alignments_agree_with_the_ids(corpus: Path) -> None:
    videos = sorted(corpus.glob("s*/*.mp4"))
    assert [path.parent.name for path in videos] == ["s1", "s1", "s2", "s2", "s3", "s3"]
    assert len({path.stem for path in videos}) == 6  # no two speakers say the same sentence
    for video in videos:
        align = corpus / "align" / video.parent.name / f"{video.stem}.align"
        rows = [line.split() for line in align.read_text().splitlines()]
        starts, ends = [int(row[0]) for row in rows], [int(row[1]) for row in rows]
        assert " ".join(row[2] for row in rows) == f"sil {sentence_of(video.stem)} sil"
        assert starts[0] == 0 and ends[-1] == FRAMES * 1000 and starts[1:] == ends[:-1]
        assert all(end - start >= 750 for start, end in zip(starts, ends, strict=True))
        assert read_alignment(align)[0] == sentence_of(video.stem)


def test_the_last_speaker_is_unseen(corpus: Path) -> None:
    lists = {path.stem: path.read_text().split() for path in (corpus / "splits").glob("*.txt")}
    assert set(lists) == {"train", "dev_seen", "dev_unseen"}
    assert [name.split("/")[0] for name in lists["dev_seen"]] == ["s1", "s2"]
    assert [name.split("/")[0] for name in lists["train"]] == ["s1", "s2"]
    assert [name.split("/")[0] for name in lists["dev_unseen"]] == ["s3", "s3"]
    names = [name for names in lists.values() for name in names]
    assert sorted(names) == sorted(f"{p.parent.name}/{p.stem}" for p in corpus.glob("s*/*.mp4"))


def test_videos_show_the_rendered_frames(corpus: Path) -> None:
    video = min(corpus.glob("s2/*.mp4"))
    decoded, rendered = read_video(video), list(render_frames(0, 2, video.stem))
    assert decoded.shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert np.abs(decoded[::10].astype(int) - np.stack(rendered[::10])).mean() < 6  # grey levels


def test_second_run_writes_nothing(corpus: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    assert write_corpus(plan_corpus(corpus, speakers=3, sentences=2, seed=0)) == 0
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before


def test_an_interrupted_run_continues(corpus: Path, tmp_path: Path) -> None:
    """Another process generates the missing files with the same bytes and leaves the others unchanged."""
    jobs = plan_corpus(corpus, speakers=3, sentences=2, seed=0)
    before = contents(corpus)
    jobs[1].video.unlink()
    jobs[1].video.with_suffix(".part").write_bytes(b"half a clip")
    jobs[4].align.unlink()
    arguments = ["--out", corpus, "--speakers", "3", "--sentences", "2", "--workers", "2"]
    ran = subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, env=_environment()
    )
    assert ran.returncode == 0, ran.stderr
    assert "2 clips written" in ran.stdout and len(ran.stdout.splitlines()) == 1
    assert contents(corpus) == before


def test_frames_depend_on_seed_and_speaker() -> None:
    def first(seed: int, speaker: int) -> np.ndarray:
        return next(render_frames(seed, speaker, "bbaf2n"))

    assert np.array_equal(first(0, 1), first(0, 1))
    assert np.abs(first(0, 1).astype(int) - first(1, 1)).mean() > 10
    assert np.abs(first(0, 1).astype(int) - first(0, 2)).mean() > 10


def test_sentences_differ_between_seeds_and_never_repeat() -> None:
    first, second = (
        [job.clip_id for job in plan_corpus(Path("nowhere"), 40, 50, seed, first_speaker=3)]
        for seed in (0, 1)
    )
    assert len(set(first)) == 2000
    assert first != second
    assert all(sentence_of(clip_id) for clip_id in first)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"speakers": 0}, "--speakers 0"),
        ({"sentences": -1}, "--sentences -1"),
        ({"first_speaker": 0}, "--first-speaker 0"),
        ({"seed": -1}, "--seed -1"),
        ({"speakers": 65, "sentences": 1000}, "64000"),
        ({"folder": Path(__file__)}, "test_corpus.py is a file"),
    ],
)
def test_errors_name_the_argument(change: dict[str, object], named: str) -> None:
    plan: Callable[..., object] = plan_corpus
    with pytest.raises(LipnetError, match=named):
        plan(**{"folder": Path("nowhere"), "speakers": 1, "sentences": 1, "seed": 0, **change})


def test_errors_name_workers_and_folder(tmp_path: Path) -> None:
    with pytest.raises(LipnetError, match="--workers 0"):
        write_corpus(plan_corpus(tmp_path, 1, 1, 0), workers=0)
    (tmp_path / "align").write_text("a file where a folder must be")
    with pytest.raises(LipnetError, match="align"):
        write_corpus(plan_corpus(tmp_path, 1, 1, 0))


def test_two_corpora_are_not_mixed(corpus: Path) -> None:
    with pytest.raises(LipnetError, match="another corpus"):
        plan_corpus(corpus, speakers=3, sentences=2, seed=1)


def test_every_word_has_a_pronunciation() -> None:
    assert set(PRONUNCIATIONS) == set(WORDS)
    assert all(phonemes_of(word) for word in WORDS)
    assert len(phonemes_of("five")) == 4  # the diphthong in two halves


def test_timing_is_similar_to_grid() -> None:
    """Of the 994 real alignments, 98 % start after 3-24 frames and last 30-54."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        words, segments = time_sentence(["place", "green", "with", "x", "seven", "please"], rng)
        assert 11.5 <= words[0].start <= 22.5
        assert 29 <= words[-1].end - words[0].start <= 49
        assert segments[0].start == 0 and segments[-1].end == FRAMES * FRAME_MS
        assert all(a.end == pytest.approx(b.start) for a, b in pairwise(segments))


def test_lips_close_for_b_and_open_for_vowels() -> None:
    """In the frame nearest to the middle of each phoneme."""
    rng = np.random.default_rng(1)
    appearance = speaker_face(0, 1).appearance
    for sentence in ("bin blue by b five please", "place green at p one again", "bin white by m nine now"):
        _, segments = time_sentence(sentence.split(), rng)
        frames = coarticulate(segments, (np.arange(FRAMES) + 0.5) * FRAME_MS)
        for segment in segments[1:-1]:
            frame = round((segment.start + segment.end) / 2 / FRAME_MS - 0.5)
            mouth = Mouth(*frames[frame])
            gap = outline_lips(appearance, mouth, MIDDLE).gap * appearance.unit  # px
            if segment.phoneme.target.press == 1:
                assert mouth.press > 0.85 and gap < 0.6
            elif segment.phoneme.target.jaw >= 0.5:
                assert mouth.press < 0.35 and gap > 4
            elif segment.phoneme.target.tuck == 1:
                assert mouth.tuck > 0.7


def test_rounding_narrows_and_spreading_widens() -> None:
    appearance, rest = speaker_face(0, 1).appearance, Mouth(*[0.0] * 7)
    widths = [
        outline_lips(appearance, m, MIDDLE).half_width
        for m in (rest._replace(round=1), rest, rest._replace(spread=1))
    ]
    assert widths[0] < 0.8 * widths[1] < widths[1] < 0.95 * widths[2]


def test_dlib_detects_every_face_and_the_corners_of_its_mouth() -> None:
    """Distance of the corner landmarks relative to the mouth's width; 4 % is the mean over 80 speakers."""
    package = importlib.util.find_spec("face_recognition_models")  # found, never imported
    assert package is not None and package.origin is not None
    models = Path(package.origin).parent / "models"
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(models / "shape_predictor_68_face_landmarks.dat"))
    distances = []
    for speaker, clip_id in ((1, "bbaf2n"), (2, "lgbm4s"), (5, "pwwu8p"), (9, "sriv5a")):
        face, take = speaker_face(0, speaker), sample_take(0, speaker, clip_id)
        for mouth, pose in list(zip(take.mouths, take.poses, strict=True))[4::9]:
            image = face.render(mouth, pose)
            boxes = detector(image, 0)
            assert len(boxes) == 1, f"speaker {speaker}"
            landmarks = predictor(image, boxes[0])
            found = np.array([(landmarks.part(i).x, landmarks.part(i).y) for i in (48, 54)])
            corners = face.corners(mouth, pose)
            distances.append(np.linalg.norm(found - corners, axis=1).mean() / np.ptp(corners[:, 0]))
    assert np.mean(distances) < 0.06 and np.max(distances) < 0.12


def test_a_pose_moves_the_corners_with_the_picture() -> None:
    face, rest = speaker_face(0, 1), Mouth(*[0.0] * 7)
    still, moved = face.corners(rest, Pose()), face.corners(rest, Pose(dx=7, dy=-3))
    assert moved - still == pytest.approx(np.array([[7, -3], [7, -3]]))
    tilted = face.corners(rest, Pose(tilt=10))
    assert tilted[1, 1] - tilted[0, 1] > 0  # clockwise: the corner on the right goes down


def _environment() -> dict[str, str]:
    """This process's environment and import path, for a child process."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
