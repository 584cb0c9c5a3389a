"""Language models for tests: sentences to estimate them from, and a pruned model written by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from lipnet.decoding.arpa import load_arpa
from lipnet.decoding.ngram import NGram

SENTENCES = (
    "bin blue at f two now",
    "bin blue at l two now",
    "lay red by z nine again",
    "set white with p zero soon",
    "place green in a seven please",
    "bin red at f nine now",
)
WORDS = [sentence.split() for sentence in SENTENCES]

HAND_WRITTEN = """\
a header, such as some tools write
\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-0.3\ta\t-0.2
-0.6\tb
-0.9\t</s>

\\2-grams:
-0.1\t<s> a\t-0.4
-0.2\ta b\t-0.25
-0.7\tb <unk>

\\3-grams:
-0.05\t<s> a b

\\end\\
"""


def hand_written(folder: Path, text: str = HAND_WRITTEN) -> NGram:
    """Load a file hand.arpa with this text."""
    path = folder / "hand.arpa"
    path.write_bytes(text.encode())
    return load_arpa(path)


def histories(sentences: Sequence[Sequence[str]], extra: Sequence[str]) -> list[tuple[str, ...]]:
    """All histories in the sentences, and random ones that never occur."""
    seen = {("<s>", *sentence)[:n] for sentence in sentences for n in range(1, len(sentence) + 2)}
    rng = random.Random(0)
    random_ones = [tuple(rng.choices(extra, k=rng.randint(0, 6))) for _ in range(60)]
    return [*sorted(seen), *random_ones, *(("<s>", *history) for history in random_ones)]
