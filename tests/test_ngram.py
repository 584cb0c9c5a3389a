"""n-gram models: against Kneser-Ney's formula by hand and by brute force, and as ARPA files."""

from __future__ import annotations

import gzip
import math
import random
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path

import pytest
from tiny import run_script

from lipnet.arpa import load_arpa, save_arpa
from lipnet.errors import LipnetError
from lipnet.ngram import (
    NGram,
    NGramError,
    estimate,
    is_character_model,
    perplexity,
)

SENTENCES = (
    "bin blue at f two now",
    "bin blue at l two now",
    "lay red by z nine again",
    "set white with p zero soon",
    "place green in a seven please",
    "bin red at f nine now",
)
WORDS = [sentence.split() for sentence in SENTENCES]
LETTERS = " abcdefghijklmnopqrstuvwxyz"
LN10 = math.log(10)

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


class Reference:
    """Interpolated Kneser-Ney straight from its formula; every count is made by looking at the sentences."""

    def __init__(
        self, sentences: Sequence[Sequence[str]], order: int, vocabulary: Sequence[str] = ()
    ) -> None:
        self.order = order
        self.padded = [("<s>", *sentence, "</s>") for sentence in sentences]
        self.tokens = sorted({t for padded in self.padded for t in padded[1:]} | set(vocabulary))
        self.occurrences = {k: Counter(self._all(k)) for k in range(1, order + 1)}
        self.probability = lru_cache(maxsize=None)(self._probability)
        self.count = lru_cache(maxsize=None)(self._count)
        self.discounts = lru_cache(maxsize=None)(self._discounts)

    def _all(self, k: int) -> list[tuple[str, ...]]:
        return [padded[i : i + k] for padded in self.padded for i in range(len(padded) - k + 1)]

    def _count(self, ngram: tuple[str, ...]) -> int:
        """Occurrences at the highest order and at a sentence's start, else distinct tokens in front."""
        if len(ngram) == self.order or ngram[0] == "<s>":
            return self.occurrences[len(ngram)][ngram]
        return sum(longer[1:] == ngram for longer in self.occurrences[len(ngram) + 1])

    def _discounts(self, k: int) -> tuple[float, float, float]:
        seen = [self.count(ngram) for ngram in self.occurrences[k] if ngram != ("<s>",)]
        n1, n2, n3, n4 = (seen.count(times) for times in (1, 2, 3, 4))
        if n1 and n2 and n3 and n4:
            y = n1 / (n1 + 2 * n2)
            d1, d2, d3 = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
            if d2 > 0 and d3 > 0:
                return d1, d2, d3
        if n1 and n2:
            return (n1 / (n1 + 2 * n2),) * 3
        return (0.5,) * 3

    def _probability(self, context: tuple[str, ...], token: str) -> float:
        context = context[max(0, len(context) - self.order + 1) :]
        shorter = self.probability(context[1:], token) if context else 1 / len(self.tokens)
        counts = [self.count((*context, other)) for other in self.tokens]
        if not any(counts):
            return shorter
        d1, d2, d3 = self.discounts(len(context) + 1)
        mine = self.count((*context, token))
        discount = 0 if mine == 0 else d1 if mine == 1 else d2 if mine == 2 else d3
        freed = d1 * counts.count(1) + d2 * counts.count(2) + d3 * sum(c >= 3 for c in counts)
        return (mine - discount) / sum(counts) + freed / sum(counts) * shorter


def histories(sentences: Sequence[Sequence[str]], extra: Sequence[str]) -> list[tuple[str, ...]]:
    """Every history in the sentences, and some that never occur."""
    seen = {("<s>", *sentence)[:n] for sentence in sentences for n in range(1, len(sentence) + 2)}
    rng = random.Random(0)
    made_up = [tuple(rng.choices(extra, k=rng.randint(0, 6))) for _ in range(60)]
    return [*sorted(seen), *made_up, *(("<s>", *history) for history in made_up)]


def probability(model: NGram, context: str | tuple[str, ...], token: str) -> float:
    return math.exp(model.log_prob(tuple(context), token))


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


# ---- estimation


