"""Fit confidences to how often words are right on a split, and write that into the weights file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lipnet.data.crop_store import CropStore
from lipnet.decoding.base import Floats
from lipnet.decoding.factory import DECODERS
from lipnet.errors import LipnetError
from lipnet.inference.confidence import FOLDS, calibration_error, cross_validated, fit, word_features
from lipnet.inference.emissions import Emissions
from lipnet.inference.reader import LipReader
from lipnet.inference.timestamps import word_timestamps
from lipnet.inference.torch_backend import TorchBackend
from lipnet.metrics import words_right
from lipnet.models.checkpoint import rewrite_metadata
from lipnet.utils.cli import one_line_errors

EXAMPLES = """examples:
  python scripts/calibrate.py runs/a/best.safetensors --data data/grid --split dev_seen dev_unseen
  python scripts/calibrate.py me.safetensors --data data/me --split all --decoder grammar
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, help="file whose header is rewritten")
    parser.add_argument("--data", type=Path, required=True, help="folder that preprocess.py wrote")
    parser.add_argument("--split", nargs="+", required=True, help="lists, of clips that were not trained on")
    parser.add_argument(
        "--decoder", nargs="+", help=f"of {', '.join(DECODERS)} (default: all that the weights can use)"
    )
    return parser.parse_args()


@one_line_errors
def main() -> int:
    args = parse_arguments()
    backend = TorchBackend.load(args.weights)
    readers = {decoder: LipReader(backend, decoder) for decoder in args.decoder or usable(backend)}
    said, emissions = read_clips(backend, args.data, args.split)
    for decoder, reader in readers.items():
        features, right = words_of(reader, said, emissions)
        if right.all() or not right.any():
            raise LipnetError(f"{' '.join(args.split)}: no word is wrong, or all are; give more clips")
        error = calibration_error(cross_validated(features, right), right)
        backend.metadata.calibration[decoder] = fit(features, right)
        print(
            f"{decoder}: {right.sum()} of {len(right)} words right, calibration error {100 * error:.1f} % "
            f"({FOLDS}-fold cross-validation)"
        )
    rewrite_metadata(args.weights, backend.metadata)
    return 0


def usable(backend: TorchBackend) -> list[str]:
    """The decoders that can write the weights' alphabet; the others are named."""
    decoders = []
    for decoder in DECODERS:
        try:
            LipReader(backend, decoder)
        except LipnetError as error:
            print(f"{decoder}: left out ({error})")
        else:
            decoders.append(decoder)
    return decoders


def read_clips(backend: TorchBackend, data: Path, splits: Sequence[str]) -> tuple[list[str], list[Emissions]]:
    """What is said in each clip of the splits, and the network's emissions."""
    corpus = CropStore(data)
    corpus.check_crop(backend.metadata.crop, "the weights need")
    clips = [clip for split in splits for clip in corpus.split(split)]
    crops = (corpus.array(clip.speaker)[clip.start : clip.start + clip.frames] for clip in clips)
    emissions = [
        backend([np.array(one)])[0] for one in tqdm(crops, total=len(clips), unit="clip", leave=False)
    ]
    return [clip.sentence for clip in clips], emissions


def words_of(
    reader: LipReader, said: Sequence[str], emissions: Sequence[Emissions]
) -> tuple[Floats, np.ndarray]:
    """Features (words, FEATURES) of all words that are read, and (words,) bool: which of them are right."""
    features, right = [], []
    for target, one in zip(said, emissions, strict=True):
        best = reader.hypotheses(one)[0]
        features.append(word_features(best, word_timestamps(best, one), one, reader.tokenizer))
        right += words_right(target, best.text)
    return np.concatenate(features), np.array(right)


if __name__ == "__main__":
    sys.exit(main())
