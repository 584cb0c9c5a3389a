"""Whether stored clips have the landmarks that a network needs."""

from __future__ import annotations

from collections.abc import Sequence

from lipnet.data.crop_store import CropStore, StoredClip
from lipnet.errors import LipnetError


def check_landmarks(clips: Sequence[tuple[CropStore, StoredClip]], streams: Sequence[str]) -> None:
    """Raise LipnetError if a network with these ``model.streams`` cannot read the clips of these stores.

    One that reads landmarks only needs them of each clip. One that also reads pixels falls back to these.
    """
    if "pixels" in streams:
        return
    without = [(store, clip) for store, clip in clips if not clip.landmarks]
    if not without:
        return
    store, clip = without[0]
    cause = "its crops were made without landmarks"
    if store.crop.method != "dlib":
        cause = f"crop.method {store.crop.method} finds none"
    raise LipnetError(
        f"{store.root}: {len(without)} of {len(clips)} clips have no landmarks ({cause}), such as "
        f"{clip.name}, but model.streams is [{','.join(streams)}]; preprocess into another folder with "
        "crop.method=dlib, or use a network that reads pixels"
    )
