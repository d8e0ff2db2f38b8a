"""Values of substitutions that stand for more than a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution, SubstitutionFailure
from launch.utilities.normalize_to_list_of_substitutions_impl import normalize_to_list_of_substitutions
from launch.utilities.perform_substitutions_impl import perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

SomeBool = bool | SomeSubstitutionsType
SomeFloat = float | int | SomeSubstitutionsType

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def parse_bool(text: str) -> bool:
    """Return the text as a bool; ValueError where it is none."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"expected true or false, got '{text}'")


class TypedValue:
    """A bool or a number, given as such or as substitutions of its text."""

    def __init__(self, value: SomeBool | SomeFloat) -> None:
        self._value: bool | float | int | None = None
        self._substitutions: list[Substitution] = []
        if isinstance(value, (bool, int, float)):
            self._value = value
        else:
            self._substitutions = normalize_to_list_of_substitutions(value)

    def describe(self) -> str:
        """Return the value as it is shown to a user."""
        if self._value is not None:
            return repr(self._value)
        return " + ".join(part.describe() for part in self._substitutions)

    def perform_bool(self, context: LaunchContext) -> bool:
        """Return the value as a bool; SubstitutionFailure where it is none."""
        if self._value is not None:
            return bool(self._value)
        try:
            return parse_bool(perform_substitutions(context, self._substitutions))
        except ValueError as error:
            raise SubstitutionFailure(str(error)) from error

    def perform_float(self, context: LaunchContext) -> float:
        """Return the value as a number; SubstitutionFailure where it is none."""
        if self._value is not None:
            return float(self._value)
        text = perform_substitutions(context, self._substitutions)
        try:
            return float(text)
        except ValueError as error:
            raise SubstitutionFailure(f"expected a number, got '{text}'") from error
