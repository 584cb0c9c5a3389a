"""Lists of clips: the paper's two splits, dev lists, and the lists in a crop store."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lipnet.data.clip_lists import list_content
from lipnet.data.clip_lists import read_split as read_split
from lipnet.errors import CorpusError
from lipnet.grid import natural_key
from lipnet.utils.files import write_atomically

UNSEEN_SPEAKERS = ("s1", "s2", "s20", "s22")  # held out by the paper: two men, two women
OVERLAPPED_CLIPS = 255  # clips per speaker that the paper's overlapped split holds out
DEV_CLIPS = 20  # clips per speaker that are kept out of training to choose a checkpoint
RECORD = ".written.json"  # in ROOT/splits: hashes of the lists as they were last written
SHOWN_CLIPS = 3  # of the clips that a list lacks, in a message

Split = Callable[[Sequence[str]], tuple[list[str], list[str]]]  # clip names -> two lists of them
Key = Callable[[str], Hashable]  # clip name -> what two lists may not have in common


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

    The test part is ``test_list``, or else 255 clips of each speaker (at most a third of them), chosen at
    random with ``seed``; the choice for one speaker does not depend on the other speakers. Raises CorpusError
    if ``test_list`` names none of the clips.
    """
    names = list(names)
    if test_list is None:
        return _sample_per_speaker(names, OVERLAPPED_CLIPS, f"{seed}")
    held_out = set(test_list)
    if held_out.isdisjoint(names):
        raise CorpusError("the overlapped list names no clip of this corpus; give one SPEAKER/ID per line")
    return [name for name in names if name not in held_out], [name for name in names if name in held_out]


def split_dev(names: Iterable[str], seed: int = 0) -> tuple[list[str], list[str]]:
    """Split training clips into (fit, dev).

    Dev, for choosing a checkpoint, is 20 clips of each speaker (at most a third of them), chosen at random
    with ``seed``.
    """
    return _sample_per_speaker(list(names), DEV_CLIPS, f"{seed}/dev")


