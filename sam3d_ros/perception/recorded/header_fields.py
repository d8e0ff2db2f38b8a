"""The entries of a JSON object from anywhere, each taken with its type and bounds."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, NoReturn, TypeVar

#: Metres and pixels beyond this are no measurement, and their squares still fit into a float32.
LARGEST_NUMBER = 1e9
#: Letters of the longest whole number: those of 64 bits, and a sign. Python takes minutes for one of a million.
_LONGEST_WHOLE = 20

_Choice = TypeVar("_Choice", bound=Enum)


def parsed(text: bytes) -> object:
    """JSON as the standard has it: UTF-8, no NaN, no key twice.

    Raises:
        ValueError: it is anything else.
        RecursionError: it is nested too deeply.
    """
    try:
        return json.loads(
            text.decode("utf-8"),
            parse_int=_whole,
            parse_constant=_no_number,
            object_pairs_hook=_without_twins,
        )
    except ValueError as error:
        raise ValueError(f"its header is no JSON as the standard has it ({error})") from error


class Fields:
    """The entries of an object; each can be taken, and all must be.

    Args:
        content: what stands there.
        name: what to call it in errors.

    Raises:
        ValueError: it is no object. Every other method raises it where an entry is missing, of another type, or out of
            bounds.
    """

    def __init__(self, content: object, name: str) -> None:
        if not isinstance(content, dict):
            raise ValueError(f"{name} is {_shown(content)}, an object is expected")
        self._content: dict[str, Any] = dict(content)
        self._name = name

    def text(self, key: str) -> str:
        """A text that can be encoded."""
        return self._checked_text(key, self._taken(key))

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._taken(key)
        if not isinstance(value, bool):
            self._refuse(key, value, "true or false")
        return value

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        return self._checked_whole(key, self._taken(key), low, high)

    def wholes(self, key: str, count: int, low: int, high: int) -> tuple[int, ...]:
        """So many whole numbers from `low` to `high`."""
        return tuple(self._checked_whole(key, value, low, high) for value in self._list(key, count, count))

    def number(self, key: str, low: float = -LARGEST_NUMBER, high: float = LARGEST_NUMBER) -> float:
        """A number from `low` to `high`."""
        return self._checked_number(key, self._taken(key), low, high)

    def numbers(self, key: str, fewest: int, most: int) -> tuple[float, ...]:
        """A list of numbers."""
        values = self._list(key, fewest, most)
        return tuple(self._checked_number(key, value, -LARGEST_NUMBER, LARGEST_NUMBER) for value in values)

    def figure(self, key: str, high: float) -> float:
        """A number from 0 to `high`, or null, which is NaN."""
        value = self._taken(key)
        return float("nan") if value is None else self._checked_number(key, value, 0.0, high)

    def choice(self, key: str, kind: type[_Choice]) -> _Choice:
        """The member of an enumeration, by its name."""
        value = self._taken(key)
        if not isinstance(value, str) or value not in kind.__members__:
            self._refuse(key, value, "one of " + ", ".join(kind.__members__))
        return kind[value]

    def texts(self, key: str, most: int) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(self._checked_text(key, value) for value in self._list(key, 0, most))

    def names(self, key: str, low: int, high: int, most: int) -> dict[int, str]:
        """Pairs of a number and a text, no number twice."""
        names: dict[int, str] = {}
        for pair in self._list(key, 0, most):
            if not isinstance(pair, list) or len(pair) != 2:
                self._refuse(key, pair, "pairs of a number and a name are")
            number = self._checked_whole(key, pair[0], low, high)
            if number in names:
                self._refuse(key, number, "each number only once")
            names[number] = self._checked_text(key, pair[1])
        return names

    def section(self, key: str) -> Fields:
        """An object in the object."""
        return Fields(self._taken(key), key)

    def optional_section(self, key: str) -> Fields | None:
        """An object in the object, or None for null."""
        value = self._taken(key)
        return None if value is None else Fields(value, key)

    def optional_whole(self, key: str, low: int, high: int) -> int | None:
        """A whole number, or None for null."""
        value = self._taken(key)
        return None if value is None else self._checked_whole(key, value, low, high)

    def finish(self) -> None:
        """Nothing more will be taken."""
        if self._content:
            raise ValueError(f"{self._name} has {_shown(min(self._content))}, which is no part of it")

    def _taken(self, key: str) -> Any:
        if key not in self._content:
            raise ValueError(f"{self._name} lacks {key}")
        return self._content.pop(key)

    def _list(self, key: str, fewest: int, most: int) -> list[Any]:
        value = self._taken(key)
        if not isinstance(value, list) or not fewest <= len(value) <= most:
            counts = str(most) if fewest == most else f"{fewest} to {most}"
            self._refuse(key, value, f"a list of {counts}")
        return value

    def _checked_text(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
            self._refuse(key, value, "a text")
        return value

    def _checked_whole(self, key: str, value: Any, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self._refuse(key, value, f"a whole number from {low} to {high}")
        return value

    def _checked_number(self, key: str, value: Any, low: float, high: float) -> float:
        # NaN is in no bounds.
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            self._refuse(key, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def _refuse(self, key: str, value: object, expected: str) -> NoReturn:
        raise ValueError(f"{self._name} has {key} = {_shown(value)}, {expected} is expected")


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_WHOLE:
        raise ValueError(f"it has a number of {len(digits)} digits, at most {_LONGEST_WHOLE} are read")
    return int(digits)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"it has {word}, a finite number is expected")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("it has the same key twice in an object")
    return content


def _shown(value: object) -> str:
    """A value from outside, in few letters that every terminal can show."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = ascii(value[:40] if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:60] + "..."
