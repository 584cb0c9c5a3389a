"""From a corpus to a crop store: the clips that it lacks are cropped by workers, and one process writes."""

from lipnet.data.preprocessing.jobs import crop_clip, import_clip
from lipnet.data.preprocessing.loop import export, preprocess, summary

__all__ = ["crop_clip", "export", "import_clip", "preprocess", "summary"]
