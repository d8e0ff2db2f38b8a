"""Settings: frozen dataclasses whose fields know what they may be.

This is the one way to declare what users may set. A field is declared with its limits, which are checked wherever it is
given a value; whoever shows the settings (ROS, the file of parameters) reads them from the field.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

_CONTAINERS = (tuple, list, frozenset)


def parameter(
    default: Any,
    description: str = "",
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] = (),
    read_only: bool = False,
) -> Any:
    """A field of a frozen dataclass with what its values may be.

    Args:
        default: its default.
        description: one sentence with the unit; empty = the `Attributes:` section of the class docstring tells it.
        minimum, maximum: of a number, or of each of several; both ends are allowed. Every number has both.
        choices: the texts that are allowed.
        read_only: cannot be set while a node runs.

    Raises:
        TypeError: a number has no limits, or not such as its default is within.
    """
    metadata = {
        "description": description,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices),
        "read_only": read_only,
    }
    for value in default if isinstance(default, _CONTAINERS) else (default,):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_limits(f"a parameter of default {value!r}", value, metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The base of settings: no field is declared without its limits, and none takes a value beyond them.

    Raises:
        ValueError: a value is not what its field may be.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        check_declaration(cls)

    def __post_init__(self) -> None:
        check_values(self)


def check_declaration(kind: type) -> None:
    """See to it that every number of a class of settings has its limits.

    Raises:
        TypeError: one has none; the message says how to give them.
    """
    declared = getattr(kind, "__dataclass_fields__", {})
    for name, hint in typing.get_type_hints(kind).items():
        if element_of(hint) in (int, float):
            found = declared.get(name)
            if "__dataclass_fields__" not in vars(kind):
                # Its own fields are still attributes: it is made a dataclass after this.
                found = vars(kind).get(name, found)
            metadata = getattr(found, "metadata", {})
            default = getattr(found, "default", found)
            if not isinstance(default, (int, float)):
                default = metadata.get("minimum")
            _check_limits(f"{kind.__name__}.{name}", default, metadata)


def check_values(config: Any) -> None:
    """See to it that every field of a dataclass is what it may be; groups look after themselves.

    Raises:
        ValueError: one is not; the message names it, its value and what is allowed.
    """
    hints = typing.get_type_hints(type(config))
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if not dataclasses.is_dataclass(value):
            check_value(item.name, value, hints[item.name], item.metadata)


def check_value(name: str, value: Any, kind: Any, metadata: Mapping[str, Any]) -> None:
    """See to it that a value is what it may be.

    Args:
        name: of the parameter, for the message.
        value: what is given.
        kind: its type: bool, int, float, str, an Enum, or a tuple, list or frozenset of these; no other is looked at.
        metadata: of the field, as `parameter` makes it.

    Raises:
        ValueError: it is not; the message names it, its value and what is allowed.
    """
    is_allowed = _is_allowed(value, kind, metadata)
    if typing.get_origin(kind) in _CONTAINERS:
        is_allowed = not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")
        is_allowed = is_allowed and all(_is_allowed(item, element_of(kind), metadata) for item in value)
    if not is_allowed:
        raise ValueError(f"parameter {name} is {_shown(value)}: give {allowed(kind, metadata)}")


def allowed(kind: Any, metadata: Mapping[str, Any]) -> str:
    """What a value may be, in words, such as `a number from 0 to 1`."""
    element = element_of(kind)
    low, high = (number_text(metadata.get(end)) for end in ("minimum", "maximum"))
    if choices := choices_of(element, metadata):
        single = f"one of {', '.join(choices)}"
    elif element is int:
        single = f"a whole number from {low} to {high}"
    elif element is float:
        single = f"a number from {low} to {high}"
    else:
        single = "true or false" if element is bool else "a text"
    return single if element is kind else f"a list, each {single}"


def choices_of(kind: Any, metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts that are allowed; empty where any is, and where it is no text."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(member.value) for member in kind)
    return tuple(metadata.get("choices", ()))


def element_of(kind: Any) -> Any:
    """The type of what a tuple, list or frozenset holds; any other type itself."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) in _CONTAINERS else kind


def number_text(number: float | None) -> str:
    """A limit as users read it: all digits of a whole number, few of another one."""
    if number is None:
        return "any"
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else f"{number:g}"


def _is_allowed(value: Any, kind: Any, metadata: Mapping[str, Any]) -> bool:
    if kind in (int, float):
        if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
            return False
        return math.isfinite(value) and metadata["minimum"] <= value <= metadata["maximum"]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return isinstance(value, kind)
    if kind not in (bool, str):
        return True
    choices = metadata.get("choices", ())
    return isinstance(value, kind) and (not choices or value in choices)


def _check_limits(what: str, default: Any, metadata: Mapping[str, Any]) -> None:
    low, high = metadata.get("minimum"), metadata.get("maximum")
    if low is None or high is None:
        raise TypeError(
            f"{what} is a number without limits: declare it by parameter(..., minimum=..., maximum=...)"
        )
    if not (math.isfinite(low) and math.isfinite(high) and low <= default <= high):
        raise TypeError(
            f"{what} has the limits {low} and {high}: give finite ones, with the default between them"
        )


def _shown(value: Any) -> str:
    return repr(list(value)) if hasattr(value, "__iter__") and not isinstance(value, str) else repr(value)
