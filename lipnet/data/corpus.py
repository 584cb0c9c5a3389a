"""Corpus discovery: the clips below a folder, their transcripts, and the part of them that is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePath

from lipnet.data.alignments import Word, read_alignment
from lipnet.errors import CorpusError
from lipnet.grid import natural_key, sentence_of
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer


def select_clips(corpus: Corpus, pattern: str = "", first: int = 1, last: int | None = None) -> Corpus:
    """The part of a corpus that is asked for, its problems likewise.

    Args:
        pattern: a glob that a clip's path below the root has to match from the right, such as ``*.mpg`` or
            ``s1/b*``; empty: all.
        first: of each speaker, the first of the matching clips by id, counted from 1.
        last: likewise the last, which is included; None: all from ``first`` on.

    Raises:
        CorpusError: that leaves no clip.
    """
    if first < 1:
        raise CorpusError(f"first clip {first} of each speaker: count from 1")
    if last is not None and last < first:
        raise CorpusError(f"clips {first} to {last} of each speaker: the last must not come before the first")
    files = {clip.name: clip.video.relative_to(corpus.root) for clip in corpus.clips}
    names = [*files, *corpus.problems]
    if PurePath(pattern).parts:
        names = [name for name in files if files[name].match(pattern)]
        names += [name for name in corpus.problems if _may_match(name, pattern)]
    chosen = _of_each_speaker(names, first, last)
    part = Corpus(
        corpus.root,
        [clip for clip in corpus.clips if clip.name in chosen],
        {name: reason for name, reason in corpus.problems.items() if name in chosen},
    )
    if not chosen:
        raise CorpusError(
            f"{corpus.root}: no clip is left of {len(files)} by pattern, first and last; mend these"
        )
    return part


def _may_match(name: str, pattern: str) -> bool:
    """Whether the file of a clip with a problem, whose name may lack the suffix, may match."""
    stem = pattern.removesuffix(PurePath(pattern).suffix)
    return PurePath(name).match(pattern) or PurePath(name).match(stem)


def _of_each_speaker(names: list[str], first: int, last: int | None) -> set[str]:
    """The first-th to last-th name of each speaker's, sorted."""
    by_speaker: dict[str, list[str]] = {}
    for name in sorted(names):
        by_speaker.setdefault(name.rpartition("/")[0], []).append(name)
    return {name for own in by_speaker.values() for name in own[first - 1 : last]}


VIDEO_SUFFIXES = frozenset({".mpg", ".mp4", ".avi", ".mov", ".mkv", ".webm"})


VIDEOS = f"videos ({', '.join(sorted(VIDEO_SUFFIXES))})"


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


def list_videos(folder: Path) -> list[Path]:
    """The videos directly in a folder."""
    return [path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]


def find_clips(
    root: Path,
    aligns: Path | None = None,
    speakers: Iterable[str] | None = None,
    tokenizer: Tokenizer = DEFAULT_TOKENIZER,
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
                corpus.clips.append(_clip(speaker, video, transcripts.get(video.stem), tokenizer))
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


def _clip(speaker: str, video: Path, transcript: Path | None, tokenizer: Tokenizer) -> Clip:
    spelt = sentence_of(video.stem)
    if transcript is None:
        if spelt is None:
            raise CorpusError(f"no {video.stem}.align or .txt, and the id spells no GRID sentence")
        return Clip(speaker, video.stem, video, spelt, ())
    sentence, words = read_alignment(transcript, tokenizer)
    if spelt is not None and sentence != spelt:
        raise CorpusError(f"{transcript} says {sentence!r}, the id spells {spelt!r}")
    if not sentence:
        raise CorpusError(f"{transcript} is empty")
    return Clip(speaker, video.stem, video, sentence, words)
