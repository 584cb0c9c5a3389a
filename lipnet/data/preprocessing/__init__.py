"""From a corpus to a crop store: the clips that it lacks are cropped by workers, and one process writes."""

from lipnet.data.preprocessing.jobs import Cut, crop_clip, import_clip, receive_crops, send_crops
from lipnet.data.preprocessing.loop import export, preprocess, summary
from lipnet.data.preprocessing.merging import Parts
from lipnet.data.preprocessing.shards import Shard, finish_part, parse_shard, start_part

__all__ = [
    "Cut",
    "Parts",
    "Shard",
    "crop_clip",
    "export",
    "finish_part",
    "import_clip",
    "parse_shard",
    "preprocess",
    "receive_crops",
    "send_crops",
    "start_part",
    "summary",
]
