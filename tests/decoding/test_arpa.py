"""ARPA files: round trips, files of other tools, and invalid files."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from language_models import HAND_WRITTEN, SENTENCES, WORDS, hand_written

from lipnet.decoding.arpa import load_arpa, save_arpa
from lipnet.decoding.ngram import NGramError, estimate

LN10 = math.log(10)


def test_hand_written_arpa_backs_off(tmp_path: Path) -> None:
    model = hand_written(tmp_path)
    assert model.order == 3
    assert model.vocabulary == ("</s>", "<unk>", "a", "b")
    expected = {
        ("<s> a", "b"): -0.05,
        ("b b <s> a", "b"): -0.05,  # only the last two tokens of a context count
        ("<s> a", "a"): -0.4 - 0.2 - 0.3,
        ("<s> a", "</s>"): -0.4 - 0.2 - 0.9,
        ("a b", "a"): -0.25 - 0.3,  # b has no back-off weight: 0
        ("b a", "b"): -0.2,
        ("", "b"): -0.6,
        ("", "q"): -1.0,
        ("a", "q"): -0.2 - 1.0,
        ("a b", "q"): -0.25 - 0.7,  # the bigram b <unk>
        ("q", "a"): -0.3,
        ("a", "<s>"): -math.inf,
    }
    for (context, token), value in expected.items():
        assert model.log_prob(tuple(context.split()), token) / LN10 == pytest.approx(value)


def test_probabilities_of_zero_and_one_as_tools_write_them(tmp_path: Path) -> None:
    text = HAND_WRITTEN.replace("-0.6\tb", "-99\tb").replace("-0.1\t<s> a", "1e-7\t<s> a")
    model = hand_written(tmp_path, text)
    assert model.log_prob((), "b") == -math.inf
    assert model.log_prob(("<s>",), "a") == 0.0
    save_arpa(model, tmp_path / "again.arpa")
    assert load_arpa(tmp_path / "again.arpa") == model


@pytest.mark.parametrize("sentences", [SENTENCES, WORDS], ids=["characters", "words"])
@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz"])
def test_round_trip(tmp_path: Path, sentences: Sequence[Sequence[str]], order: int, name: str) -> None:
    model = estimate(sentences, order, vocabulary="é")
    save_arpa(model, tmp_path / name)
    again = load_arpa(tmp_path / name)
    assert again.order == order
    assert again.vocabulary == model.vocabulary
    assert again.probabilities == pytest.approx(model.probabilities, abs=2e-8)
    assert again.backoffs == pytest.approx(model.backoffs, abs=2e-8)
    save_arpa(again, tmp_path / f"again_{name}")
    assert (tmp_path / f"again_{name}").read_bytes() == (tmp_path / name).read_bytes()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [f"again_{name}", name]  # and no temporary file
    content = (
        tmp_path / name
    ).read_bytes()  # the gzip header has no time, so that a model always has the same bytes
    assert content.startswith(b"\x1f\x8b\x08\0\0\0\0\0" if name.endswith(".gz") else b"\\data\\\n")


def test_saved_arpa_in_full(tmp_path: Path) -> None:
    save_arpa(estimate([["a", " "], ["a"]], order=2), tmp_path / "lm.arpa")
    assert (tmp_path / "lm.arpa").read_text() == (
        "\\data\\\nngram 1=4\nngram 2=4\n\n"
        "\\1-grams:\n"
        "-0.30103000\t</s>\n"
        "-99\t<s>\t-0.52287875\n"
        "-0.60205999\t<space>\t-0.22184875\n"
        "-0.60205999\ta\t-0.22184875\n\n"
        "\\2-grams:\n"
        "-0.11069830\t<s> a\n"
        "-0.15490196\t<space> </s>\n"
        "-0.30103000\ta </s>\n"
        "-0.45593196\ta <space>\n\n"
        "\\end\\\n"
    )
    assert " " in load_arpa(tmp_path / "lm.arpa").vocabulary


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace("\t", "  "),
        lambda text: text.replace(" ", "\t").replace("ngram\t", "ngram "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: "\ufeff" + text[text.index("\\data") :],
        lambda text: text.replace("=", " = ").replace("\\3", "\n \n  \\3").replace("grams:", "grams: "),
        lambda text: text.removesuffix("\n"),
        lambda text: text + "a footer\n",
        lambda text: text.replace("-99\t<s>", "0\t<s>"),  # KenLM
        lambda text: text.replace("-99\t<s>", "-inf\t<s>"),
        lambda text: text.replace("<unk>", "<UNK>"),
        lambda text: text.replace("a b\n\n\\end", "a b\t0\n\n\\end"),
    ],
)
def test_arpa_of_other_tools(tmp_path: Path, rewrite: Callable[[str], str]) -> None:
    expected = hand_written(tmp_path)
    assert rewrite(HAND_WRITTEN) != HAND_WRITTEN
    assert hand_written(tmp_path, rewrite(HAND_WRITTEN)) == expected


def test_only_tabs_and_spaces_separate_tokens(tmp_path: Path) -> None:
    text = HAND_WRITTEN.replace("a", "\u3000").replace("d\u3000t\u3000", "data").replace("gr\u3000m", "gram")
    assert "\u3000" in hand_written(tmp_path, text).vocabulary


BROKEN = [
    ("", 1, "no line \\\\data\\\\"),
    ("hello\nyou\n", 2, "no line \\\\data\\\\"),
    (HAND_WRITTEN.replace("ngram 2=3\n", ""), 4, "expected 'ngram 2=COUNT', found 'ngram 3=1'"),
    (HAND_WRITTEN.replace("ngram 1=5\nngram 2=3\nngram 3=1\n", ""), 4, "expected 'ngram 1=COUNT'"),
    (HAND_WRITTEN.replace("ngram 1=5", "ngram 1=five"), 3, "expected 'ngram 1=COUNT'"),
    (HAND_WRITTEN.replace("ngram 1=5", "ngram 1=6"), 14, "found 5 1-grams, but the header says 6"),
    (HAND_WRITTEN.replace("\\2-grams:", "\\3-grams:"), 14, r"expected '\\2-grams:', found '\\3-grams:'"),
    (HAND_WRITTEN.replace("-0.6\tb", "b"), 11, "'b' is not a 1-gram: a number, 1 token"),
    (HAND_WRITTEN.replace("a b\t-0.25", "a b b -0.25"), 16, "is not a 2-gram: a number, 2 tokens"),
    (HAND_WRITTEN.replace("a b\t-0.25", "a b x"), 16, "'x' is not a logarithm"),
    (HAND_WRITTEN.replace("-0.6\tb", "x\tb"), 11, "'x' is not a logarithm"),
    (HAND_WRITTEN.replace("-0.6\tb", "nan\tb"), 11, "'nan' is not a logarithm"),
    (HAND_WRITTEN.replace("-0.2\ta b", "0.2\ta b"), 16, "'0.2' is above 0"),
    (HAND_WRITTEN.replace("a b\t-0.25", "a b\tinf"), 16, "'inf' is not a logarithm"),
    (HAND_WRITTEN.replace("a b\t-0.25", "a c"), 16, "'c' is not among the 1-grams"),
    (HAND_WRITTEN.replace("-0.6\tb", "-0.6\ta"), 11, "'a' is listed a second time"),
    (HAND_WRITTEN.replace("\n\\end\\\n", ""), 20, r"expected '\\end\\', found the end of the file"),
    (HAND_WRITTEN[: HAND_WRITTEN.index("-0.2\ta b")], 15, "found 1 2-grams, but the header says 3"),
]


@pytest.mark.parametrize(("text", "line", "complaint"), BROKEN)
def test_broken_arpa(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    with pytest.raises(NGramError, match=complaint) as error:
        hand_written(tmp_path, text)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'hand.arpa'}, line {line}: ")
    assert "\n" not in message and "; fix the line or create the file again" in message


def test_damaged_files_and_missing_files(tmp_path: Path) -> None:
    latin = tmp_path / "latin.arpa"
    latin.write_bytes(HAND_WRITTEN.replace("b", "\xe9").encode("latin-1"))
    with pytest.raises(NGramError, match=r"latin\.arpa, line 11: not UTF-8"):
        load_arpa(latin)
    cut = tmp_path / "cut.arpa.gz"
    for broken in (gzip.compress(HAND_WRITTEN.encode())[:-20], b"\x1f\x8b" + b"x" * 40, b"\x1f\x8b"):
        cut.write_bytes(broken)
        with pytest.raises(NGramError, match=r"cut\.arpa\.gz: .*gzip.*again"):
            load_arpa(cut)
    with pytest.raises(NGramError, match=r"gone\.arpa: no such language model; .*build_lm\.py"):
        load_arpa(tmp_path / "gone.arpa")


@pytest.mark.parametrize("token", ["", "a b", "\t", "\n", "a\r", "<space>", "<UNK>"])
def test_tokens_that_cannot_be_written(tmp_path: Path, token: str) -> None:
    with pytest.raises(NGramError, match=r"token .* cannot be written"):
        save_arpa(estimate([["a", token]], 2), tmp_path / "lm.arpa")
    assert list(tmp_path.iterdir()) == []