def test_bigram_by_hand() -> None:
    model = estimate(["ab", "a"], order=2)
    # Bigrams: <s>a twice; ab, b</s> and a</s> once. n1 = 3, n2 = 1, so D = 3 / 5.
    # Tokens in front of a: 1 (<s>), of b: 1 (a), of </s>: 2 (a, b). n1 = 2, n2 = 1, so D = 2 / 4.
    # Unigrams: the three free 3 x 0.5 of 4, a third of it each.
    unigrams = {"a": 0.5 / 4 + 0.125, "b": 0.5 / 4 + 0.125, "</s>": 1.5 / 4 + 0.125}
    assert unigrams == {"a": 0.25, "b": 0.25, "</s>": 0.5}
    expected = {
        (): unigrams,
        ("<s>",): {"a": 1.4 / 2 + 0.3 * 0.25, "b": 0.3 * 0.25, "</s>": 0.3 * 0.5},
        ("a",): {"a": 0.6 * 0.25, "b": 0.4 / 2 + 0.6 * 0.25, "</s>": 0.4 / 2 + 0.6 * 0.5},
        ("b",): {"a": 0.6 * 0.25, "b": 0.6 * 0.25, "</s>": 0.4 / 1 + 0.6 * 0.5},
    }
    for context, distribution in expected.items():
        assert sum(distribution.values()) == pytest.approx(1)
        for token, value in distribution.items():
            assert probability(model, context, token) == pytest.approx(value, abs=1e-12)
    ngrams = {("a",), ("b",), ("</s>",), ("<s>",), ("<s>", "a"), ("a", "b"), ("b", "</s>"), ("a", "</s>")}
    assert set(model.probabilities) == ngrams
    assert set(model.backoffs) == {("<s>",), ("a",), ("b",)}
    assert math.exp(model.backoffs["a",]) == pytest.approx(0.6)


def test_modified_discounts_by_hand() -> None:
    # n1 = 4 (</s> too), n2 = 2, n3 = 2, n4 = 1: Y = 1/2, D1 = 1/2, D2 = 1/2, D3+ = 2, of 18 tokens in all.
    # 4 x 0.5 + 2 x 0.5 + 3 x 2 = 9 are freed for 9 tokens.
    model = estimate(["abcddeefffggghhhh"], order=1)
    for token, value in {"a": 1.5, "</s>": 1.5, "d": 2.5, "f": 2.0, "h": 3.0}.items():
        assert probability(model, "", token) == pytest.approx(value / 18, abs=1e-12)


def test_a_negative_discount_is_not_taken() -> None:
    # n1 = 5, n2 = n3 = n4 = 1 of 14 tokens: D2 would be 2 - 3 x 5/7. All eight give 5/7, to nine tokens.
    model = estimate(["abcdeefffgggg"], order=1, vocabulary="z")
    for token, count in {"z": 0, "a": 1 - 5 / 7, "e": 2 - 5 / 7, "g": 4 - 5 / 7}.items():
        assert probability(model, "", token) == pytest.approx((count + 8 / 9 * 5 / 7) / 14, abs=1e-12)


def test_unseen_letters_of_the_vocabulary_share_the_uniform_part() -> None:
    model = estimate(["ab", "a"], order=2, vocabulary=["z", "a", "<s>"])
    assert model.vocabulary == ("</s>", "a", "b", "z")
    assert probability(model, "", "z") == pytest.approx(0.375 / 4)
    assert probability(model, "a", "z") == pytest.approx(0.6 * 0.375 / 4)
    assert probability(model, "z", "b") == pytest.approx(probability(model, "", "b"))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("sentences", "vocabulary"), [(SENTENCES, LETTERS), (WORDS, ["lay", "zulu"]), (["", "a"], "ab")]
)
def test_estimate_is_the_formula_and_sums_to_one(
    order: int, sentences: Sequence[Sequence[str]], vocabulary: Sequence[str]
) -> None:
    model = estimate(sentences, order, vocabulary)
    reference = Reference(sentences, order, vocabulary)
    assert model.order == order
    assert list(model.vocabulary) == reference.tokens
    for history in histories(sentences, reference.tokens):
        total = 0.0
        for token in model.vocabulary:
            value = probability(model, history, token)
            assert value == pytest.approx(reference.probability(history, token), rel=1e-9)
            total += value
        assert total == pytest.approx(1, abs=1e-9)


