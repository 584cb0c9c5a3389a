"""A part of a corpus: the clips that match a pattern, and some of each speaker."""

from __future__ import annotations

from pathlib import PurePath

from lipnet.grid import Corpus, CorpusError


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
