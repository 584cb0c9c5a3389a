"""What TensorBoard shows as text and tables: settings, predictions, and which curves share a chart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from lipnet.config import Config
from lipnet.metrics import words_right

PREDICTIONS = 8  # shown of each dev split, beside their targets
NOT_OF_THE_RUN = {"crop", "run.dir"}  # the crop settings are the store's, the folder is the run's name
Charts = dict[str, dict[str, list[Any]]]


def settings_of(config: Config) -> dict[str, float | str]:
    """Every setting by the name that it has on a command line, for the table of runs."""
    settings: dict[str, float | str] = {}
    for section, values in asdict(config).items():
        fields = values if isinstance(values, dict) else {"": values}
        for key, value in fields.items():
            name = f"{section}.{key}".rstrip(".")
            if section in NOT_OF_THE_RUN or name in NOT_OF_THE_RUN or value is None:
                continue
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            settings[name] = value if is_number else str(value)
    return settings


def charts_of(splits: Iterable[str], with_gpu: bool = False) -> Charts:
    """The layout of TensorBoard's custom scalars; ``splits``: names of the dev lists."""
    names = list(splits)
    rates = [f"{name}/{rate}" for name in names for rate in ("cer", "wer")]
    losses = ["train/ctc", *(f"{name}/loss" for name in names)]
    charts: Charts = {
        "Training": {
            "Loss and its parts": _chart(["train/loss", "train/ctc", "train/words"]),
            "CTC loss, nats per symbol": _chart(losses),
            "Learning rate": _chart(["train/learning_rate"]),
            "Gradient norm": _chart(["train/gradient_norm"]),
            "Clips per second": _chart(["train/clips_per_second"]),
        }
    }
    if with_gpu:
        charts["Training"]["Most GPU memory so far, GiB"] = _chart(["train/gpu_memory_gib"])
    if names:
        charts = {"Error rates": {"CER and WER of the dev lists": _chart(rates)}, **charts}
    return charts


def _chart(tags: Sequence[str]) -> list[Any]:
    return ["Multiline", [f"^{re.escape(tag)}$" for tag in tags]]  # TensorBoard takes them as expressions


def prediction_table(names: Sequence[str], texts: Sequence[tuple[str, str]]) -> str:
    """Clips at even distances with target and prediction, in Markdown.

    Bold are the words of a prediction that are wrong, and those of a target that were not read.
    """
    rows = list(zip(names, texts, strict=True))
    table = ["| clip | target (bold: not read) | prediction (bold: wrong) |", "|---|---|---|"]
    for name, (target, prediction) in rows[:: max(1, len(rows) // PREDICTIONS)][:PREDICTIONS]:
        said, read = _marked(target, prediction), _marked(prediction, target)
        table.append(f"| {_literal(name)} | {said} | {read or '*nothing*'} |")
    return "\n".join(table)


def _marked(text: str, other: str) -> str:
    """The words of ``text``, in bold those that an alignment with ``other`` does not match."""
    words = zip(map(_literal, text.split()), words_right(other, text), strict=True)
    return " ".join(word if right else f"**{word}**" for word, right in words)


def _literal(text: str) -> str:
    """The text without what Markdown or a table would change."""
    return re.sub(r"([*_`|<>\[\]\\])", r"\\\1", text)
