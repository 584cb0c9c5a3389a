"""Mutations of binary formats inside their structure: ONNX graphs and HDF5 files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from fuzz.mutations import NUMBERS, Rng, mutate_bytes, mutate_metadata, pick


def mutate_onnx(content: bytes, rng: Rng) -> bytes:
    """An ONNX file, changed as bytes, in its metadata, which is JSON, or in fields of its messages."""
    import onnx

    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    model = onnx.load_model_from_string(content)
    if rng.random() < 0.3:
        [entry] = model.metadata_props
        entry.value = mutate_metadata(entry.value, rng)
    else:
        for _ in range(int(rng.integers(1, 4))):
            _change_field(model, rng)
    changed: bytes = model.SerializeToString()
    return changed


def _change_field(model: Any, rng: Rng) -> None:
    """Remove, repeat or replace a value of a message that is found by a random walk from the model."""
    message = model
    while True:
        fields = message.ListFields()
        if not fields:
            return
        field, value = pick(fields, rng)
        repeated = hasattr(value, "append") and not isinstance(value, (str, bytes))
        children = list(value) if repeated else [value]
        if field.message_type is None or rng.random() < 0.15:
            break
        message = pick(children, rng)
    change = int(rng.integers(3))
    if repeated and change == 0:
        del value[int(rng.integers(len(value)))]
    elif repeated and change == 1:
        value.extend([pick(children, rng)] * int(rng.integers(1, 5)))
    elif field.message_type is not None or change == 0:
        message.ClearField(field.name)
    elif repeated:
        value[int(rng.integers(len(value)))] = _scalar(children[0], rng)
    elif field.enum_type is not None:  # takes no other numbers than its own
        setattr(message, field.name, pick(sorted(field.enum_type.values_by_number), rng))
    else:
        setattr(message, field.name, _scalar(value, rng))


def _scalar(old: Any, rng: Rng) -> Any:
    """Another value of the type of a protobuf field's old one."""
    if isinstance(old, bytes):
        return mutate_bytes(old, rng)
    if isinstance(old, str):
        return pick(("", "x", "Loop", "Resize", "frames", "../../x", "log_probs"), rng)
    if isinstance(old, float):
        return pick((0.0, -1.0, float("nan"), float("inf"), 1e38), rng)
    return int(pick((-1, 0, 1, 2, 3, 7, 11, 20, 2**31 - 1), rng))


def mutate_hdf5(content: bytes, rng: Rng) -> bytes:
    """An HDF5 file, changed as bytes, or in one to three of its attributes, groups and arrays."""
    import h5py

    if rng.random() < 0.5:
        return mutate_bytes(content, rng)
    stream = io.BytesIO(content)
    with h5py.File(stream, "r+") as file:
        for _ in range(int(rng.integers(1, 4))):
            nodes: list[Any] = []
            file.visititems(lambda _, node, nodes=nodes: nodes.append(node))
            if nodes:
                _change_node(file, pick(nodes, rng), rng)
    return stream.getvalue()


def _change_node(file: Any, node: Any, rng: Rng) -> None:
    """Change a group's attribute; remove a node, or put a link, a group or another array in its place."""
    change, name = int(rng.integers(6)), node.name
    holder = pick([file, node], rng) if hasattr(node, "keys") else file
    if change < 3 and len(holder.attrs):
        key = pick(sorted(holder.attrs), rng)
        del holder.attrs[key]
        if change < 2:
            holder.attrs[key] = pick(
                (b"x", [b"conv1"] * 9, 7, [1.5], np.zeros((2, 0)), "", [b"/", b".."]), rng
            )
        return
    del file[name]
    if change == 3:
        file.create_group(name)
    elif change == 4:
        file[name] = file  # a link to the file's root, a circle
    else:
        _put_array(file, name, rng)


def _put_array(file: Any, name: str, rng: Rng) -> None:
    """An array of another size or type, or one that claims to be large and holds no values."""
    size = pick(NUMBERS[:8], rng)
    if size > 0xFFFF:
        file.create_dataset(name, (size,) * int(rng.integers(1, 3)), "f4", chunks=True)
    else:
        value = pick((np.zeros(size, np.float32), np.zeros((2, 3), complex), np.array([b"x"] * 3), 5.0), rng)
        file[name] = value
