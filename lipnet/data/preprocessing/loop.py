"""The loop of preprocessing: workers crop clips, this process adds them to a crop store in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby, tee
from pathlib import Path

from tqdm import tqdm

from lipnet.config import CropConfig
from lipnet.cropping.crop_file import CropFile
from lipnet.data.corpus import Clip, Corpus, check_words
from lipnet.data.crop_store import CropStore, CropStoreWriter
from lipnet.data.external_crops import save_crops
from lipnet.errors import LipnetError
from lipnet.utils.pool import Pool


def summary(counts: Counter[str], left_out: int, detects_faces: bool, done: str = "cropped") -> str:
    """One line about a run with the `preprocess` counts, which has ``done`` something with the clips."""
    relabelled = f", {counts['relabelled']} of them with new transcripts" if counts["relabelled"] else ""
    if not counts["cropped"]:
        return f"nothing to do, all {counts['present']} clips are there{relabelled}"
    line = f"{counts['cropped']} clips {done}, {counts['present']} were there already{relabelled}"
    line += f", {left_out} left out"
    if detects_faces:
        line += f"; a face in {100 * counts['faces'] / counts['frames']:.1f} % of the new frames"
        if counts["several"]:
            line += f"; several faces in {counts['several']} clips: see --face"
    return line


def preprocess(corpus: Corpus, out: Path, crop: CropConfig, pool: Pool[Clip, CropFile]) -> Counter[str]:
    """Add the clips that the crop store ``out`` lacks, or whose videos have changed, cropped by workers.

    Clips that cannot be cropped become ``corpus.problems`` and are removed from the store.

    Returns:
        How many clips were ``cropped``, how many were ``present`` before and how many of these were
        ``relabelled`` (have a new transcript); how many ``frames`` were cropped and how many show ``faces``,
        and how many clips show ``several`` faces at once.
    """
    counts: Counter[str] = Counter()
    with tqdm(total=len(corpus.clips), unit="clip", smoothing=0.02) as bar:
        for speaker, clips in groupby(corpus.clips, lambda clip: clip.speaker):
            with CropStoreWriter(out, speaker, crop) as writer:
                # While the first clips are cropped already, the next ones are looked up in the store.
                missing, tasks = tee(missing_clips(clips, corpus, writer, counts, bar))
                for clip, result in zip(missing, pool.map(tasks), strict=True):
                    bar.update()
                    if isinstance(result, LipnetError):
                        leave_out(clip, str(result), corpus, writer)
                    elif reason := check_words(clip, result.frames):
                        leave_out(clip, reason, corpus, writer)
                        result.remove()
                    else:
                        writer.add(clip, result.crops(crop), result.faces, result.landmarks)
                        result.remove()
                        counts.update(cropped=1, frames=result.frames, faces=result.faces)
                        counts.update(several=int(result.most_faces > 1))
    return counts


def missing_clips(
    clips: Iterable[Clip], corpus: Corpus, writer: CropStoreWriter, counts: Counter[str], bar: tqdm
) -> Iterator[Clip]:
    """Yield the clips that have to be cropped; count and relabel those that the store has."""
    for clip in clips:
        if not writer.is_current(clip):
            yield clip
            continue
        bar.update()
        if reason := check_words(clip, writer.clips[clip.id].frames):
            leave_out(clip, reason, corpus, writer)
        else:
            counts.update(present=1, relabelled=int(writer.relabel(clip)))


def leave_out(clip: Clip, reason: str, corpus: Corpus, writer: CropStoreWriter) -> None:
    corpus.problems[clip.name] = reason
    writer.remove(clip.id)


def export(corpus: Corpus, store: CropStore, out: Path, kind: str) -> None:
    """Write the crops of those clips of a corpus that are in the store as files of a kind (see `KINDS`).

    They are in the folder OUT_KIND beside the folder ``out``.
    """
    folder = out.resolve().with_name(f"{out.resolve().name}_{kind}")
    clips = [store.clips[clip.name] for clip in corpus.clips if clip.name in store.clips]
    for clip in tqdm(clips, unit="clip", desc=kind):
        save_crops(folder, clip.name, store.crops(clip), kind, store.landmarks(clip))
