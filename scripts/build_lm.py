"""Estimate a character n-gram model from the sentences of a crop store."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from lipnet.data.crop_store import CropStore
from lipnet.decoding.arpa import save_arpa
from lipnet.decoding.ngram import estimate, perplexity
from lipnet.tokenizer import DEFAULT_TOKENIZER, Tokenizer
from lipnet.utils.cli import command_line, make_parser

EXAMPLES = """examples:
  from the sentences that a network was trained on:
    %(prog)s --data data/grid --split train --out runs/a/grid.arpa

  order 3, gzipped, for another alphabet:
    %(prog)s --data data/digits --split train --order 3 --alphabet 0123456789 \\
        --out digits.arpa.gz

Use a training list: a language model of the test sentences would leak them into decoding.
"""


def parse_arguments() -> argparse.Namespace:
    parser = make_parser(__doc__, EXAMPLES)
    parser.add_argument(
        "--data", type=Path, required=True, help="crop store, a folder written by preprocess.py"
    )
    parser.add_argument("--split", required=True, help="list file, name of a list in DATA/splits, or all")
    parser.add_argument("--order", type=int, default=5, help="characters per n-gram (default: %(default)s)")
    parser.add_argument(
        "--alphabet",
        default=DEFAULT_TOKENIZER.alphabet,
        help="characters that the network writes (default: space and a to z)",
    )
    parser.add_argument("--out", type=Path, required=True, help="ARPA file, gzipped if the name ends in .gz")
    return parser.parse_args()


@command_line
def main() -> int:
    args = parse_arguments()
    tokenizer = Tokenizer(args.alphabet)
    sentences = [clip.sentence for clip in CropStore(args.data).split(args.split)]
    for sentence in sentences:
        tokenizer.encode(sentence)  # raises on characters outside the alphabet
    model = estimate(sentences, args.order, tokenizer.alphabet)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_arpa(model, args.out)
    sizes = Counter(map(len, model.probabilities))
    counts = ", ".join(f"{sizes[length]} {length}-grams" for length in range(1, args.order + 1))
    print(
        f"{args.out}: {len(sentences)} sentences, {counts}, "
        f"perplexity {perplexity(model, sentences):.3f} per character"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
