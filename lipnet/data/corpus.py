"""Corpus discovery: the clips below a folder with their transcripts, and the selection of a part of them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath

from lipnet.data.alignments import TRANSCRIPT_SUFFIXES, Word, fits, read_alignment
from lipnet.errors import CorpusError, LipnetError
from lipnet.grid import natural_key, sentence_of
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer, normalize, shortened

VIDEO_SUFFIXES = frozenset(  # in lower case; a file's suffix may be in any
    {".mpg", ".mpeg", ".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm", ".wmv"}
    | {".3gp", ".flv", ".ts", ".mts", ".y4m", ".h264", ".hevc", ".gif", ".apng"}
)
VIDEOS = f"videos ({', '.join(sorted(VIDEO_SUFFIXES))})"


@dataclass(frozen=True)
class Clip:
    """A video with a known sentence; ``words`` is empty if their times are unknown."""

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
    """The clips found below ``root``, and those that cannot be used: name -> reason."""

    root: Path
    clips: list[Clip] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    skipped: int = 0  # number of files that are neither videos nor transcripts, by their suffix


def is_hidden(path: Path) -> bool:
    """Whether a file is hidden, as the files ``._NAME`` are that macOS writes beside others; none is read."""
    return path.name.startswith(".")


def list_videos(folder: Path) -> list[Path]:
    """The videos directly in a folder."""
    return [path for path in _files(folder) if path.suffix.lower() in VIDEO_SUFFIXES]


def check_words(clip: Clip, frames: int) -> str | None:
    """Why the word times of a clip cannot be those of a video of ``frames`` frames; None if they can."""
    for word in clip.words:
        if not fits(word, frames):
            return (
                f"the alignment has {word.text!r} at frames {word.start:g} to {word.end:g}, the video has "
                f"{frames} frames; give the alignment of this video"
            )
    return None


def find_clips(
    root: Path,
    aligns: Path | None = None,
    speakers: Iterable[str] | None = None,
    tokenizer: Tokenizer = DEFAULT_TOKENIZER,
    list_clips: Callable[[Path], list[Path]] = list_videos,
    kind: str = VIDEOS,
) -> Corpus:
    """Find all clips below ``root`` and check each transcript against the sentence that a GRID id spells.

    Args:
        root: the corpus; every folder below it that has videos is a speaker.
        aligns: a folder of alignments, flat or with a folder per speaker; they take precedence over others.
        speakers: only these speakers; None: all.
        tokenizer: its alphabet is the one that transcripts are written in.
        list_clips: returns the clips directly in a folder; a clip's id is the stem of its path.
        kind: what these clips are, for the message.

    Raises:
        CorpusError: a folder does not exist or has no clips, or a speaker is unknown.
    """
    for folder in (root, aligns):
        if folder is not None and not folder.is_dir():
            raise CorpusError(f"{folder}: no such folder; give the folder that holds s1, s2, ...")
    folders = list(_real_folders(root))
    videos = _videos_by_speaker(root, folders, list_clips)
    if not videos:
        raise CorpusError(f"{root}: no {kind} in it or below it")
    list_transcripts = cache(_list_transcripts)  # speakers may share a folder of alignments
    corpus = Corpus(root, skipped=sum(map(_count_others, folders)) if list_clips is list_videos else 0)
    for speaker in videos if speakers is None else dict.fromkeys(speakers):
        if speaker not in videos:
            raise CorpusError(f"{root}: no speaker {speaker!r}; there are {', '.join(videos)}")
        transcripts: dict[str, Path] = {}
        for folder in _transcript_folders(root, speaker, videos[speaker][0].parent, aligns):
            transcripts.update(list_transcripts(folder))
        _add_speaker(corpus, speaker, videos[speaker], transcripts, tokenizer)
    return corpus


def _real_folders(root: Path) -> Iterator[Path]:
    """The folder and all below it, without hidden ones.

    Links are followed after all other folders. Each real folder is visited once, whatever links lead to it,
    and none that ``root`` is in.
    """
    seen = {_identity(parent) for parent in root.resolve().parents}
    folders, links = deque([root]), deque[Path]()
    while folders or links:
        folder = (folders or links).popleft()
        if _identity(folder) in seen or not os.access(folder, os.R_OK | os.X_OK):
            continue
        seen.add(_identity(folder))
        yield folder
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                is_link = entry.is_symlink()
                is_folder = os.path.isdir(entry) if is_link else entry.is_dir()
                if is_folder and not entry.name.startswith("."):
                    (links if is_link else folders).append(folder / entry.name)


def _identity(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _videos_by_speaker(
    root: Path, folders: Iterable[Path], list_clips: Callable[[Path], list[Path]]
) -> dict[str, list[Path]]:
    """Speaker -> videos, for each folder that directly has some; in natural order (s2 before s10)."""
    by_folder = {folder: videos for folder in folders if (videos := sorted(list_clips(folder)))}
    found = {folder.relative_to(root).as_posix(): by_folder[folder] for folder in by_folder if folder != root}
    if root in by_folder:
        speaker = root.resolve().name
        while speaker in found:  # a folder in ROOT has ROOT's own name
            speaker += "_root"
        found[speaker] = by_folder[root]
    return {speaker: found[speaker] for speaker in sorted(found, key=natural_key)}


def _count_others(folder: Path) -> int:
    """Number of files in a folder that are neither videos nor transcripts, by their suffix."""
    known = VIDEO_SUFFIXES.union(TRANSCRIPT_SUFFIXES)
    return sum(path.suffix.lower() not in known for path in _files(folder))


def _files(folder: Path) -> list[Path]:
    """The files directly in a folder, without hidden ones."""
    return [path for path in folder.iterdir() if not is_hidden(path) and path.is_file()]


def _transcript_folders(root: Path, speaker: str, folder: Path, aligns: Path | None) -> list[Path]:
    """Where transcripts of a speaker may be; those of a later folder take precedence.

    ``folder`` is the one with the speaker's videos.
    """
    name = Path(speaker).name
    places = [folder, root / "align", root / "alignments"]
    for base in (root, folder.parent):
        places += [base / "align" / name, base / "alignments" / name]
    places += [folder / "align", root / "alignments" / speaker, root / "align" / speaker]
    if aligns is not None:
        places += [aligns, aligns / name, aligns / speaker]
    return list(dict.fromkeys(places))


def _list_transcripts(folder: Path) -> dict[str, Path]:
    """Id -> transcript file, for those directly in a folder; none if it does not exist."""
    paths = sorted(_files(folder)) if folder.is_dir() else []
    return {
        path.stem: path for suffix in TRANSCRIPT_SUFFIXES for path in paths if path.suffix.lower() == suffix
    }


def _add_speaker(
    corpus: Corpus, speaker: str, videos: list[Path], transcripts: dict[str, Path], tokenizer: Tokenizer
) -> None:
    ids: set[str] = set()
    for video in videos:
        if video.stem in ids:
            corpus.problems[f"{speaker}/{video.name}"] = "another video in the folder has the same id"
            continue
        ids.add(video.stem)
        try:
            corpus.clips.append(_make_clip(speaker, video, transcripts.get(video.stem), tokenizer))
        except LipnetError as error:
            corpus.problems[f"{speaker}/{video.stem}"] = str(error)


def _make_clip(speaker: str, video: Path, transcript: Path | None, tokenizer: Tokenizer) -> Clip:
    spelt = sentence_of(video.stem)
    if transcript is None:
        if spelt is None:
            suffixes = ", ".join(reversed(TRANSCRIPT_SUFFIXES))
            raise CorpusError(f"no {video.stem} with {suffixes}, and the id spells no GRID sentence")
        return Clip(speaker, video.stem, video, normalize(spelt, tokenizer), ())
    sentence, words = read_alignment(transcript, tokenizer)
    if spelt is not None and sentence.lower() != spelt:
        raise CorpusError(f"{transcript} has {shortened(sentence)!r}, the id spells {spelt!r}")
    if not sentence:
        raise CorpusError(f"{transcript} is empty")
    return Clip(speaker, video.stem, video, sentence, words)


def select_clips(corpus: Corpus, pattern: str = "", first: int = 1, last: int | None = None) -> Corpus:
    """Select a part of a corpus, and of its problems likewise.

    Args:
        pattern: a glob that a clip's path below the root has to match from the right, such as ``*.mpg`` or
            ``s1/b*``; empty: all clips.
        first: of each speaker, the first of the matching clips by id, counted from 1.
        last: of each speaker, the last of them, which is included; None: all from ``first`` on.

    Raises:
        CorpusError: ``first`` or ``last`` is not a valid number, or no clip is selected.
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
    selected = _slice_per_speaker(names, first, last)
    if not selected:
        raise CorpusError(
            f"{corpus.root}: pattern, first and last select none of its {len(files)} clips; change them"
        )
    clips = [clip for clip in corpus.clips if clip.name in selected]
    problems = {name: reason for name, reason in corpus.problems.items() if name in selected}
    return Corpus(corpus.root, clips, problems, corpus.skipped)


def _may_match(name: str, pattern: str) -> bool:
    """Whether the file of a problem may match; the problem's name may lack the suffix."""
    stem = pattern.removesuffix(PurePath(pattern).suffix)
    return any(PurePath(name).match(glob) for glob in (pattern, stem) if PurePath(glob).parts)


def _slice_per_speaker(names: list[str], first: int, last: int | None) -> set[str]:
    """The ``first``-th to ``last``-th of each speaker's sorted names."""
    by_speaker: dict[str, list[str]] = {}
    for name in sorted(names):
        by_speaker.setdefault(name.rpartition("/")[0], []).append(name)
    return {name for own in by_speaker.values() for name in own[first - 1 : last]}