def _sample_per_speaker(names: list[str], count: int, seed: str) -> tuple[list[str], list[str]]:
    """Split names into (rest, sample), with ``count`` random names per speaker, at most a third of them."""
    by_speaker: dict[str, list[str]] = {}
    for name in names:
        by_speaker.setdefault(name.rpartition("/")[0], []).append(name)
    sample: set[str] = set()
    for speaker, clips in by_speaker.items():
        # The bytes seed as the text does, which need not be UTF-8: folders' names may be Latin-1.
        chooser = random.Random(f"{seed}/{speaker}".encode(errors="surrogatepass"))
        sample.update(chooser.sample(sorted(clips), min(count, len(clips) // 3)))
    return [name for name in names if name not in sample], [name for name in names if name in sample]


@dataclass(frozen=True)
class SplitReport:
    """The result of `write_splits`."""

    folder: Path  # ROOT/splits
    lists: list[str]  # the names of the lists in it, without those of other origin
    dropped: dict[str, list[str]]  # name of the corpus' own list -> its clips that ROOT lacks
    edited: list[str]  # the names of edited lists, which were left as they are

    def notes(self) -> list[str]:
        """Messages for the user: a line for each list with dropped clips, and one for the edited lists."""
        lines, root = [], self.folder.parent
        for name, clips in self.dropped.items():
            what = f"without the clips that are not in {root}"
            if name not in self.lists:
                what = f"not written, since none of its clips is in {root}"
            shown = [*clips[:SHOWN_CLIPS], *(["..."] if len(clips) > SHOWN_CLIPS else [])]
            lines.append(f"{self.folder / name}.txt: {what} ({len(clips)}: {', '.join(shown)})")
        if self.edited:
            edited = ", ".join(f"{name}.txt" for name in self.edited)
            lines.append(f"{self.folder}: left as edited: {edited}; delete a list to have it written again")
        return lines


def write_splits(
    root: Path,
    clip_names: Iterable[str],
    corpus_root: Path,
    overlapped: Sequence[str] | None = None,
    seed: int = 0,
) -> SplitReport:
    """Write lists of clips into ROOT/splits: the corpus' own lists, and those of the paper's two splits.

    Own lists are copied without the clips that ROOT lacks. The paper's lists are, for both its splits,
    ``unseen_train`` and ``unseen_test``, and the training list divided into ``unseen_dev`` (a few clips per
    speaker, for choosing a checkpoint) and ``unseen_fit``; likewise ``overlapped_...``. An own list with such
    a name replaces the generated one, and the other list of its pair gets the remaining clips. A list that
    differs from what was last written (see .written.json there) has been edited and is left as it is.

    Args:
        clip_names: all clips in ROOT, as SPEAKER/ID.
        corpus_root: the folder with the corpus' own lists, ``splits/*.txt``.
        overlapped: the overlapped split's test clips; None: the corpus' own ``overlapped_test``, or else 255
            per speaker chosen at random with ``seed``.

    Raises:
        CorpusError: an own list cannot be read, or ``overlapped`` names no clip in ROOT.
    """
    present = dict.fromkeys(clip_names)
    names = _without_copies(present)
    folder, own_folder = root / "splits", corpus_root / "splits"
    is_same = own_folder.exists() and folder.exists() and own_folder.samefile(folder)
    listed = {} if is_same else {path.stem: read_split(path) for path in _list_files(own_folder)}
    if overlapped is not None:
        listed["overlapped_test"] = split_overlapped(names, overlapped)[1]
    own = {name: [clip for clip in clips if clip in present] for name, clips in listed.items()}
    dropped = {name: [clip for clip in clips if clip not in present] for name, clips in listed.items()}
    lists = {**own, **_paper_lists(names, own, seed)}
    lists = {name: clips for name, clips in lists.items() if clips}
    edited = _write_lists(folder, lists)
    dropped = {name: clips for name, clips in dropped.items() if clips and name not in edited}
    return SplitReport(folder, list(lists), dropped, edited)


def _list_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.txt")) if not path.name.startswith(".")]


def _without_copies(names: Iterable[str]) -> list[str]:
    """One name per speaker and id: without second copies of a clip, such as original/s1/ID beside s1/ID."""
    shortest: dict[tuple[str, ...], str] = {}
    for name in sorted(names, key=lambda name: name.count("/")):
        shortest.setdefault(_speaker_and_id(name), name)
    return sorted(shortest.values(), key=natural_key)


def _speaker_and_id(name: str) -> tuple[str, ...]:
    return Path(name).parts[-2:]


def _speaker(name: str) -> str:
    return Path(name).parent.name


def _paper_lists(names: Sequence[str], own: dict[str, list[str]], seed: int) -> dict[str, list[str]]:
    """The lists of the paper's two splits by name: the corpus' own where it has them, else generated ones."""
    lists: dict[str, list[str]] = {}

    def add(first: str, second: str, names: Sequence[str], generate: Split, key: Key) -> None:
        lists[first], lists[second] = _complete_pair(names, own.get(first), own.get(second), generate, key)

    overlapped, dev = partial(split_overlapped, seed=seed), partial(split_dev, seed=seed)
    add("unseen_train", "unseen_test", names, split_unseen, _speaker)
    add("overlapped_train", "overlapped_test", names, overlapped, _speaker_and_id)
    for split in ("unseen", "overlapped"):
        add(f"{split}_fit", f"{split}_dev", lists[f"{split}_train"], dev, _speaker_and_id)
    return lists


def _complete_pair(
    names: Sequence[str],
    first: list[str] | None,
    second: list[str] | None,
    generate: Split,
    key: Key,
) -> tuple[list[str], list[str]]:
    """Two lists of ``names`` that share no ``key``, of which both, one or none are given."""
    if first is None and second is None:
        return generate(names)
    if first is None:
        first = _others(names, second or [], key)
    if second is None:
        second = _others(names, first, key)
    return first, second


def _others(names: Sequence[str], taken: Sequence[str], key: Key) -> list[str]:
    keys = {key(name) for name in taken}
    return [name for name in names if key(name) not in keys]


def _write_lists(folder: Path, lists: dict[str, list[str]]) -> list[str]:
    """Write lists (name -> clips) and record their hashes. Returns the names of edited lists, which stay."""
    folder.mkdir(exist_ok=True)
    record = _read_record(folder / RECORD)
    changed: dict[Path, bytes] = {}
    edited = []
    for name, clips in lists.items():
        path, content = folder / f"{name}.txt", list_content(clips)
        old = path.read_bytes() if path.exists() else None
        if old == content:
            record[name] = [_hash(content)]
        elif old is None or _hash(old) in record.get(name, []):
            record[name] = [_hash(version) for version in (old, content) if version is not None]
            changed[path] = content
        else:
            edited.append(name)
    # The record comes first and has the old and the new hash: after a killed run neither counts as edited.
    write_atomically(folder / RECORD, json.dumps(record, indent=1).encode())
    for path, content in changed.items():
        write_atomically(path, content)
    return edited


def _read_record(path: Path) -> dict[str, list[str]]:
    """Name of a list -> hashes of the contents that were last written; empty without a usable record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {name: list(hashes) for name, hashes in record.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
