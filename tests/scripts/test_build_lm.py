"""build_lm.py on a tiny crop store."""

from __future__ import annotations

from pathlib import Path

from tiny import assert_one_line, run_script

from lipnet.decoding.arpa import load_arpa
from lipnet.decoding.ngram import is_character_model
from lipnet.tokenizer import DEFAULT_TOKENIZER


def test_build_lm(crop_store: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "grid.arpa"
    result = run_script("build_lm", "--data", crop_store, "--split", "train", "--order", 3, "--out", out)
    assert (result.code, result.err) == (0, "")
    model = load_arpa(out)
    sizes = [sum(len(ngram) == k for ngram in model.probabilities) for k in (1, 2, 3)]
    counts = f"{sizes[0]} 1-grams, {sizes[1]} 2-grams, {sizes[2]} 3-grams"
    assert result.out.startswith(f"{out}: 7 sentences, {counts}, perplexity ")
    assert result.out.endswith(" per character\n") and result.out.count("\n") == 1
    assert set(model.vocabulary) == {*DEFAULT_TOKENIZER.alphabet, "</s>"}
    assert is_character_model(model)


def test_build_lm_errors(crop_store: Path, tmp_path: Path) -> None:
    for complaint, changes in (
        ("no split 'best'", ("--split", "best")),
        ("order 0", ("--order", 0)),
        ("is not in the alphabet 'abc'", ("--alphabet", "abc")),
        ("alphabet 'aa'", ("--alphabet", "aa")),
    ):
        given = ("--data", crop_store, "--split", "train", "--out", tmp_path / "lm.arpa")
        assert_one_line(run_script("build_lm", *given, *changes), complaint)
    assert list(tmp_path.iterdir()) == []