def test_the_sentences_take_every_kind_of_discount() -> None:
    """Else the comparison above would say nothing of modified discounts, or of the fall-backs."""
    kinds = set()
    for sentences, order in product((SENTENCES, WORDS, ["", "a"]), (1, 2, 3, 4, 5)):
        discounts = Reference(sentences, order).discounts(order)
        kinds.add("modified" if len(set(discounts)) == 3 else "0.5" if discounts[0] == 0.5 else "single")
    assert kinds == {"modified", "single", "0.5"}


def test_sentence_start_is_never_predicted() -> None:
    model = estimate(SENTENCES, order=3)
    assert "<s>" not in model.vocabulary
    assert model.log_prob(("<s>", "b"), "<s>") == -math.inf


def test_order_may_exceed_every_sentence() -> None:
    model, short = estimate(["a"], order=9), estimate(["a"], order=3)
    assert (model.order, short.order) == (9, 3)
    assert model.probabilities == short.probabilities


@pytest.mark.parametrize(
    ("sentences", "order", "complaint"),
    [
        ([], 2, "no sentences"),
        (["a"], 0, "order 0"),
        ([["a"], ["a", "</s>"]], 2, "sentence 2 .*'</s>'.*take it out"),
        ([["<s>", "a"]], 2, "sentence 1 .*'<s>'.*take it out"),
    ],
)
def test_estimate_refuses(sentences: list[Sequence[str]], order: int, complaint: str) -> None:
    with pytest.raises(NGramError, match=complaint):
        estimate(sentences, order)
    assert issubclass(NGramError, LipnetError)


def test_estimate_takes_characters_that_spell_a_mark() -> None:
    assert "</s>" in estimate(["a</s>b"], 2).vocabulary


# ---- use


def test_perplexity() -> None:
    model = estimate(["ab", "a"], order=2)
    # <s>a b</s>: 0.775 x 0.35 x 0.7; <s>a</s>: 0.775 x 0.5; five tokens with the two ends.
    assert model.sentence_log_prob("ab") == pytest.approx(math.log(0.775 * 0.35 * 0.7))
    expected = (0.775 * 0.35 * 0.7 * 0.775 * 0.5) ** (-1 / 5)
    assert perplexity(model, ["ab", "a"]) == pytest.approx(expected)
    assert perplexity(model, ["aq"]) == math.inf


def assert_contexts_are_states(model: NGram, sequences: Sequence[tuple[str, ...]]) -> None:
    """A context predicts what its whole history does, and the next context follows from it."""
    for history in sequences:
        context = model.context(history)
        assert len(context) < model.order and history[len(history) - len(context) :] == context
        for token in model.vocabulary:
            assert model.log_prob(context, token) == model.log_prob(history, token)
            assert model.context((*context, token)) == model.context((*history, token))


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_contexts_are_the_states_of_an_automaton(order: int) -> None:
    model = estimate(SENTENCES, order, LETTERS)
    assert_contexts_are_states(model, histories(SENTENCES[:2], LETTERS))


def test_contexts_of_an_estimate() -> None:
    model = estimate(["ab", "a"], order=3)
    assert model.context(("<s>",)) == ("<s>",)
    assert model.context(("<s>", "a")) == ("<s>", "a")
    assert model.context(("a", "b")) == ("a", "b")
    assert model.context(("b", "b")) == ("b",)
    assert model.context(("a", "b", "a")) == ("a",)
    assert model.context(("a", "q")) == ()
    assert model.context(()) == ()


def test_contexts_of_a_pruned_model(tmp_path: Path) -> None:
    model = load_arpa(write(tmp_path / "hand.arpa", HAND_WRITTEN))
    assert model.context(("<s>", "a")) == ("<s>", "a")
    assert model.context(("<s>", "a", "b")) == ("a", "b")  # begins no trigram, but its back-off weight counts
    assert model.context(("b", "b")) == ("b",)
    assert model.context(("a", "</s>")) == ()
    gap = NGram(3, {("a",): -1.0, ("b",): -1.0, ("a", "b", "a"): -0.1}, {})  # pruned away: the bigram ab
    rng = random.Random(0)
    sequences = [tuple(rng.choices("ab", k=rng.randint(0, 5))) for _ in range(50)]
    for pruned in (model, gap):
        assert_contexts_are_states(pruned, sequences)


