"""Reference texts of videos, by file name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lipnet.data.alignments import TRANSCRIPT_SUFFIXES, read_alignment
from lipnet.data.corpus import is_hidden
from lipnet.errors import CorpusError
from lipnet.tokenizer import Tokenizer


def find_references(folder: Path, videos: Mapping[Path, Path], tokenizer: Tokenizer) -> dict[Path, str]:
    """The text of each video that has an alignment or a transcript below the folder: ID.align, ID.txt, ...

    Args:
        videos: each video with its name, a relative path without suffix. Its reference is the file of that
            name, in the same subfolder or, if there is only one of that ID, anywhere below.

    Raises:
        CorpusError: no such folder, no references in it, several for one video, or one that cannot be read.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder; give the one with the alignments or transcripts")
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not is_hidden(path)]
    files = [path for suffix in TRANSCRIPT_SUFFIXES for path in paths if path.suffix.lower() == suffix]
    if not files:
        raise CorpusError(
            f"{folder}: no ID.align or ID.txt in it, and no subtitles; give the folder with the references"
        )
    exact = {path.relative_to(folder).with_suffix(""): path for path in files}
    by_id: dict[str, set[Path]] = {}
    for name in exact:
        by_id.setdefault(name.name, set()).add(name)
    found = {}
    for video, name in videos.items():
        candidates = {name} & exact.keys() or by_id.get(video.stem, set())
        if len(candidates) > 1:
            these = ", ".join(str(exact[one]) for one in sorted(candidates))
            raise CorpusError(f"{video}: which is its reference, {these}? give one folder of them")
        for one in candidates:
            found[video] = read_alignment(exact[one], tokenizer)[0]
    return found
