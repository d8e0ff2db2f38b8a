"""Messages as text, and text as messages."""

from __future__ import annotations

import array
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from ros2cli.command import CommandError
from ros2cli.interface_types import interface_type

_ELLIPSIS = "..."


@dataclass(frozen=True)
class TextOptions:
    """How messages are written.

    Attributes:
        truncate_length: longer arrays and strings are cut; None: none is.
        no_arr: write type and length of arrays instead of their items.
        no_str: write the length of strings instead of their text.
        flow_style: write collections in one line.
    """

    truncate_length: int | None = None
    no_arr: bool = False
    no_str: bool = False
    flow_style: bool = False


def message_to_yaml(message: Any, options: TextOptions) -> str:
    """Return a message, or the value of a field, as YAML."""
    return _dump(_plain(message, options), options)


def _dump(value: Any, options: TextOptions) -> str:
    return yaml.safe_dump(
        value,
        allow_unicode=True,
        sort_keys=False,
        width=sys.maxsize,
        default_flow_style=options.flow_style,
    )


def _plain(value: Any, options: TextOptions, field_type: str = "") -> Any:
    if hasattr(value, "get_fields_and_field_types"):
        fields = value.get_fields_and_field_types()
        return {name: _plain(getattr(value, name), options, kind) for name, kind in fields.items()}
    if isinstance(value, str):
        return _plain_text(value, options)
    if isinstance(value, bytes):
        return _plain_text(str(value), options)
    if isinstance(value, (Sequence, array.array, np.ndarray)):
        return _plain_array(value, options, field_type)
    return value.item() if isinstance(value, np.generic) else value


def _plain_text(value: str, options: TextOptions) -> str:
    if options.no_str:
        return f"<string length: <{len(value)}>>"
    limit = options.truncate_length
    return value if limit is None or len(value) <= limit else value[:limit] + _ELLIPSIS


def _plain_array(value: Any, options: TextOptions, field_type: str) -> Any:
    if options.no_arr:
        if field_type.endswith("]"):
            return f"<array type: {field_type}>"
        item_type = field_type.removeprefix("sequence<").split(",")[0].removesuffix(">")
        return f"<sequence type: {item_type}, length: {len(value)}>"
    limit = options.truncate_length
    cut = limit is not None and len(value) > limit
    kept = value[:limit] if cut else value
    plain = [_plain(item, options) for item in (kept.tolist() if isinstance(kept, np.ndarray) else kept)]
    return [*plain, _ELLIPSIS] if cut else plain


def message_to_csv(message: Any, options: TextOptions) -> str:
    """Return all values of a message, or of the value of a field, separated by commas."""
    values: list[str] = []
    _flatten(_plain(message, options), values)
    return ",".join(values)


def _flatten(value: Any, values: list[str]) -> None:
    if isinstance(value, Mapping):
        for item in value.values():
            _flatten(item, values)
    elif isinstance(value, list):
        for item in value:
            _flatten(item, values)
    else:
        values.append(str(value))


def field_of(message: Any, path: str) -> Any:
    """Return a field of a message, e.g. ``pose.position.x`` or ``objects[0].id``; CommandError where it has none."""
    value = message
    for part in path.split("."):
        name, *indices = part.replace("]", "").split("[")
        try:
            value = getattr(value, name)
            for index in indices:
                value = value[int(index)]
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise CommandError(f"Invalid field '{path}': {error}") from error
    return value


def message_from_yaml(message_type: Any, text: str) -> Any:
    """Return a message with the fields that the text gives, the others at their defaults."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CommandError(f"The passed value needs to be a dictionary in YAML format: {error}") from error
    message = message_type()
    _set_fields(message, {} if values is None else values)
    return message


def _set_fields(message: Any, values: Any) -> None:
    if not isinstance(values, Mapping):
        raise CommandError(f"The passed value needs to be a dictionary in YAML format, got {values!r}")
    types = message.get_fields_and_field_types()
    for name, value in values.items():
        if name not in types:
            raise CommandError(f"Failed to populate field: '{type(message).__name__}' has no field '{name}'")
        current = getattr(message, name)
        if hasattr(current, "get_fields_and_field_types"):
            _set_fields(current, value)
            continue
        try:
            setattr(message, name, _converted(current, value, types[name]))
        except (TypeError, ValueError, OverflowError) as error:
            raise CommandError(
                f"Failed to populate field '{name}' of type '{types[name]}': {error}"
            ) from error


def _converted(current: Any, value: Any, field_type: str) -> Any:
    """Return the value as the type of the current one; rosidl itself checks types only on demand."""
    if isinstance(current, array.array):
        return array.array(current.typecode, value)
    if isinstance(current, np.ndarray):
        return np.array(value, dtype=current.dtype).reshape(current.shape)
    if isinstance(current, list):
        if not isinstance(value, list):
            raise TypeError(f"expected a list, got {value!r}")
        item_type = field_type.removeprefix("sequence<").split(",")[0].removesuffix(">").split("[")[0]
        return [_message_of(item_type, item) if "/" in item_type else item for item in value]
    if not isinstance(value, (bool, int, float, str)) or (type(current) is int and isinstance(value, float)):
        raise TypeError(f"expected {type(current).__name__}, got {value!r}")
    if isinstance(current, bytes):
        return bytes([int(value)])
    return type(current)(value)


def _message_of(type_name: str, values: Any) -> Any:
    message = interface_type(type_name, "msg")()
    _set_fields(message, values)
    return message
