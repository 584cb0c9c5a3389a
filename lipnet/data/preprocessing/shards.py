"""Shards of a corpus, for job arrays: each is cropped into a folder of its own, a part of the crop store.

A clip's shard follows from its name alone, so that the shards are the same on every machine, whatever else
is in the corpus; the clips of a speaker are spread over all shards, which are of about the same size. A part
is a crop store too, continued as any other. It is finished once it has a record of what was left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lipnet.config import CropConfig
from lipnet.data.corpus import Corpus
from lipnet.data.crop_store import check_same_crop
from lipnet.data.crop_store.index import read_indexes
from lipnet.errors import LipnetError
from lipnet.utils.files import write_atomically

PARTS = ".shards"  # the folder of all parts in a crop store: hidden, as no speaker's folder is
RECORD = "finished.json"  # of a part: clip name -> why it was left out


@dataclass(frozen=True, order=True)
class Shard:
    """The ``number``-th of ``count`` parts of a corpus, counted from 1."""

    count: int
    number: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def folder(self, root: Path) -> Path:
        """Its part of the crop store ``root``."""
        return root / PARTS / f"{self.number}-of-{self.count}"

    def select(self, corpus: Corpus) -> Corpus:
        """The clips and the problems of a corpus that are in this shard; there may be none."""
        clips = [clip for clip in corpus.clips if shard_of(clip.name, self.count) == self]
        names = [name for name in corpus.problems if shard_of(name, self.count) == self]
        return Corpus(corpus.root, clips, {name: corpus.problems[name] for name in names}, corpus.skipped)


def parse_shard(text: str) -> Shard:
    """The shard I/N. Raises LipnetError unless these are whole numbers with 1 <= I <= N."""
    match = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise LipnetError(f"--shard {text}: give I/N, the I-th of N shards, such as 1/8 to 8/8")
    return Shard(count, number)


def shard_of(name: str, count: int) -> Shard:
    """The one of ``count`` shards that the clip SPEAKER/ID is in, by a hash of its name."""
    # The name need not be UTF-8: folders' names may be Latin-1.
    digest = sha256(name.encode(errors="surrogatepass")).digest()
    return Shard(count, 1 + int.from_bytes(digest[:8], "big") % count)


def start_part(folder: Path, crop: CropConfig) -> None:
    """A part is not finished any more: clips may be added to it or removed.

    Raises LipnetError if it is cropped with other settings; it stays finished then.
    """
    for index in read_indexes(folder):
        check_same_crop(folder, index.crop, crop)
    (folder / RECORD).unlink(missing_ok=True)


def finish_part(folder: Path, left_out: dict[str, str]) -> None:
    """Record that a part has all clips of its shard but those that were left out: name -> reason."""
    write_atomically(folder / RECORD, json.dumps(left_out, indent=1).encode())


def read_left_out(folder: Path) -> dict[str, str] | None:
    """The clips that a finished part lacks, name -> reason; None if the part is not finished."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return {str(name): str(reason) for name, reason in record.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def find_parts(root: Path) -> list[Shard]:
    """The shards of which the crop store ``root`` has parts, finished or not, in their order.

    Raises LipnetError if they are of different partitions.
    """
    names = [path.name for path in (root / PARTS).glob("*-of-*")]
    matches = filter(None, (re.fullmatch(r"([0-9]{1,5})-of-([0-9]{1,5})", name) for name in names))
    shards = sorted(Shard(int(match[2]), int(match[1])) for match in matches)
    counts = {shard.count for shard in shards}
    if len(counts) > 1:
        raise LipnetError(
            f"{root / PARTS}: has parts of {' and of '.join(map(str, sorted(counts)))} shards; delete those "
            "that are not to be merged"
        )
    return shards
