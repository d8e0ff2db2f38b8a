"""Comparison of two values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch.utilities.type_utils import parse_bool

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

SomeValue = SomeSubstitutionsType | bool | int | float | None


class EqualsSubstitution(Substitution):
    """``true`` if two values are equal, else ``false``: as texts, as truth values, or as numbers."""

    def __init__(self, left: SomeValue | Iterable[Any], right: SomeValue | Iterable[Any]) -> None:
        self.__left = _as_substitutions(left)
        self.__right = _as_substitutions(right)

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        left = " + ".join(part.describe() for part in self.__left)
        right = " + ".join(part.describe() for part in self.__right)
        return f"{type(self).__name__}({left} {right})"

    def _equal(self, context: LaunchContext) -> bool:
        left = perform_substitutions(context, self.__left)
        right = perform_substitutions(context, self.__right)
        if left == right:
            return True
        try:
            return math.isclose(float(left), float(right))
        except ValueError:
            pass
        try:
            return parse_bool(left) == parse_bool(right)
        except ValueError:
            return False

    def perform(self, context: LaunchContext) -> str:
        """Return whether the values are equal."""
        return str(self._equal(context)).lower()


class NotEqualsSubstitution(EqualsSubstitution):
    """``true`` if two values differ, else ``false``."""

    def perform(self, context: LaunchContext) -> str:
        """Return whether the values differ."""
        return str(not self._equal(context)).lower()


def _as_substitutions(value: Any) -> list[Substitution]:
    if value is None:
        value = ""
    elif isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, (int, float)):
        value = str(value)
    return normalize_to_list_of_substitutions(value)
