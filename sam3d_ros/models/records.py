"""Frozen dataclasses of numbers, as plain data that JSON can hold, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_record(value: Any) -> Any:
    """A dataclass, its dataclasses within, and their tuples, as dicts and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_record(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [to_record(item) for item in value]
    return value


def from_record(kind: type[T], record: Any) -> T:
    """The dataclass of a type that `to_record` wrote.

    Raises:
        ValueError: a field is missing, unknown, or no number where one is expected.
    """
    return _read(kind, record, kind.__name__)


def _read(kind: Any, record: Any, name: str) -> Any:
    if get_origin(kind) in (Union, UnionType):
        if record is None:
            return None
        (kind,) = (option for option in get_args(kind) if option is not type(None))
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        if not isinstance(record, Mapping) or record.keys() != hints.keys():
            raise ValueError(f"{name} should have the fields {sorted(hints)}")
        fields = {key: _read(hint, record[key], f"{name}.{key}") for key, hint in hints.items()}
        return kind(**fields)  # type: ignore[operator]
    if get_origin(kind) is tuple:
        if not isinstance(record, list):
            raise ValueError(f"{name} should be a list")
        return tuple(_read(get_args(kind)[0], item, name) for item in record)
    if isinstance(record, bool) != (kind is bool) or not isinstance(record, (int, float)):
        raise ValueError(f"{name} should be of type {kind.__name__}, and is {record!r}")
    return kind(record)
