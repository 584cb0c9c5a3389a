"""Inputs of every kind that the programs read: valid ones, and mutated ones by seed and number."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from fuzz.formats import mutate_hdf5, mutate_onnx
from fuzz.mutations import Rng, mutate_bytes, mutate_json, mutate_safetensors, mutate_text, mutate_tree
from landmark_store import stream_model
from tiny import CROP, make_clip, pack, tiny_model, write_list
from video_files import write_video

from lipnet.config import Config
from lipnet.decoding.arpa import save_arpa
from lipnet.decoding.ngram import estimate
from lipnet.models.checkpoint import save_resume, save_weights
from lipnet.models.lipnet import LipNet
from lipnet.models.metadata import Metadata
from lipnet.settings import save_config
from lipnet.synthetic.corpus import render_frames
from lipnet.tokenizer import DEFAULT_TOKENIZER

FRAMES = 12  # of a video
# suffix, codec, pixel format
CODECS = (
    ("mpg", "mpeg1video", "yuv420p"), ("ts", "mpeg2video", "yuv420p"), ("mp4", "libx264", "yuv420p"),
    ("webm", "libvpx", "yuv420p"), ("webm", "libvpx-vp9", "yuv420p"), ("avi", "mpeg4", "yuv420p"),
    ("avi", "msmpeg4v3", "yuv420p"), ("mov", "mjpeg", "yuvj420p"), ("mkv", "ffv1", "yuv420p"),
    ("wmv", "wmv2", "yuv420p"), ("flv", "flv1", "yuv420p"), ("gif", "gif", "rgb8"),
)  # fmt: skip
SENTENCES = ("bin blue at f two now", "lay green by m five please", "place red with a one soon")
ALIGN = "0 12000 sil\n12000 20000 bin\n20000 30000 blue\n30000 40000 at\n40000 45000 f\n45000 75000 sil\n"
SUBTITLES = "1\n00:00:00,500 --> 00:00:02,000\nbin blue at f two now\n"
PACKAGES = {"onnx": ("onnx", "onnxruntime"), "published": ("h5py",)}  # optional, and needed by these kinds
# A third are videos, which pass through most code.
ALL_KINDS = (
    "video", "index", "video", "list", "alignment", "onnx", "video", "config", "grammar", "video", "weights",
    "arpa", "published", "video", "resume", "dictionary", "onnx", "video",
)  # fmt: skip
ORDER = tuple(kind for kind in ALL_KINDS if all(map(find_spec, PACKAGES.get(kind, ()))))


class Input(NamedTuple):
    """A mutated input. ``path`` is a file, or a folder in which one file is mutated."""

    number: int
    kind: str
    name: str  # of the file that was mutated
    path: Path


def write_valid(folder: Path) -> None:
    """Write valid inputs into ``folder``, a subfolder for each kind."""
    for kind in dict.fromkeys(ORDER):
        (folder / kind).mkdir(parents=True)
    frames = list(islice(render_frames(0, 1, "bbaf2n"), FRAMES))
    for number, (suffix, codec, pixels) in enumerate(CODECS):
        write_video(folder / "video" / f"{number:02}_{codec}.{suffix}", frames, codec=codec, pix_fmt=pixels)
    clips = [make_clip("s1", name, 12) for name in ("bbaf2n", "lgbm5p")]
    pack(folder / "index", clips, [12, 12])
    write_list(folder / "list" / "train.txt", [clip.name for clip in clips])
    (folder / "alignment" / "a.align").write_text(ALIGN)
    (folder / "alignment" / "b.txt").write_text(f"{SENTENCES[0]}\n")
    (folder / "alignment" / "c.txt").write_text(f"Text:  {SENTENCES[1].upper()}\nConf:  4\n")
    (folder / "alignment" / "d.srt").write_text(SUBTITLES)
    config = Config(model=tiny_model())
    save_config(config, folder / "config" / "config.yaml")
    (folder / "grammar" / "slots.yaml").write_text("- [turn, switch]\n- [lights, radio]\n- [on, off]\n")
    (folder / "grammar" / "words.txt").write_text("turn\nlights\non\n")
    (folder / "dictionary" / "words.txt").write_text("turn 3\nlights 2\non 1\n")
    characters = estimate([list(sentence) for sentence in SENTENCES], 3, DEFAULT_TOKENIZER.alphabet)
    save_arpa(characters, folder / "arpa" / "lm.arpa")
    model = LipNet(tiny_model())
    save_weights(folder / "weights" / "w.safetensors", model.state_dict(), Metadata(model.config, CROP))
    _write_run(folder / "resume", config, model)
    if "onnx" in ORDER:
        _write_onnx(folder / "onnx")
    if "published" in ORDER:
        _write_published(folder / "published")


def _write_run(folder: Path, config: Config, model: LipNet) -> None:
    """A run directory after its first epoch."""
    save_config(config, folder / "config.yaml")
    line = {"epoch": 1, "step": 3, "loss": 2.5, "dev": {}}
    (folder / "log.jsonl").write_text(json.dumps(line) + "\n")
    state = {"model": dict(model.state_dict()), "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3}]}}
    save_resume(folder / "resume.pt", _progress(state))


def _write_onnx(folder: Path) -> None:
    """Exported networks, with and without word heads, and with landmarks."""
    from lipnet.models.onnx.export import onnx_model

    words = tiny_model(word_heads=True, cell="lstm", norm="batch")
    for name, config in (("a", tiny_model()), ("b", words), ("c", stream_model("late"))):
        model = LipNet(config).eval()
        content = onnx_model(model, Metadata(model.config, CROP)).SerializeToString()
        (folder / f"{name}.onnx").write_bytes(content)


def _write_published(folder: Path) -> None:
    """Weights in the layouts of other repositories."""
    from published_files import keras_layers, lipcoordnet_state, vipl_state, write_keras, write_vipl

    write_keras(folder / "a.h5", keras_layers("plain"))
    write_keras(folder / "b.h5", keras_layers("normed"), nested=True, backend="theano")
    write_keras(folder / "c.hdf5", keras_layers("osalinasv"))
    write_vipl(folder / "d.pt", vipl_state())
    write_vipl(folder / "e.pt", lipcoordnet_state())


def _progress(train_state: dict[str, object]) -> dict[str, object]:
    return {"epoch": 1, "step": 3, "best": 0.5, "train_state": train_state, "pretrained_info": {}}


def make_input(valid: Path, folder: Path, seed: int, number: int) -> Input:
    """Write mutated input ``number`` of ``seed`` into ``folder``, made of the `write_valid` ones."""
    rng = np.random.default_rng([seed, number])
    kind = ORDER[number % len(ORDER)]
    files = sorted(path for path in (valid / kind).rglob("*") if path.is_file() and path.suffix != ".u8")
    source = files[int(rng.integers(len(files)))]
    target = folder / f"{number:05}_{source.name}"
    if kind in ("index", "resume"):
        shutil.copytree(valid / kind, target)
        changed = target / source.relative_to(valid / kind)
    else:
        changed = target
    if source.suffix == ".pt" and rng.random() < 0.6:
        torch.save(mutate_tree(torch.load(source, weights_only=True), rng), changed)
    else:
        changed.write_bytes(_mutation(source)(source.read_bytes(), rng))
    return Input(number, kind, source.name, target)


def _mutation(source: Path) -> Callable[[bytes, Rng], bytes]:
    if source.parent.name == "video" or source.suffix == ".pt":
        return mutate_bytes
    if source.suffix in MUTATIONS:
        return MUTATIONS[source.suffix]
    return mutate_json if source.suffix in (".json", ".jsonl") else mutate_text


MUTATIONS: dict[str, Callable[[bytes, Rng], bytes]] = {
    ".safetensors": mutate_safetensors,
    ".onnx": mutate_onnx,
    ".h5": mutate_hdf5,
    ".hdf5": mutate_hdf5,
}
