"""Videos as a command line names them: files, folders, patterns, URLs, standard input; and their outputs."""

from __future__ import annotations

import io
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from glob import glob
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import unquote, urlsplit

from lipnet.data.corpus import VIDEO_SUFFIXES
from lipnet.errors import LipnetError
from lipnet.utils.cli import ALL_PROBLEMS
from lipnet.video.decode import Url

STANDARD_INPUT = "-"
SUMMARY = "predictions"  # the table of all videos is called so: no video's output is
RESERVED = {SUMMARY, Path(ALL_PROBLEMS).stem}


class StandardInput(io.FileIO):
    """A video from standard input, copied to a temporary file: not all formats are read from start to end."""

    def __init__(self) -> None:
        """Raises LipnetError where standard input is a terminal."""
        if sys.stdin is None or sys.stdin.isatty():
            raise LipnetError("standard input: is a terminal; pipe a video into it, or give a file")
        self._copy = NamedTemporaryFile(prefix="lipnet-")  # noqa: SIM115
        shutil.copyfileobj(sys.stdin.buffer, self._copy)
        self._copy.flush()
        self.path = Path(self._copy.name)
        super().__init__(self.path)
        self.name = "standard input"  # in messages


Video = Path | Url | StandardInput


def find_videos(patterns: Iterable[str], urls: Iterable[str] = ()) -> dict[Video, Path]:
    """Each video, with the relative path that its outputs get, without suffix.

    Raises LipnetError on a pattern without files, or a folder without videos.
    """
    videos: dict[Video, Path] = {}
    for pattern in dict.fromkeys(patterns):
        if pattern == STANDARD_INPUT:
            videos[StandardInput()] = Path("stdin")
            continue
        for path in expand(pattern):
            for video, name in (videos_in(path) if path.is_dir() else {path: Path(path.name)}).items():
                videos[video] = name
    videos.update({Url(url): _name_of(url) for url in urls})
    stems = Counter(name.with_suffix("") for name in videos.values())
    return {
        video: _output_name(name, alone=stems[name.with_suffix("")] == 1, of_many=len(videos) > 1)
        for video, name in videos.items()
    }


def _output_name(name: Path, alone: bool, of_many: bool) -> Path:
    """The name without its suffix; with it, if the output would overwrite another video's or the summary."""
    stem = name.with_suffix("")
    if of_many and str(stem).casefold() in RESERVED:
        return name if name.suffix else name.with_suffix(".video")
    return stem if alone else name


def _name_of(url: str) -> Path:
    """The last part of a URL's path that is not empty, or the name of its host."""
    address = urlsplit(url)
    parts = [part for part in unquote(address.path).split("/") if part.strip(". \0")]
    return Path((parts or [address.hostname or "video"])[-1].replace("\0", ""))


def expand(pattern: str) -> list[Path]:
    """The files of a pattern that the shell did not expand; an existing path is taken as it is."""
    if Path(pattern).exists():
        return [Path(pattern)]
    if "://" in pattern:
        raise LipnetError(f"{pattern}: no such file; give the address of a video with --url")
    if not any(sign in pattern for sign in "*?["):
        return [Path(pattern)]
    found = sorted(glob(pattern, recursive=True))
    if not found:
        raise LipnetError(f"{pattern}: no file matches; check the pattern")
    return list(map(Path, found))


def videos_in(folder: Path) -> dict[Path, Path]:
    """The videos anywhere below a folder, with their paths relative to it."""
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file() and not file.name.startswith(".")
    )
    if not found:
        raise LipnetError(f"{folder}: no videos in this folder ({', '.join(sorted(VIDEO_SUFFIXES))})")
    return {file: file.relative_to(folder) for file in found}
