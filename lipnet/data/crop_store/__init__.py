"""Crop stores: the mouth crops and landmarks of a corpus on disk, per speaker two flat arrays and an index.

``SPEAKER.u8`` has the crops of all clips one after the other, each frame (H, W, 3) uint8 RGB.
``SPEAKER.landmarks.f16`` has, for the same frames, the landmarks (68, 2) float16 in face units as measured,
NaN where none were found; it has zeros for clips without landmarks. ``SPEAKER.index.json`` has the crop
settings, and each clip's frames, sentence and words. The arrays are extended before the index is replaced
atomically, so a killed run leaves at worst some frames at their ends that are not in the index; the next run
overwrites them.
"""

from lipnet.data.crop_store.index import CropStoreError, StoredClip
from lipnet.data.crop_store.store import CropStore, check_landmarks, without_speakers
from lipnet.data.crop_store.writer import CropStoreWriter, check_same_crop, note_deleted, remove_problems

__all__ = [
    "CropStore",
    "CropStoreError",
    "CropStoreWriter",
    "StoredClip",
    "check_landmarks",
    "check_same_crop",
    "note_deleted",
    "remove_problems",
    "without_speakers",
]
