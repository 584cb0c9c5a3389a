"""Mutations: what damage, other programs and attackers do to files, by the numbers of a random generator."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator

# Numbers at which sizes and indices overflow, as bytes of either order.
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)
PIECES = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe9", b"\r", b"\n\n\n", b"\x1b[2J", b"9" * 5000, b"-1", b"1e999",
    b"nan", b"-inf", b"0x10", b"[" * 3000, b"{" * 3000, b"- " * 3000, b"&a [*a, *a]", b"!!python/name:os.x",
    b"${oc.env:HOME}", b"../" * 50, b"\t\t", b" ", b"x" * 100_000, "\u202e\u2028".encode(), b"\x1f\x8b\x08",
)  # fmt: skip
VALUES: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: True, lambda: -1, lambda: 0, lambda: 2**63, lambda: 10**400, lambda: 1e308,
    lambda: float("nan"), lambda: float("inf"), lambda: "", lambda: "\0", lambda: "../../x", lambda: "x" * 99,
    lambda: [], lambda: {}, lambda: [[1, 2], [3]], lambda: {"": None}, lambda: 10_000_000, lambda: "\ud800",
)  # fmt: skip


def pick(options: Any, rng: Rng) -> Any:
    return options[int(rng.integers(len(options)))]


def _span(size: int, rng: Rng) -> tuple[int, int]:
    first, last = sorted(rng.integers(0, size + 1, 2).tolist())
    return first, last


def _flip(data: bytearray, rng: Rng) -> None:
    for place in rng.integers(0, len(data), int(10 ** rng.uniform(0, 3))).tolist():
        data[place] ^= 1 << int(rng.integers(8))


def _cut(data: bytearray, rng: Rng) -> None:
    del data[int(rng.integers(len(data))) :]


def _remove(data: bytearray, rng: Rng) -> None:
    first, last = _span(len(data), rng)
    del data[first:last]


def _repeat(data: bytearray, rng: Rng) -> None:
    first, last = _span(len(data), rng)
    data[last:last] = data[first:last] * int(rng.integers(1, 5))


def _overwrite(data: bytearray, rng: Rng) -> None:
    number = pick(NUMBERS, rng)
    size = max((number.bit_length() + 7) // 8, 1)
    place = int(rng.integers(len(data)))
    data[place : place + size] = number.to_bytes(size, pick(("little", "big"), rng))


def _insert(data: bytearray, rng: Rng) -> None:
    place = int(rng.integers(len(data) + 1))
    data[place:place] = pick(PIECES, rng)


def mutate_bytes(content: bytes, rng: Rng) -> bytes:
    """A file with one to three changes: bits flipped, bytes removed, repeated, overwritten or inserted."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        if data:
            pick((_flip, _flip, _cut, _remove, _repeat, _overwrite, _overwrite, _insert), rng)(data, rng)
    return bytes(data)


def mutate_text(content: bytes, rng: Rng) -> bytes:
    """The same for a text file: also lines dropped, repeated and shuffled, and words replaced by others."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    lines = content.split(b"\n")
    for _ in range(int(rng.integers(1, 4))):
        row = int(rng.integers(len(lines)))
        words = lines[row].split(b" ")
        words[int(rng.integers(len(words)))] = pick(PIECES, rng)
        change = int(rng.integers(4))
        if change == 0:
            lines[row] = b" ".join(words)
        elif change == 1:
            lines.insert(row, lines[int(rng.integers(len(lines)))])
        elif change == 2:
            del lines[row : row + int(rng.integers(1, 3))]
        else:
            lines[row] = pick(PIECES, rng)
        lines = lines or [b""]
    return b"\n".join(lines)


def mutate_tree(tree: Any, rng: Rng) -> Any:
    """Lists and mappings with one node removed, renamed, nested deeper or replaced by another value."""
    nodes = [(holder, key) for holder in _containers(tree) for key in _keys(holder)]
    if not nodes or rng.random() < 0.05:
        return pick(VALUES, rng)()
    holder, key = pick(nodes, rng)
    change = int(rng.integers(5))
    if change == 0:
        del holder[key]
    elif change == 1 and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
    elif change == 2:
        for _ in range(int(rng.integers(1, 400))):
            holder[key] = [holder[key]]
    else:
        holder[key] = pick(VALUES, rng)()
    return tree


def _containers(tree: Any) -> list[Any]:
    if not isinstance(tree, (dict, list)):
        return []
    children = tree.values() if isinstance(tree, dict) else tree
    return [tree, *(below for child in children for below in _containers(child))]


def _keys(holder: Any) -> list[Any]:
    return list(holder) if isinstance(holder, dict) else list(range(len(holder)))


def mutate_json(content: bytes, rng: Rng) -> bytes:
    """A JSON file, changed as a tree or as a text."""
    if rng.random() < 0.3:
        return mutate_text(content, rng)
    tree = json.loads(content)
    for _ in range(int(rng.integers(1, 3))):
        tree = mutate_tree(tree, rng)
    return json.dumps(tree).encode()


def mutate_metadata(text: str, rng: Rng) -> str:
    """The metadata of weights, in most cases without the digest that gives a change away."""
    content = json.loads(text)
    if rng.random() < 0.7:
        del content["sha256"]
    return mutate_json(json.dumps(content).encode(), rng).decode("utf-8", "replace")


def mutate_safetensors(content: bytes, rng: Rng) -> bytes:
    """A weights file, changed as bytes, or in its header, of which the metadata is JSON within JSON."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    if rng.random() < 0.7:
        key = pick(sorted(header["__metadata__"]), rng)
        header["__metadata__"][key] = mutate_metadata(header["__metadata__"][key], rng)
    else:
        header = mutate_tree(header, rng)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + size :]
