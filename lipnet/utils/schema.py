"""Dataclasses from files that any program may have written: all keys, types and numbers are checked."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import types
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from lipnet.errors import LipnetError

T = TypeVar("T")
MAX_NODES = 10_000_000  # values in one JSON file: 100 000 clips with their words
MAX_DEPTH = 50  # nested lists and mappings
KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    list: "a list",
    dict: "a mapping",
}


class SchemaError(LipnetError):
    """A value that does not fit its schema. The message names its key."""


def parse_json(text: str) -> Any:
    """The content of a JSON file. Raises SchemaError if it is not JSON, or nested too deep."""
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise SchemaError(f"nested more than {MAX_DEPTH} deep") from error
    except ValueError as error:
        raise SchemaError(f"not JSON: {' '.join(str(error).split())}") from error
    check_depth(content)
    return content


def check_depth(content: object) -> None:
    """Raises SchemaError if lists and mappings are nested more than MAX_DEPTH deep."""
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
        if len(level) > MAX_NODES:
            raise SchemaError(f"more than {MAX_NODES} values")
    raise SchemaError(f"nested more than {MAX_DEPTH} deep")


def _children(node: object) -> list[Any]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [child for child in children if isinstance(child, (dict, list))]


def texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a tree of lists and mappings, with their dotted keys."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from texts(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from texts(item, f"{key}[{i}]")


def check_lists(cls: type, content: Mapping[str, Any], key: str = "") -> None:
    """Check that the lists in settings hold lists or plain values, as the fields of a dataclass do.

    Other keys and types are not checked here. Raises SchemaError with the key of the first wrong item.
    """
    hints = get_type_hints(cls)
    for name, value in content.items():
        kind = hints.get(name)
        if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
            check_lists(kind, value, _dotted(key, name))
        elif get_origin(kind) is list:
            _check_nesting(value, kind, _dotted(key, name))


def _check_nesting(value: object, kind: Any, key: str) -> None:
    is_list = get_origin(kind) is list
    if isinstance(value, (list, dict)) and not (is_list and isinstance(value, list)):
        raise SchemaError(f"{key}: {_shown(value)} is not {KINDS[get_origin(kind) or kind]}")
    if is_list and isinstance(value, list):
        for i, item in enumerate(value):
            _check_nesting(item, get_args(kind)[0], f"{key}[{i}]")


def build(cls: type[T], content: object, key: str = "") -> T:
    """A dataclass from a mapping such as a JSON file's content. Sections may be dataclasses themselves.

    Args:
        cls: a dataclass whose fields have the types of KINDS, or lists, mappings or optional ones of them,
            or any. Only a field with the metadata ``infinite`` may be infinite; none may be NaN.
        key: of the mapping in the file, for messages.

    Raises:
        SchemaError: an unknown or missing key, or a value of another type.
        LipnetError: as the dataclass itself does.
    """
    if not isinstance(content, Mapping):
        raise SchemaError(f"{key or 'content'}: {_shown(content)} is not a mapping of settings")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in content:
        if name not in fields:
            nearest = difflib.get_close_matches(str(name), fields, n=1, cutoff=0.0)[0]
            raise SchemaError(f"unknown key {_dotted(key, name)!r}, perhaps {nearest!r} was meant")
    for name, field in fields.items():
        has_default = not (field.default is field.default_factory is dataclasses.MISSING)
        if name not in content and not has_default:
            raise SchemaError(f"key {_dotted(key, name)!r} is missing")
    hints = get_type_hints(cls)
    return cls(
        **{
            name: _checked(
                value, hints[name], _dotted(key, name), bool(fields[name].metadata.get("infinite"))
            )
            for name, value in content.items()
        }
    )


def _checked(value: Any, kind: Any, key: str, infinite: bool = False) -> Any:
    """``value`` as a ``kind``. Raises SchemaError if it is none."""
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return build(kind, value, key)
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        [kind] = [argument for argument in arguments if argument is not type(None)]
        return _checked(value, kind, key, infinite)
    if origin is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value, key, infinite)
    if not isinstance(value, origin) or (isinstance(value, bool) and origin is not bool):
        raise SchemaError(f"{key}: {_shown(value)} is not {KINDS[origin]}")
    if origin is list:
        return [_checked(item, arguments[0], f"{key}[{i}]") for i, item in enumerate(value)]
    if origin is dict:
        for name in value:
            _checked(name, arguments[0], f"{key}: key {_shown(name)}")
        return {name: _checked(item, arguments[1], _dotted(key, name)) for name, item in value.items()}
    return value


def _number(value: float, key: str, infinite: bool) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.nan
    if math.isnan(number) or (math.isinf(number) and not infinite):
        raise SchemaError(f"{key}: {_shown(value)} is not a finite number")
    return number


def lists_of_texts(cls: type, content: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in which a single value stands for a list of texts: with a list of it; none if it is empty."""
    hints = get_type_hints(cls)
    tree = dict(content)
    for name, value in content.items():
        kind = hints.get(name)
        if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
            tree[name] = lists_of_texts(kind, value)
        elif kind == list[str] and isinstance(value, str | int | float):
            tree[name] = [] if value == "" else [value]
    return tree


def _dotted(key: str, name: object) -> str:
    return f"{key}.{_short(str(name))}" if key else _short(str(name))


def _shown(value: object) -> str:
    """A value for a message, cut if it is long."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "a number of more than 64 bits"
    if isinstance(value, (list, dict)):
        return f"a {'list' if isinstance(value, list) else 'mapping'} of {len(value)}"
    return _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
