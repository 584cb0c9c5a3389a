"""Calibrate confidences on a split, and write the calibration into the weights file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lipnet.cropping.landmarks import clip_features
from lipnet.data.crop_store import CropStore, check_landmarks
from lipnet.decoding.base import Floats
from lipnet.decoding.factory import DECODERS
from lipnet.errors import LipnetError
from lipnet.inference.confidence import FOLDS, calibration_error, cross_validated, fit, word_features
from lipnet.inference.emissions import Backend, Emissions
from lipnet.inference.reader import load_backend
from lipnet.inference.sentences import SentenceDecoder
from lipnet.inference.timestamps import word_timestamps
from lipnet.metrics import words_right
from lipnet.models.checkpoint import rewrite_metadata
from lipnet.models.metadata import Metadata
from lipnet.models.onnx.metadata import check_onnx_installed, rewrite_onnx_metadata
from lipnet.utils.cli import command_line, make_parser

EXAMPLES = """examples:
  %(prog)s runs/a/best.safetensors --data data/grid --split dev_seen dev_unseen
  %(prog)s me.safetensors --data data/me --split all --decoder grammar
  %(prog)s me.onnx --data data/me --split all
"""


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    parser.add_argument("weights", type=Path, help="weights or .onnx file whose metadata gets it")
    parser.add_argument("--data", type=Path, required=True, help="folder that preprocess.py wrote")
    parser.add_argument("--split", nargs="+", required=True, help="lists of clips that were not trained on")
    parser.add_argument(
        "--decoder", nargs="+", help=f"of {', '.join(DECODERS)} (default: all that the weights can use)"
    )
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    is_onnx = args.weights.suffix == ".onnx"
    if is_onnx:
        check_onnx_installed()  # rather now than after the clips were read
    backend = load_backend(args.weights)
    metadata = backend.metadata
    decoders = [SentenceDecoder(metadata, name) for name in args.decoder or usable_decoders(metadata)]
    targets, emissions = read_clips(backend, args.data, args.split)
    for decoder in decoders:
        features, right = words_of(decoder, targets, emissions)
        if right.all() or not right.any():
            raise LipnetError(f"{' '.join(args.split)}: no word is wrong, or all are; give more clips")
        error = calibration_error(cross_validated(features, right), right)
        metadata.calibration[decoder.name] = fit(features, right)
        print(
            f"{decoder.name}: {right.sum()} of {len(right)} words right, calibration error "
            f"{100 * error:.1f} % ({FOLDS}-fold cross-validation)"
        )
    rewrite = rewrite_onnx_metadata if is_onnx else rewrite_metadata
    rewrite(args.weights, metadata)
    return 0


def usable_decoders(metadata: Metadata) -> list[str]:
    """The decoders that can spell with the weights' alphabet; a line is printed for each of the others."""
    usable = []
    for name in DECODERS:
        try:
            SentenceDecoder(metadata, name)
        except LipnetError as error:
            print(f"{name}: left out ({error})")
        else:
            usable.append(name)
    return usable


def read_clips(backend: Backend, data: Path, splits: Sequence[str]) -> tuple[list[str], list[Emissions]]:
    """The reference text and the emissions of each clip of the splits."""
    store = CropStore(data)
    store.check_crop(backend.metadata.crop, "the weights need")
    clips = [clip for split in splits for clip in store.split(split)]
    if not any(clip.sentence.split() for clip in clips):
        raise LipnetError(f"{data}: no clip of {' '.join(splits)} has a reference text; give other lists")
    check_landmarks([(store, clip) for clip in clips], backend.metadata.model.streams)
    emissions = []
    for clip in tqdm(clips, unit="clip", leave=False):
        crops = store.crops(clip)
        landmarks = clip_features(store.landmarks(clip), backend.metadata.model.landmark_input)
        emissions += backend([np.array(crops)], [landmarks])
    return [clip.sentence for clip in clips], emissions


def words_of(
    decoder: SentenceDecoder, targets: Sequence[str], emissions: Sequence[Emissions]
) -> tuple[Floats, np.ndarray]:
    """Features (words, FEATURES) of all words of the hypotheses, and (words,) bool: which are right."""
    features, right = [], []
    for target, one in zip(targets, emissions, strict=True):
        best = decoder.hypotheses(one)[0]
        features.append(word_features(best, word_timestamps(best, one), one, decoder.tokenizer))
        right += words_right(target, best.text)
    return np.concatenate(features), np.array(right)


if __name__ == "__main__":
    sys.exit(main())
