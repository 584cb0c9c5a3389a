"""Lists of clips: reading them, the paper's two splits, and dev lists."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from lipnet.errors import CorpusError
from lipnet.grid import natural_key
from lipnet.utils.files import write_atomically

UNSEEN_SPEAKERS = ("s1", "s2", "s20", "s22")  # held out by the paper: two men, two women


OVERLAPPED_CLIPS = 255  # clips a speaker that the paper's overlapped split holds out


DEV_CLIPS = 20  # clips a speaker that are kept out of training to choose a checkpoint by


def read_split(path: Path) -> list[str]:
    """Read a list of clip names, ``sN/ID`` a line; blank lines and ``#`` comments are skipped."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read as a split list ({error}); give sN/ID a line") from error
    names = [line.split("#")[0].strip() for line in lines]
    return [name for name in names if name]


def split_unseen(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The paper's unseen-speaker split of clip names: (train, test), by UNSEEN_SPEAKERS."""
    train: list[str] = []
    test: list[str] = []
    for name in names:
        (test if Path(name).parent.name in UNSEEN_SPEAKERS else train).append(name)
    return train, test


def split_overlapped(
    names: Iterable[str], test_list: Sequence[str] | None = None, seed: int = 0
) -> tuple[list[str], list[str]]:
    """The paper's overlapped-speaker split of clip names: (train, test).

    The test part is ``test_list``, or else 255 clips of each speaker (at most a third of them) drawn
    by ``seed``; a speaker's draw does not depend on the other speakers. Raises CorpusError where none of
    ``test_list`` is a clip.
    """
    names = list(names)
    if test_list is None:
        return _draw_from_each_speaker(names, OVERLAPPED_CLIPS, f"{seed}")
    held_out = set(test_list)
    if held_out.isdisjoint(names):
        raise CorpusError("the overlapped list names no clip of this corpus; give sN/ID a line")
    return [name for name in names if name not in held_out], [name for name in names if name in held_out]


def split_dev(names: Iterable[str], seed: int = 0) -> tuple[list[str], list[str]]:
    """Training clips in two: (fit, dev). Dev, to choose by, is 20 clips of each speaker drawn by ``seed``."""
    return _draw_from_each_speaker(list(names), DEV_CLIPS, f"{seed}/dev")


def _draw_from_each_speaker(names: list[str], count: int, seed: str) -> tuple[list[str], list[str]]:
    """Split names in (left, drawn): ``count`` of each speaker are drawn, at most a third of them."""
    by_speaker: dict[str, list[str]] = {}
    for name in names:
        by_speaker.setdefault(name.rpartition("/")[0], []).append(name)
    drawn: set[str] = set()
    for speaker, clips in by_speaker.items():
        drawn.update(random.Random(f"{seed}/{speaker}").sample(sorted(clips), min(count, len(clips) // 3)))
    return [name for name in names if name not in drawn], [name for name in names if name in drawn]


def write_splits(
    root: Path,
    clip_names: Iterable[str],
    corpus_root: Path,
    overlapped: Sequence[str] | None = None,
    seed: int = 0,
) -> list[str]:
    """Write lists into ROOT/splits: those of the corpus itself, and the paper's two splits of the clips.

    Of the paper's training lists, ``unseen_dev`` and ``overlapped_dev`` are a few clips a speaker to choose
    by, and ``unseen_fit`` and ``overlapped_fit`` the others to train on.

    Args:
        clip_names: all clips in ROOT, SPEAKER/ID.
        overlapped: the overlapped split's test clips; None: 255 a speaker drawn by ``seed``.

    Returns:
        The names of the lists. One that would be empty is not written.
    """
    names = _distinct(clip_names)
    lists = {path.stem: read_split(path) for path in sorted((corpus_root / "splits").glob("*.txt"))}
    for split, (train, test) in {
        "unseen": split_unseen(names),
        "overlapped": split_overlapped(names, overlapped, seed),
    }.items():
        lists[f"{split}_train"], lists[f"{split}_test"] = train, test
        lists[f"{split}_fit"], lists[f"{split}_dev"] = split_dev(train, seed)
    lists = {name: clips for name, clips in lists.items() if clips}
    folder = root / "splits"
    folder.mkdir(exist_ok=True)
    for name, clips in lists.items():
        write_atomically(folder / f"{name}.txt", "".join(f"{clip}\n" for clip in clips).encode())
    return list(lists)


def _distinct(names: Iterable[str]) -> list[str]:
    """One name for each speaker and id: a second copy, such as original/s1/ID beside s1/ID, is left out."""
    shortest: dict[tuple[str, ...], str] = {}
    for name in sorted(names, key=lambda name: name.count("/")):
        shortest.setdefault(Path(name).parts[-2:], name)
    return sorted(shortest.values(), key=natural_key)
