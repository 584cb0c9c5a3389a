"""The GRID corpus: its grammar, its files, its alignments and its splits.

A clip's id spells its sentence, one character a slot (``bbaf2n`` = bin blue at f two now). A corpus of
one's own works too: ids that spell nothing, with an ``ID.align`` or a plain ``ID.txt`` transcript each.
A clip is named ``SPEAKER/ID`` throughout, where SPEAKER is the clip's folder below the corpus' root.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from string import ascii_lowercase

from lipnet.errors import LipnetError
from lipnet.tokenizer import LETTERS, Alphabet, TextError, normalize

VIDEO_SUFFIXES = frozenset({".mpg", ".mp4", ".avi", ".mov", ".mkv", ".webm"})
VIDEOS = f"videos ({', '.join(sorted(VIDEO_SUFFIXES))})"
FRAME_RATE = 25.0  # frames/s of the corpus; alignments count in these frames whatever the video's own rate
SILENCES = frozenset({"sil", "sp"})
UNSEEN_SPEAKERS = ("s1", "s2", "s20", "s22")  # held out by the paper: two men, two women
OVERLAPPED_CLIPS = 255  # clips a speaker that the paper's overlapped split holds out
DEV_CLIPS = 20  # clips a speaker that are kept out of training to choose a checkpoint by


class CorpusError(LipnetError):
    """A corpus, alignment or split that cannot be used."""


@dataclass(frozen=True)
class Slot:
    """One position of a GRID sentence: the id's character -> the word."""

    name: str
    words: dict[str, str]


def _initials(*words: str) -> dict[str, str]:
    return {word[0]: word for word in words}


DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GRAMMAR = (
    Slot("command", _initials("bin", "lay", "place", "set")),
    Slot("colour", _initials("blue", "green", "red", "white")),
    Slot("preposition", _initials("at", "by", "in", "with")),
    Slot("letter", {letter: letter for letter in ascii_lowercase if letter != "w"}),
    Slot("digit", {"z" if value == 0 else str(value): word for value, word in enumerate(DIGITS)}),
    Slot("adverb", _initials("again", "now", "please", "soon")),
)
WORDS = tuple(word for slot in GRAMMAR for word in slot.words.values())  # the 51 words, by slot
WORD_CLASS = {word: index for index, word in enumerate(WORDS, start=1)}  # of the word heads; 0 is silence