@pytest.mark.parametrize(
    ("vocabulary", "expected"),
    [(LETTERS, True), (["<unk>", "a", "<"], True), (["a", "now"], False), (["ab>"], False)],
)
def test_is_character_model(vocabulary: Sequence[str], expected: bool) -> None:
    assert is_character_model(estimate(["a"], 2, vocabulary)) is expected


# ---- ARPA files


def test_hand_written_arpa_backs_off(tmp_path: Path) -> None:
    model = load_arpa(write(tmp_path / "hand.arpa", HAND_WRITTEN))
    assert model.order == 3
    assert model.vocabulary == ("</s>", "<unk>", "a", "b")
    expected = {
        ("<s> a", "b"): -0.05,
        ("b b <s> a", "b"): -0.05,  # a context of four is cut to the last two
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


def test_unknown_tokens_are_unk_in_contexts_too(tmp_path: Path) -> None:
    text = HAND_WRITTEN.replace("<unk>\n-99", "<unk>\t-0.3\n-99").replace("b <unk>", "<unk> a")
    model = load_arpa(write(tmp_path / "hand.arpa", text))
    assert model.context(("b", "q")) == ("<unk>",)
    assert model.log_prob(("b", "q"), "a") / LN10 == pytest.approx(-0.7)
    assert model.log_prob(("q",), "r") / LN10 == pytest.approx(-0.3 - 1.0)


def test_zero_and_one_as_tools_write_them(tmp_path: Path) -> None:
    text = HAND_WRITTEN.replace("-0.6\tb", "-99\tb").replace("-0.1\t<s> a", "1e-7\t<s> a")
    model = load_arpa(write(tmp_path / "hand.arpa", text))
    assert model.log_prob((), "b") == -math.inf
    assert model.log_prob(("<s>",), "a") == 0.0
    save_arpa(model, tmp_path / "again.arpa")
    assert load_arpa(tmp_path / "again.arpa") == model


def test_unknown_tokens_without_unk_are_impossible() -> None:
    model = estimate(["ab", "a"], order=3)
    assert model.log_prob(("a",), "q") == -math.inf
    assert model.log_prob((), "q") == -math.inf
    assert model.log_prob(("q", "a"), "b") == model.log_prob(("a",), "b")
    assert model.log_prob(("a", "q"), "b") == model.log_prob((), "b")


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
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"again_{name}",
        name,
    ]  # and nothing unfinished
    content = (tmp_path / name).read_bytes()  # without a time, so that a model has the same bytes always
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
def test_arpa_of_other_tools(tmp_path: Path, rewrite) -> None:  # type: ignore[no-untyped-def]
    expected = load_arpa(write(tmp_path / "hand.arpa", HAND_WRITTEN))
    assert rewrite(HAND_WRITTEN) != HAND_WRITTEN
    assert load_arpa(write(tmp_path / "other.arpa", rewrite(HAND_WRITTEN))) == expected


def test_only_tabs_and_spaces_part_tokens(tmp_path: Path) -> None:
    text = HAND_WRITTEN.replace("a", "\u3000").replace("d\u3000t\u3000", "data").replace("gr\u3000m", "gram")
    assert "\u3000" in load_arpa(write(tmp_path / "wide.arpa", text)).vocabulary


