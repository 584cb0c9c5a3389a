"""Example videos: two synthetic speakers, rendered when the server starts."""

from __future__ import annotations

from pathlib import Path

from lipnet.grid import sentence_of
from lipnet.synthetic.corpus import render_frames
from lipnet.synthetic.head import HEIGHT, WIDTH
from lipnet.video.encode import write_video

SEED = 27
EXAMPLES = ((1, "pwbk4a"), (2, "lrav5s"))  # speaker and clip


def write_examples(folder: Path) -> dict[str, Path]:
    """Render the examples into a folder, which exists. Returns their files by what is said in them."""
    written = {}
    for speaker, clip in EXAMPLES:
        path = folder / f"example_{speaker}.mp4"
        write_video(path, render_frames(SEED, speaker, clip), WIDTH, HEIGHT)
        sentence = sentence_of(clip)
        assert sentence is not None
        written[sentence] = path
    return written