@dataclass(frozen=True)
class Word:
    """A spoken word and its time in frames at 25 fps: ``start`` inclusive, ``end`` exclusive."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Clip:
    """A video whose sentence is known; ``words`` is empty where there are no timings."""

    speaker: str
    id: str
    video: Path
    sentence: str
    words: tuple[Word, ...]

    @property
    def name(self) -> str:
        return f"{self.speaker}/{self.id}"


@dataclass
class Corpus:
    """The clips found below ``root``, and those left out: name -> reason."""

    root: Path
    clips: list[Clip] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def sentence_of(clip_id: str) -> str | None:
    """The sentence that a GRID id spells, or None where it spells none."""
    if len(clip_id) != len(GRAMMAR):
        return None
    words = [slot.words.get(char) for slot, char in zip(GRAMMAR, clip_id.lower(), strict=True)]
    return None if None in words else " ".join(word for word in words if word)


def is_grid_sentence(words: Sequence[str]) -> bool:
    """Whether ``words`` are one GRID sentence, a word a slot."""
    return len(words) == len(GRAMMAR) and all(
        word in slot.words.values() for slot, word in zip(GRAMMAR, words, strict=True)
    )


def read_alignment(path: Path, alphabet: Alphabet = LETTERS) -> tuple[str, tuple[Word, ...]]:
    """Read ``start end word`` lines (times in 1/1000 of a frame) or a plain transcript, LF or CRLF.

    Returns the sentence and its timed words, in ``alphabet``; no words where the file has no timings.
    Raises CorpusError on a file that is neither.
    """
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        timed = [row for row in rows if len(row) == 3 and row[0].isdecimal() and row[1].isdecimal()]
        if rows and len(timed) == len(rows):
            spoken = [
                Word(normalize(text, alphabet), int(start) / 1000, int(end) / 1000)
                for start, end, text in rows
                if text.lower() not in SILENCES
            ]
            words = tuple(word for word in spoken if word.text)  # of "..." nothing is left
            return " ".join(word.text for word in words), words
        if timed and path.suffix == ".align":
            raise CorpusError(
                f"{path}: some lines are not 'start end word'; give every line its times or none"
            )
        return normalize(" ".join(" ".join(row) for row in rows), alphabet), ()
    except (OSError, UnicodeDecodeError, TextError) as error:
        raise CorpusError(f"{path}: cannot be read as an alignment ({error}); mend or remove it") from error


def list_videos(folder: Path) -> list[Path]:
    """The videos directly in a folder."""
    return [path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]


def find_clips(
    root: Path,
    aligns: Path | None = None,
    speakers: Iterable[str] | None = None,
    alphabet: Alphabet = LETTERS,
    list_clips: Callable[[Path], list[Path]] = list_videos,
    kind: str = VIDEOS,
) -> Corpus:
    """Find every clip below ``root`` and check its alignment against the sentence that its id spells.

    Args:
        root: the corpus; each folder below it that holds videos is a speaker.
        aligns: a folder of alignments (flat, or a folder a speaker), looked in first.
        speakers: only these.
        alphabet: what transcripts are written in.
        list_clips: what counts as a clip of those directly in a folder; its name begins with the id.
        kind: what such clips are, for an error.

    Raises:
        CorpusError: no such folder, no clip in it, or an unknown speaker.
    """
    for folder in (root, aligns):
        if folder is not None and not folder.is_dir():
            raise CorpusError(f"{folder}: no such folder; give the folder that holds s1, s2, ...")
    _transcripts_in.cache_clear()
    corpus = Corpus(root)
    folders = dict(_speaker_folders(root, list_clips))
    if not folders:
        raise CorpusError(f"{root}: no {kind} in it or below it")
    wanted = folders.keys() if speakers is None else list(speakers)
    for speaker in wanted:
        if speaker not in folders:
            raise CorpusError(f"{root}: no speaker {speaker!r}; there are {', '.join(folders)}")
        transcripts = _transcripts(root, speaker, folders[speaker][0].parent, aligns)
        ids: set[str] = set()
        for video in folders[speaker]:
            if video.stem in ids:
                corpus.problems[f"{speaker}/{video.name}"] = "another video there has the same id"
                continue
            ids.add(video.stem)
            try:
                corpus.clips.append(_clip(speaker, video, transcripts.get(video.stem), alphabet))
            except CorpusError as error:
                corpus.problems[f"{speaker}/{video.stem}"] = str(error)
    return corpus


def _speaker_folders(
    root: Path, list_clips: Callable[[Path], list[Path]]
) -> Iterator[tuple[str, list[Path]]]:
    """Each folder that directly holds clips, as (speaker, clips), in natural order (s2 before s10)."""
    found = []
    for folder, subfolders, _ in os.walk(root, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        clips = sorted(list_clips(Path(folder)))
        if clips:
            speaker = Path(folder).relative_to(root).as_posix()
            found.append((root.resolve().name if speaker == "." else speaker, clips))
    yield from sorted(found, key=lambda item: natural_key(item[0]))


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sort key that puts s2 before s10."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", name)]


def _transcripts(root: Path, speaker: str, folder: Path, aligns: Path | None) -> dict[str, Path]:
    """Id -> alignment or transcript file, for the videos in ``folder``; the more particular place wins."""
    name = Path(speaker).name
    places = [folder, root / "align", root / "alignments"]
    for base in dict.fromkeys((root, folder.parent)):
        places += [base / "align" / name, base / "alignments" / name]
    places += [folder / "align", root / "alignments" / speaker, root / "align" / speaker]
    if aligns is not None:
        places += [aligns, aligns / name, aligns / speaker]
    found: dict[str, Path] = {}
    for place in dict.fromkeys(places):
        found.update(_transcripts_in(place))
    return found


@lru_cache(maxsize=16)  # the places that speakers share, such as a flat folder of all alignments
def _transcripts_in(place: Path) -> dict[str, Path]:
    """Id -> file in one folder; an .align goes before a .txt."""
    return {path.stem: path for suffix in (".txt", ".align") for path in place.glob(f"*{suffix}")}


def _clip(speaker: str, video: Path, transcript: Path | None, alphabet: Alphabet) -> Clip:
    spelt = sentence_of(video.stem)
    if transcript is None:
        if spelt is None:
            raise CorpusError(f"no {video.stem}.align or .txt, and the id spells no GRID sentence")
        return Clip(speaker, video.stem, video, spelt, ())
    sentence, words = read_alignment(transcript, alphabet)
    if spelt is not None and sentence != spelt:
        raise CorpusError(f"{transcript} says {sentence!r}, the id spells {spelt!r}")
    if not sentence:
        raise CorpusError(f"{transcript} is empty")
    return Clip(speaker, video.stem, video, sentence, words)


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