CUTS = [
    ("", 1, "no line \\\\data\\\\"),
    ("hello\nyou\n", 2, "no line \\\\data\\\\"),
    (HAND_WRITTEN.replace("ngram 2=3\n", ""), 4, "'ngram 3=1' where 'ngram 2=COUNT'"),
    (HAND_WRITTEN.replace("ngram 1=5\nngram 2=3\nngram 3=1\n", ""), 4, "where 'ngram 1=COUNT'"),
    (HAND_WRITTEN.replace("ngram 1=5", "ngram 1=five"), 3, "where 'ngram 1=COUNT'"),
    (HAND_WRITTEN.replace("ngram 1=5", "ngram 1=6"), 14, "5 1-grams where the head names 6"),
    (HAND_WRITTEN.replace("\\2-grams:", "\\3-grams:"), 14, r"'\\3-grams:' where '\\2-grams:'"),
    (HAND_WRITTEN.replace("-0.6\tb", "b"), 11, "'b' is no 1-gram: a number, 1 token"),
    (HAND_WRITTEN.replace("a b\t-0.25", "a b b -0.25"), 16, "is no 2-gram: a number, 2 tokens"),
    (HAND_WRITTEN.replace("a b\t-0.25", "a b x"), 16, "'x' is no logarithm"),
    (HAND_WRITTEN.replace("-0.6\tb", "x\tb"), 11, "'x' is no logarithm"),
    (HAND_WRITTEN.replace("-0.6\tb", "nan\tb"), 11, "'nan' is no logarithm"),
    (HAND_WRITTEN.replace("-0.2\ta b", "0.2\ta b"), 16, "'0.2' is above 0"),
    (HAND_WRITTEN.replace("a b\t-0.25", "a b\tinf"), 16, "'inf' is no logarithm"),
    (HAND_WRITTEN.replace("a b\t-0.25", "a c"), 16, "'c' is not among the 1-grams"),
    (HAND_WRITTEN.replace("-0.6\tb", "-0.6\ta"), 11, "'a' stands here a second time"),
    (HAND_WRITTEN.replace("\n\\end\\\n", ""), 20, r"the file's end where '\\end\\'"),
    (HAND_WRITTEN[: HAND_WRITTEN.index("-0.2\ta b")], 15, "1 2-grams where the head names 3"),
]


@pytest.mark.parametrize(("text", "line", "complaint"), CUTS)
def test_broken_arpa(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    path = write(tmp_path / "broken.arpa", text)
    with pytest.raises(NGramError, match=complaint) as error:
        load_arpa(path)
    message = str(error.value)
    assert message.startswith(f"{path}, line {line}: ")
    assert "\n" not in message and "; mend the line, or make the file anew" in message


def test_files_that_are_no_text(tmp_path: Path) -> None:
    latin = tmp_path / "latin.arpa"
    latin.write_bytes(HAND_WRITTEN.replace("b", "\xe9").encode("latin-1"))
    with pytest.raises(NGramError, match=r"latin\.arpa, line 11: not UTF-8"):
        load_arpa(latin)
    cut = tmp_path / "cut.arpa.gz"
    for broken in (gzip.compress(HAND_WRITTEN.encode())[:-20], b"\x1f\x8b" + b"x" * 40, b"\x1f\x8b"):
        cut.write_bytes(broken)
        with pytest.raises(NGramError, match=r"cut\.arpa\.gz: .*gzip.*anew"):
            load_arpa(cut)
    with pytest.raises(NGramError, match=r"gone\.arpa: no such language model; .*build_lm\.py"):
        load_arpa(tmp_path / "gone.arpa")


@pytest.mark.parametrize("token", ["", "a b", "\t", "\n", "a\r", "<space>", "<UNK>"])
def test_tokens_that_arpa_cannot_hold(tmp_path: Path, token: str) -> None:
    with pytest.raises(NGramError, match=r"token .* cannot be written"):
        save_arpa(estimate([["a", token]], 2), tmp_path / "lm.arpa")
    assert list(tmp_path.iterdir()) == []


# ---- the script


def test_build_lm(packed_corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "grid.arpa"
    result = run_script("build_lm", "--data", packed_corpus, "--split", "train", "--order", 3, "--out", out)
    assert (result.code, result.err) == (0, "")
    model = load_arpa(out)
    sizes = [sum(len(ngram) == k for ngram in model.probabilities) for k in (1, 2, 3)]
    counts = f"{sizes[0]} 1-grams, {sizes[1]} 2-grams, {sizes[2]} 3-grams"
    assert result.out.startswith(f"{out}: 7 sentences, {counts}, perplexity ")
    assert result.out.endswith(" a character\n") and result.out.count("\n") == 1
    assert set(model.vocabulary) == {*LETTERS, "</s>"}
    assert is_character_model(model)


def test_build_lm_on_bad_input(packed_corpus: Path, tmp_path: Path) -> None:
    def build(*more: object, split: str = "train") -> str:
        out = tmp_path / "lm.arpa"
        result = run_script("build_lm", "--data", packed_corpus, "--split", split, "--out", out, *more)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        return result.err

    assert "no split 'best'" in build(split="best")
    assert "order 0" in build("--order", 0)
    assert "is not in the alphabet 'abc'" in build("--alphabet", "abc")
    assert "alphabet 'aa'" in build("--alphabet", "aa")
    assert list(tmp_path.iterdir()) == []
